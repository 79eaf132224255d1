#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The PyTorch twin of gpu_train: the same GPT, batch, clipping and AdamW on one GPU.

    python3 benchmarks/gpu_train/twin.py --model 1.3b --sequence 2048 --micro_batch 8

Prints one JSON object: `step_ms` of every step after the warm-up, `loss` of every step, the tokens
of a step, `memory_mib` in use on the device at the end, versions. It is written the way a PyTorch
user would want it fast: torch.compile of the whole model with its loss, autocast to bf16 over f32
weights, cuDNN attention, fused AdamW, clipping at a global norm of 1.0, and `--warm_up` steps that
compile. `--state bf16` keeps weights, gradients and moments in bf16 instead. `--load FOLDER` takes
model, weights and batches from what `gpu_train --dump FOLDER` wrote, and trains on all of them
(track.py); `--residual bf16` keeps the sum that runs through the blocks in bf16, as gpu_train does,
where autocast has it in f32; `--device cpu`, in f32 and not compiled, is for the test of that.
Exit code 75: PyTorch cannot be imported, or sees no GPU.
"""
import argparse
import json
import pathlib
import statistics
import sys
import time

NO_TORCH = 75

try:
    import torch
except ImportError as reason:
    print(f'twin.py: PyTorch cannot be imported: {reason}', file=sys.stderr)
    sys.exit(NO_TORCH)
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

VOCABULARY = 50304
NOT_NAMED = {'embedding', 'attention', 'ffn'}   # layers of the library that have no module here
MODELS = {'124m': (12, 768, 12), '1.3b': (24, 2048, 16)}    # layers, hidden, heads


class Block(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.output = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        sequences, tokens, hidden = x.shape
        split = (sequences, tokens, 3, self.heads, hidden // self.heads)
        q, k, v = self.qkv(self.norm1(x)).view(split).permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(y.transpose(1, 2).reshape(x.shape))
        return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate='tanh'))


class Gpt(nn.Module):
    def __init__(self, layers, hidden, heads, sequence, vocabulary=VOCABULARY):
        super().__init__()
        self.residual = None
        self.tokens = nn.Embedding(vocabulary, hidden)
        self.positions = nn.Embedding(sequence, hidden)
        self.blocks = nn.ModuleList(Block(hidden, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(('output.weight', 'down.weight'))
                nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5 if residual else 0.02)
            elif name.endswith('bias'):
                nn.init.zeros_(parameter)
        self.register_buffer('place', torch.arange(sequence), persistent=False)

    def forward(self, tokens, targets):
        x = self.tokens(tokens) + self.positions(self.place)
        if self.residual is not None:
            x = x.to(self.residual)
        for block in self.blocks:
            x = block(x)
        logits = functional.linear(self.norm(x), self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def make_optimizer(model, lr):
    decayed = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    groups = [{'params': decayed, 'weight_decay': 0.1}, {'params': others, 'weight_decay': 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), eps=1e-8, fused=True)


class Dump:
    """What gpu_train --dump wrote."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.index = json.loads((self.folder / 'index.json').read_text())
        shape = [self.index[key] for key in ('steps', 'batch', 'sequence')]
        self.batches = [self.read(f'{name}.bin', torch.int32).view(shape)
                        for name in ('tokens', 'targets')]

    def read(self, name, dtype):
        path = self.folder / name
        count = path.stat().st_size // dtype.itemsize
        return torch.from_file(str(path), size=count, dtype=dtype, device='cpu')

    def model(self):
        i = self.index
        model = Gpt(i['layers'], i['hidden'], i['heads'], i['sequence'], i['vocabulary'])
        values, ours = self.read('weights.bin', torch.float32), dict(model.named_parameters())
        for entry in i['weights']:
            *path, kind = entry['name'].split('/')
            kind = {'gamma': 'weight', 'beta': 'bias'}.get(kind, kind)
            parameter = ours.pop('.'.join([*(p for p in path if p not in NOT_NAMED), kind]))
            value = values[entry['offset']:][:parameter.numel()].view(entry['shape'])
            if path[-1] == 'qkv':   # [heads, 3, …] there, [3, heads, …] here
                value = value.transpose(0, 1)
            parameter.data.copy_(value.reshape(parameter.shape))
        if ours:
            sys.exit(f'twin.py: {self.folder} lacks the weights {", ".join(ours)}')
        return model


def make_model(options, dump):
    if dump:
        return dump.model()
    return Gpt(*MODELS[options.model], options.sequence)


def make_batch(options, dump, step):
    """Tokens and targets [accumulation, micro_batch, sequence] on the device."""
    shape = (options.accumulation, options.micro_batch, options.sequence)
    if dump:
        return [part[step].view(shape).long().to(options.device) for part in dump.batches]
    tokens = torch.randint(VOCABULARY, shape)
    if options.device == 'cuda':
        tokens = tokens.pin_memory().to('cuda', non_blocking=True)
    return tokens, tokens.roll(-1, dims=-1)


def train(options):
    """Times of all steps in ms, and their losses."""
    cuda = options.device == 'cuda'
    dump = Dump(options.load) if options.load else None
    if dump:
        adopt(options, dump.index)
    torch.manual_seed(1)
    torch.set_float32_matmul_precision('high' if cuda else 'highest')
    state = torch.bfloat16 if options.state == 'bf16' else torch.float32
    with torch.device(options.device):
        model = make_model(options, dump).to(state)
    if options.residual == 'bf16':
        model.residual = torch.bfloat16
    optimizer = make_optimizer(model, options.lr)
    mode = None if options.mode == 'default' else options.mode
    step_model = torch.compile(model, mode=mode) if cuda else model
    autocast = torch.autocast('cuda', dtype=torch.bfloat16, enabled=cuda and options.state == 'f32')
    attention = SDPBackend.CUDNN_ATTENTION if cuda else SDPBackend.MATH
    synchronize = torch.cuda.synchronize if cuda else lambda: None
    times, losses = [], []
    for step in range(options.warm_up + options.steps):
        tokens, targets = make_batch(options, dump, step)
        synchronize()
        start = time.perf_counter()
        total = torch.zeros((), device=options.device)
        for i in range(options.accumulation):
            with autocast, sdpa_kernel(attention):
                loss = step_model(tokens[i], targets[i]) / options.accumulation
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group['lr'] = options.lr * min(1, (step + 1) / max(1, options.lr_warm_up))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        synchronize()
        times.append((time.perf_counter() - start) * 1e3)
        losses.append(total.item())
    return times, losses


def adopt(options, index):
    """Sizes that a dump decides; the batch may be cut into other micro-batches than it was."""
    options.model, options.sequence = index['model'], index['sequence']
    options.warm_up, options.steps = 0, index['steps']
    options.lr, options.lr_warm_up = index['lr'], index['lr_warm_up']
    if options.micro_batch * options.accumulation != index['batch']:
        sys.exit(f'twin.py: micro_batch * accumulation = {options.micro_batch} * '
                 f'{options.accumulation}, allowed products that are {index["batch"]}')


def parse():
    parser = argparse.ArgumentParser(description='PyTorch twin of gpu_train')
    parser.add_argument('--model', choices=MODELS, default='1.3b')
    for name, default in (('sequence', 2048), ('micro_batch', 8), ('accumulation', 2),
                          ('steps', 20), ('warm_up', 5)):
        parser.add_argument(f'--{name}', type=int, default=default)
    parser.add_argument('--state', choices=('f32', 'bf16'), default='f32',
                        help='of weights, gradients and moments')
    parser.add_argument('--mode', default='default', choices=(
        'default', 'max-autotune-no-cudagraphs', 'max-autotune'), help='of torch.compile')
    parser.add_argument('--residual', choices=('f32', 'bf16'), default='f32',
                        help='of the sum that runs through the blocks')
    parser.add_argument('--lr', type=float, default=3e-4)
    parser.add_argument('--lr_warm_up', type=int, default=0,
                        help='steps until the learning rate is reached')
    parser.add_argument('--load', help='folder that gpu_train --dump wrote')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    return parser.parse_args()


def main():
    options = parse()
    cuda = options.device == 'cuda'
    if cuda and not torch.cuda.is_available():
        print('twin.py: PyTorch sees no GPU', file=sys.stderr)
        sys.exit(NO_TORCH)
    times, losses = train(options)
    free, total = torch.cuda.mem_get_info() if cuda else (0, 0)
    step_ms = times[options.warm_up:]
    print(json.dumps({
        'program': 'twin', 'model': options.model, 'sequence': options.sequence,
        'micro_batch': options.micro_batch, 'accumulation': options.accumulation,
        'tokens': options.sequence * options.micro_batch * options.accumulation,
        'memory_mib': (total - free) >> 20,
        'peak_tensors_mib': torch.cuda.max_memory_allocated() >> 20 if cuda else 0,
        'median_ms': round(statistics.median(step_ms), 4),
        'step_ms': [round(t, 4) for t in step_ms], 'loss': [round(x, 7) for x in losses],
        'state': options.state, 'mode': options.mode, 'torch': torch.__version__,
        'cudnn': torch.backends.cudnn.version(), 'cuda': torch.version.cuda}))


if __name__ == '__main__':
    main()
