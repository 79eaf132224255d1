#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Saving and loading against plain copies, writes and reads, and against PyTorch's async_save.

    python3 benchmarks/checkpoint/run.py --build build/release --directory build/checkpoint_out

checkpoint_benchmark alternates ours with the plain way within a process; that process and
async_save.py run in turn, --processes times. Prints one JSON object, and a table of medians on
standard error with the bars that the project is judged by. Without PyTorch its column is missing.
Computing is on one thread (OMP_NUM_THREADS=1), so that a core is free for the writer.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
NO_TORCH = 75


def parse():
    parser = argparse.ArgumentParser(description='checkpoint_benchmark beside async_save.py')
    parser.add_argument('--build', default='build/release', help='folder of the build')
    parser.add_argument('--python', default=sys.executable, help='an interpreter that has PyTorch')
    parser.add_argument('--bytes', type=int, default=1 << 30)
    parser.add_argument('--rounds', type=int, default=4, help='of a process')
    parser.add_argument('--processes', type=int, default=2)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--directory', default='checkpoint_benchmark', help='on the disk to measure')
    parser.add_argument('--no_torch', action='store_true', help='checkpoint_benchmark alone')
    parser.add_argument('rest', nargs='*', help='after --: further options for checkpoint_benchmark')
    return parser.parse_args()


def run(command):
    """The JSON object that a program prints last; None where it has no PyTorch."""
    print(f'run.py: {" ".join(command)}', file=sys.stderr)
    done = subprocess.run(command, capture_output=True, text=True,
                          env={**os.environ, 'OMP_NUM_THREADS': '1'})
    if done.returncode == NO_TORCH:
        return None
    if done.returncode != 0:
        sys.exit(f'run.py: {command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}\n'
                 f'{done.stderr[-4000:]}')
    return json.loads(done.stdout.strip().splitlines()[-1])


def joined(results):
    """The lists of several processes, one after the other; of other values, the first."""
    return {key: sum((result.get(key, []) for result in results), []) if isinstance(value, list)
            else value for key, value in results[0].items()}


def judge(ours):
    """Name → (what was found, what is allowed, whether it is so), from medians."""
    median = {key: statistics.median(value) for key, value in ours.items() if isinstance(value, list)}
    verdicts = {}
    allowed = max(0.02 * median['step'], median['copy'] / 0.85)
    verdicts['stall, s'] = (median['stall'], f'<= {allowed:.4f}', median['stall'] <= allowed)
    for name, part, whole, least in (('writing a file / plain', 'plain_write', 'file', 0.9),
                                     ('saving a set / plain', 'plain_set', 'set', 0.9),
                                     ('loading / plain reading', 'plain_read', 'load', 0.6)):
        if part in median and whole in median:
            ratio = statistics.median(a / b for a, b in zip(ours[part], ours[whole]))
            verdicts[name] = (ratio, f'>= {least}', ratio >= least)
    if 'file_cpu' in median:
        ratio = statistics.median(a / b for a, b in zip(ours['plain_write_cpu'], ours['file_cpu']))
        verdicts['a file / plain, CPU time'] = (ratio, '', True)
    for name, part, most in (('step while writing / alone', 'busy_step', 1.05),
                             ('step beside plain / alone', 'plain_step', None)):
        ratio = statistics.median(a / b for a, b in zip(ours[part], ours['step']))
        verdicts[name] = (ratio, f'<= {most}' if most else '', most is None or ratio <= most)
    return verdicts


def table(ours, theirs, verdicts):
    lines = [f'{"":14}{"dsr s":>10}{"GB/s":>8}{"PyTorch s":>12}']
    for name in ('copy', 'stall', 'plain_write', 'file', 'plain_set', 'set', 'plain_read', 'load',
                 'step', 'plain_step', 'busy_step'):
        if name not in ours:
            continue
        time = statistics.median(ours[name])
        rate = '' if 'step' in name else f'{ours["bytes"] / time / 1e9:.2f}'
        other = f'{statistics.median(theirs[name]):.4f}' if theirs and name in theirs else ''
        lines.append(f'{name:14}{time:10.4f}{rate:>8}{other:>12}')
    lines.append(f'{"reserve":14}{ours["reserve_s"]:10.4f}   loaded right: {ours["loaded_right"]}')
    for name, (found, allowed, fine) in verdicts.items():
        lines.append(f'{name:28}{found:8.4f}  {allowed:12}{"" if fine else "  MISSED"}')
    return '\n'.join(lines)


def main():
    options = parse()
    common = ['--bytes', str(options.bytes), '--rounds', str(options.rounds),
              '--threads', str(options.threads), '--device', options.device]
    folder = pathlib.Path(options.directory)
    program = pathlib.Path(options.build) / 'benchmarks' / 'checkpoint' / 'checkpoint_benchmark'
    commands = {'dsr': [str(program.resolve()), *common, '--directory', str(folder / 'dsr'),
                        *options.rest],
                'torch': [options.python, str(HERE / 'async_save.py'), *common,
                          '--directory', str(folder / 'torch')]}
    if options.no_torch:
        del commands['torch']
    results = {name: [] for name in commands}
    for number in range(options.processes):
        for name in list(commands)[::1 if number % 2 == 0 else -1]:
            result = run(commands[name])
            if result is not None:
                results[name].append(result)
    ours = joined(results['dsr'])
    theirs = joined(results['torch']) if results.get('torch') else None
    verdicts = judge(ours)
    print(json.dumps({'dsr': ours, 'torch': theirs, 'verdicts': verdicts}, indent=2))
    print(table(ours, theirs, verdicts), file=sys.stderr)


if __name__ == '__main__':
    main()
