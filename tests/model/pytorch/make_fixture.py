#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes gpt_small.txt and gpt_small.bin, a small GPT in plain PyTorch, for gpt_pytorch_test.

    python3 tests/model/pytorch/make_fixture.py            # beside the script; needs PyTorch
    python3 tests/model/pytorch/make_fixture.py --check    # compares with the files, writes nothing

The model: token and learned position embedding, pre-norm blocks (LayerNorm, causal attention,
tanh-GELU FFN), a last LayerNorm, a head tied to the token table, biases everywhere; cross entropy
summed over the targets that are not -1 and divided by their number. Every weight is random (gammas
around 1, biases not 0), so that nothing can be left out unseen. It has nothing of dsr in it but the
order in which it stores QKV.

Format. The first line of the index is `dsr-fixture 1 <bytes of the .bin>`; every other line is one
tensor:

    <name> <f32|f64|i32> <offset in bytes> <size> <size> …

The .bin holds them one after the other, row-major, little endian, at offsets that are multiples of
8, with nothing but zeros between. Names:

    sizes                      i32 [7]: layers, hidden, heads, ffn, vocabulary, sequence, sequences
    tokens, targets            i32 [sequences, sequence]
    adamw                      f64 [5]: lr, beta1, beta2, eps, weight decay (of matrices only)
    losses                     f64 [5]: before each of five AdamW steps on this batch, f64 model
    losses_f32                 f64 [5]: the same from the f32 model, for comparison
    weight/<parameter>         f32: what both models start from
    gradient/<parameter>       f64: of the mean loss at the start, f64 model
    stepped/<parameter>        f64: the weight after the five steps, f64 model

<parameter> and its shape are dsr's, QKV being [groups, query heads of a group + key + value, head
size, hidden]. The models in f32 and f64 are also compared with each other; the script prints the
largest distance of each kind, which is what f32 costs PyTorch itself, and fails if it is so large
that the test's bounds would mean nothing.
"""
import argparse
import math
import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional

LAYERS, HIDDEN, HEADS, FFN, VOCAB, SEQUENCE, SEQUENCES = 2, 48, 4, 192, 61, 15, 3
HEAD = HIDDEN // HEADS
STEPS = 5
LR, BETA1, BETA2, EPS, DECAY = 1e-3, 0.9, 0.95, 1e-6, 0.1
HERE = pathlib.Path(__file__).resolve().parent


def shapes():
    """Parameter name → stored shape, in the order of a forward pass."""
    norm = lambda name: {f'{name}/gamma': (HIDDEN,), f'{name}/beta': (HIDDEN,)}
    linear = lambda name, out, inner: {f'{name}/weight': (*out, inner), f'{name}/bias': out}
    result = {'embedding/tokens/weight': (VOCAB, HIDDEN),
              'embedding/positions/weight': (SEQUENCE, HIDDEN)}
    for i in range(LAYERS):
        block = f'blocks/{i}'
        result |= norm(f'{block}/norm1')
        result |= linear(f'{block}/attention/qkv', (HEADS, 3, HEAD), HIDDEN)
        result |= linear(f'{block}/attention/output', (HIDDEN,), HEADS * HEAD)
        result |= norm(f'{block}/norm2')
        result |= linear(f'{block}/ffn/up', (FFN,), HIDDEN)
        result |= linear(f'{block}/ffn/down', (HIDDEN,), FFN)
    return result | norm('norm')


def initial_weights(generator):
    """f32, standard normal × 0.1, gammas 1 + that × 3: enough that every path counts."""
    def one(name, shape):
        value = 0.1 * torch.randn(shape, generator=generator, dtype=torch.float32)
        return 1 + 3 * value if name.endswith('gamma') else value
    return {name: one(name, shape) for name, shape in shapes().items()}


def random_batch(generator):
    """A fifth of the targets is ignored, unevenly over the sequences."""
    tokens = torch.randint(VOCAB, (SEQUENCES, SEQUENCE), generator=generator)
    targets = torch.randint(VOCAB, (SEQUENCES, SEQUENCE), generator=generator)
    shuffled = torch.randperm(targets.numel(), generator=generator)
    targets.view(-1)[shuffled[:targets.numel() // 5]] = -1
    return tokens, targets


def attention(x, w, name):
    """x [B, S, H] → [B, S, H]; written out, so that dsr is compared with no fused kernel."""
    matrix = w[f'{name}/qkv/weight'].reshape(-1, HIDDEN)
    qkv = functional.linear(x, matrix, w[f'{name}/qkv/bias'].reshape(-1))
    q, k, v = qkv.view(*x.shape[:2], HEADS, 3, HEAD).permute(3, 0, 2, 1, 4)     # [B, N, S, D] each
    scores = q @ k.transpose(-1, -2) / math.sqrt(HEAD)
    causal = torch.ones(SEQUENCE, SEQUENCE, dtype=torch.bool).tril()
    y = scores.masked_fill(~causal, -math.inf).softmax(-1) @ v
    y = y.transpose(1, 2).reshape(x.shape)
    return functional.linear(y, w[f'{name}/output/weight'], w[f'{name}/output/bias'])


def ffn(x, w, name):
    h = functional.linear(x, w[f'{name}/up/weight'], w[f'{name}/up/bias'])
    h = functional.gelu(h, approximate='tanh')
    return functional.linear(h, w[f'{name}/down/weight'], w[f'{name}/down/bias'])


def mean_loss(w, tokens, targets):
    norm = lambda x, name: functional.layer_norm(x, (HIDDEN,), w[f'{name}/gamma'],
                                                 w[f'{name}/beta'], 1e-5)
    x = w['embedding/tokens/weight'][tokens] + w['embedding/positions/weight']
    for i in range(LAYERS):
        x = x + attention(norm(x, f'blocks/{i}/norm1'), w, f'blocks/{i}/attention')
        x = x + ffn(norm(x, f'blocks/{i}/norm2'), w, f'blocks/{i}/ffn')
    logits = norm(x, 'norm') @ w['embedding/tokens/weight'].T
    total = functional.cross_entropy(logits.view(-1, VOCAB), targets.view(-1), ignore_index=-1,
                                     reduction='sum')
    return total / (targets >= 0).sum()


def train(start, tokens, targets, dtype):
    """Losses before each step, gradients of the first, weights after the last."""
    w = {name: value.to(dtype, copy=True).requires_grad_() for name, value in start.items()}
    matrices = [p for name, p in w.items() if name.endswith('weight')]
    others = [p for name, p in w.items() if not name.endswith('weight')]
    groups = [{'params': matrices, 'weight_decay': DECAY}, {'params': others, 'weight_decay': 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(BETA1, BETA2), eps=EPS, foreach=False)
    losses, gradients = [], {}
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = mean_loss(w, tokens, targets)
        loss.backward()
        losses.append(loss.item())
        gradients = gradients or {name: p.grad.clone() for name, p in w.items()}
        optimizer.step()
    return losses, gradients, {name: p.detach() for name, p in w.items()}


def without_keys(name, value):
    """The gradient of key biases is 0 in exact arithmetic and noise in any other: left out."""
    return value[:, [0, 2]] if name.endswith('qkv/bias') else value


def largest_distance(found, wanted):
    """Over all tensors: relative L2 distance, and the tensor's name."""
    def distance(name):
        a, b = (without_keys(name, side[name].double()) for side in (found, wanted))
        return ((a - b).norm() / b.norm()).item()
    return max((distance(name), name) for name in wanted)


def compare(single, double):
    """What f32 costs PyTorch itself; fails where that is near the bounds of the test."""
    loss = max(abs(a / b - 1) for a, b in zip(single[0], double[0]))
    gradient, stepped = (largest_distance(single[i], double[i]) for i in (1, 2))
    print(f'f32 against f64: losses {loss:.1e}, gradients {gradient[0]:.1e} ({gradient[1]}), '
          f'weights after {STEPS} steps {stepped[0]:.1e} ({stepped[1]})')
    if loss > 5e-7 or gradient[0] > 5e-6 or stepped[0] > 5e-6:
        sys.exit('make_fixture.py: the two precisions are too far apart; choose other sizes')


def tensors():
    generator = torch.Generator().manual_seed(20)
    start = initial_weights(generator)
    tokens, targets = random_batch(generator)
    single = train(start, tokens, targets, torch.float32)
    double = train(start, tokens, targets, torch.float64)
    print(f'losses: {" ".join(f"{loss:.12f}" for loss in double[0])}')
    compare(single, double)
    sizes = (LAYERS, HIDDEN, HEADS, FFN, VOCAB, SEQUENCE, SEQUENCES)
    result = {'sizes': np.array(sizes, '<i4'), 'tokens': tokens.numpy().astype('<i4'),
              'targets': targets.numpy().astype('<i4'),
              'adamw': np.array([LR, BETA1, BETA2, EPS, DECAY], '<f8'),
              'losses': np.array(double[0], '<f8'), 'losses_f32': np.array(single[0], '<f8')}
    result |= {f'weight/{name}': value.numpy().astype('<f4') for name, value in start.items()}
    result |= {f'gradient/{name}': value.numpy() for name, value in double[1].items()}
    return result | {f'stepped/{name}': value.numpy() for name, value in double[2].items()}


def write(entries):
    lines, data = [], bytearray()
    names = {'<i4': 'i32', '<f4': 'f32', '<f8': 'f64'}
    for name, value in entries.items():
        sizes = ' '.join(map(str, value.shape))
        lines.append(f'{name} {names[value.dtype.str]} {len(data)} {sizes}\n')
        data += value.tobytes() + bytes(-value.nbytes % 8)
    (HERE / 'gpt_small.txt').write_text(f'dsr-fixture 1 {len(data)}\n' + ''.join(lines))
    (HERE / 'gpt_small.bin').write_bytes(data)
    print(f'{len(lines)} tensors, {len(data)} bytes')


def check(entries):
    """Other versions of PyTorch and other CPUs round otherwise: f64 up to 1e-12, the rest equal."""
    data, worst = (HERE / 'gpt_small.bin').read_bytes(), 0.0
    for line in (HERE / 'gpt_small.txt').read_text().splitlines()[1:]:
        name, _, offset, *_ = line.split()
        value = entries.pop(name)
        stored = np.frombuffer(data, value.dtype, value.size, int(offset)).reshape(value.shape)
        if name == 'losses_f32':
            continue
        if value.dtype != np.dtype('<f8'):
            assert (stored == value).all(), f'{name} differs'
        else:
            stored, value = (without_keys(name, side) for side in (stored, value))
            worst = max(worst, np.linalg.norm(stored - value) / np.linalg.norm(stored))
    assert not entries and worst < 1e-12, (list(entries), worst)
    print(f'the files agree with this PyTorch, {torch.__version__}: {worst:.1e}')


def main():
    parser = argparse.ArgumentParser(description='Numbers of a small GPT in PyTorch')
    parser.add_argument('--check', action='store_true', help='compare with the files only')
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    (check if options.check else write)(tensors())


if __name__ == '__main__':
    main()
