#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does the loss follow PyTorch's? From the same weights, on the same batches, step by step.

    python3 benchmarks/gpu_train/track.py --build build/cuda --steps 100

gpu_train starts from its own weights and writes them and all batches (--dump); twin.py trains on
them (--load), twice: as PyTorch does it, and with what changes nothing but rounding: each
micro-batch cut in two (autocast rounds the gradient of a weight for each) and, on a GPU, the
residual stream in bf16, as gpu_train has it. How far the two runs of PyTorch are apart is what bf16
costs; gpu_train may be `--times` as far from the first, or `--least` where that is more, since two
runs can agree by luck; the largest distance of a step may be five times `--least`. The learning
rate rises over `--lr_warm_up` steps: without that PyTorch's own loss jumps for a step early on, and
how high is a matter of the last bits. The data can be learnt, and the loss must fall by `--fall`: runs that learn
nothing agree whatever is wrong with them.

Prints a table and PASS or FAIL on standard error, one JSON object on standard output. Exit status:
0 passed, 1 failed, 77 PyTorch is absent. --device cpu --model tiny compares in f32, without a GPU.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile

from run import ask, run

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77
SHOWN = (1, 2, 5, 10, 20, 50)


def distance(a, b):
    """Mean, largest and signed mean of b − a over the steps, in nats."""
    differences = [y - x for x, y in zip(a, b, strict=True)]
    return {'mean': statistics.fmean(map(abs, differences)), 'largest': max(map(abs, differences)),
            'signed': statistics.fmean(differences)}


def judge(ours, twin, other, limits):
    """The numbers of three lists of losses, and the reasons why they do not pass."""
    found, noise = distance(twin, ours), distance(twin, other)
    allowed = {'mean': max(limits.times * noise['mean'], limits.least),
               'largest': max(limits.times * noise['largest'], 5 * limits.least)}
    tail = max(1, len(twin) // 10)
    fall = twin[0] - statistics.fmean(twin[-tail:])
    problems = [f'{name} distance {found[name]:.2e}, allowed {allowed[name]:.2e}'
                for name in allowed if not found[name] <= allowed[name]]
    if not fall >= limits.fall:
        problems.append(f'the loss fell by {fall:.3f}, needed {limits.fall}')
    return {'steps': len(twin), 'loss_first': twin[0], 'fall': fall, 'distance': found,
            'noise': noise, 'allowed': allowed, 'problems': problems,
            'result': 'FAIL' if problems else 'PASS'}


def losses(command):
    result, reason = run(command)
    if result is None:
        print(f'track.py: {reason}', file=sys.stderr)
        sys.exit(SKIPPED)
    return result['loss']


def commands(options, folder):
    program = pathlib.Path(options.build).resolve() / 'benchmarks' / 'gpu_train' / 'gpu_train'
    if not program.is_file():
        sys.exit(f'track.py: no program {program}: build the target gpu_train, or give --build')
    environment = ['env', f'LD_LIBRARY_PATH={options.libraries}'] if options.libraries else []
    ours = [*environment, str(program), '--model', options.model, '--sequence',
            str(options.sequence), '--steps', str(options.steps), '--warm_up', '0', '--data',
            'bigram', '--lr', str(options.lr), '--lr_warm_up', str(options.lr_warm_up), '--device',
            options.device, '--dump', folder]
    twin = [options.python, str(HERE / 'twin.py'), '--device', options.device, '--load', folder]
    def cut(parts):
        return ['--micro_batch', str(options.micro_batch // parts),
                '--accumulation', str(options.accumulation * parts)]
    rounding = ['--residual', 'bf16'] if options.device == 'cuda' else []
    return ours + cut(1), twin + cut(1), twin + cut(2) + rounding


def parse(words=None):
    parser = argparse.ArgumentParser(description="gpu_train's losses beside PyTorch's")
    parser.add_argument('--build', default='build/cuda', help='folder of the build')
    parser.add_argument('--python', default=sys.executable, help='an interpreter that has PyTorch')
    parser.add_argument('--model', choices=('124m', '1.3b', 'tiny'), default='124m')
    for name, default in (('sequence', 1024), ('micro_batch', 16), ('accumulation', 1),
                          ('steps', 100), ('lr_warm_up', 20)):
        parser.add_argument(f'--{name}', type=int, default=default)
    parser.add_argument('--lr', type=float, default=3e-4)
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    parser.add_argument('--libraries', help="folder of the twin's cuDNN, for gpu_train to load too")
    parser.add_argument('--times', type=float, default=3, help='of the distance of the two twins')
    parser.add_argument('--least', type=float, default=1e-3, help='nats that are always allowed')
    parser.add_argument('--fall', type=float, default=0.5, help='nats that the loss must fall by')
    options = parser.parse_args(words)
    if options.micro_batch % 2:
        parser.error(f'--micro_batch {options.micro_batch}: allowed even numbers')
    return options


def show(report, ours, twin, other):
    print('  step   gpu_train     PyTorch  difference  PyTorch, rounded otherwise', file=sys.stderr)
    for step in [s for s in SHOWN if s < len(twin)] + [len(twin)]:
        a, b, c = (side[step - 1] for side in (ours, twin, other))
        print(f'{step:6} {a:11.5f} {b:11.5f} {a - b:+11.1e} {c - b:+11.1e}', file=sys.stderr)
    found, noise = report['distance'], report['noise']
    print(f'mean {found["mean"]:.2e} beside {noise["mean"]:.2e} of the two twins, largest '
          f'{found["largest"]:.2e} beside {noise["largest"]:.2e}, signed {found["signed"]:+.2e}; '
          f'the loss fell by {report["fall"]:.3f}', file=sys.stderr)
    print('; '.join([report['result'], *report['problems']]), file=sys.stderr)


def main():
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        ours, twin, other = map(losses, commands(options, folder))
    report = judge(ours, twin, other, options)
    about = {key: getattr(options, key) for key in ('model', 'sequence', 'micro_batch',
                                                    'accumulation', 'lr', 'lr_warm_up', 'device')}
    card = ask(('name', 'driver_version')) if options.device == 'cuda' else {}
    print(json.dumps({'card': card, **about, **report, 'gpu_train': ours, 'twin': twin,
                      'twin_rounded_otherwise': other}))
    show(report, ours, twin, other)
    return 0 if report['result'] == 'PASS' else 1


if __name__ == '__main__':
    sys.exit(main())
