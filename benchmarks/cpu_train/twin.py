#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The PyTorch twin of cpu_train: the same GPT, batch, clipping and AdamW, eager, in f32 on the CPU.

    python3 benchmarks/cpu_train/twin.py --threads 2 --steps 60

Prints one JSON object: `step_ms`, the time of every step after the warm-up, in order; their median;
the tokens of a step; versions. A step is forward, backward, clipping at a global norm of 1.0, and
AdamW. It is written the way a PyTorch user would want it fast: one QKV product, a fused CPU kernel
for attention, the fused AdamW (`--adamw foreach` and `--adamw loop` are the other two; `auto` times
a few steps of each and takes the fastest).
Exit code 75: PyTorch cannot be imported.
"""
import argparse
import json
import statistics
import sys
import time

try:
    import torch
except ImportError as reason:
    print(f'twin.py: PyTorch cannot be imported: {reason}', file=sys.stderr)
    sys.exit(75)
from torch import nn
from torch.nn import functional


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
    def __init__(self, layers, hidden, heads, vocab, sequence):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, hidden), nn.Embedding(sequence, hidden)
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
        for block in self.blocks:
            x = block(x)
        logits = functional.linear(self.norm(x), self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def make_optimizer(model, kind):
    decayed = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    groups = [{'params': decayed, 'weight_decay': 0.1}, {'params': others, 'weight_decay': 0.0}]
    flags = {'fused': {'fused': True}, 'foreach': {'foreach': True}, 'loop': {'foreach': False}}
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, **flags[kind])


def timed_steps(options, kind, steps, warm_up):
    """Times of `steps` steps in ms, after `warm_up` that are not counted; and the last loss."""
    torch.manual_seed(1)
    model = Gpt(options.layers, options.hidden, options.heads, options.vocab, options.sequence)
    optimizer = make_optimizer(model, kind)
    shape = (warm_up + steps, options.sequences, options.sequence)
    tokens = torch.randint(options.vocab, shape)
    targets = tokens.roll(-1, dims=-1)
    times = []
    for step in range(warm_up + steps):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = model(tokens[step], targets[step])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        times.append((time.perf_counter() - start) * 1e3)
    return times[warm_up:], loss.item()


def profile(options, kind):
    """Where a step's time goes, as a table on standard error."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as record:
        timed_steps(options, kind, 20, 5)
    table = record.key_averages().table(sort_by='self_cpu_time_total', row_limit=30)
    print(table, file=sys.stderr)


def parse():
    parser = argparse.ArgumentParser(description='PyTorch twin of cpu_train')
    for name, default in (('layers', 4), ('hidden', 128), ('heads', 4), ('vocab', 256),
                          ('sequence', 64), ('sequences', 12), ('threads', 2),
                          ('steps', 60), ('warm-up', 10)):
        parser.add_argument(f'--{name}', type=int, default=default)
    parser.add_argument('--adamw', choices=('fused', 'foreach', 'loop', 'auto'), default='fused')
    parser.add_argument('--profile', action='store_true', help='a table of operations on stderr')
    return parser.parse_args()


def main():
    options = parse()
    torch.set_num_threads(options.threads)
    kind = options.adamw
    if kind == 'auto':
        medians = {k: statistics.median(timed_steps(options, k, 20, 5)[0])
                   for k in ('fused', 'foreach', 'loop')}
        kind = min(medians, key=medians.get)
    step_ms, loss = timed_steps(options, kind, options.steps, options.warm_up)
    if options.profile:
        profile(options, kind)
    print(json.dumps({
        'program': 'twin', 'tokens': options.sequences * options.sequence,
        'median_ms': round(statistics.median(step_ms), 4),
        'step_ms': [round(t, 4) for t in step_ms], 'last_loss': loss, 'adamw': kind,
        'threads': options.threads, 'torch': torch.__version__,
        'python': '.'.join(map(str, sys.version_info[:3]))}))


if __name__ == '__main__':
    main()
