#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares cpu_train (this library) with twin.py (PyTorch): the same GPT, batch, clipping and AdamW.

    python3 benchmarks/cpu_train/run.py --program build/release/benchmarks/cpu_train/cpu_train

The two run in turn, --rounds times, each in a process of its own, the order changing from round to
round, so that whatever else the machine does falls on both. Prints one JSON object; `ratio` is the
program's tokens/s over the twin's, from the medians of all steps, and `ratio_by_round` shows how
far it can be trusted. Where PyTorch cannot be imported, the program runs alone and `twin` says why.
The program prints one JSON object with `step_ms` (a list) and `tokens` (of a step); whatever else
it prints there is passed on. Both get the number of threads in OMP_NUM_THREADS.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
NO_TORCH = 75       # twin.py's exit code where PyTorch cannot be imported


def machine():
    """What the numbers were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = pathlib.Path('/proc/cpuinfo')
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith('model name')]
        model = names[0].split(':', 1)[1].strip() if names else model
    return {'cpu': model, 'cores': len(os.sched_getaffinity(0)), 'system': platform.platform()}


def run(command, threads):
    """The JSON object that a program prints last; exits with its message if it fails."""
    environment = os.environ | {'OMP_NUM_THREADS': str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode == NO_TORCH:
        return None, done.stderr.strip()
    if done.returncode != 0:
        sys.exit(f'run.py: {" ".join(command)} ended with {done.returncode}:\n{done.stderr}')
    try:
        result = json.loads(done.stdout.strip().splitlines()[-1])
        if not result['step_ms'] or result['tokens'] <= 0:
            raise ValueError('no steps')
    except (IndexError, KeyError, TypeError, ValueError) as reason:
        sys.exit(f'run.py: {command[0]} printed no JSON object with step_ms and tokens: {reason!r}')
    if result.get('threads', threads) != threads:
        sys.exit(f'run.py: {command[0]} ran {result["threads"]} threads, not {threads}')
    return result, ''


def measure(commands, rounds, threads):
    """Name → the results of its rounds; a name whose program cannot run maps to the reason."""
    results = {name: [] for name in commands}
    for number in range(rounds):
        names = list(commands) if number % 2 == 0 else list(commands)[::-1]
        for name in names:
            if isinstance(results[name], str):
                continue
            result, reason = run(commands[name], threads)
            if result is None:
                results[name] = reason
            else:
                results[name].append(result)
    return results


def summary(results):
    """Medians over all steps of all rounds, and what the program said of itself."""
    steps = [t for result in results for t in result['step_ms']]
    median, tokens = statistics.median(steps), results[0]['tokens']
    about = {key: value for key, value in results[0].items()
             if key not in ('step_ms', 'tokens', 'median_ms')}
    return {'median_ms': round(median, 4), 'tokens_per_s': round(tokens / median * 1e3, 1),
            'min_ms': round(min(steps), 4), 'steps': len(steps), 'tokens': tokens,
            'round_ms': [round(statistics.median(r['step_ms']), 4) for r in results],
            'about': about}


def parse():
    parser = argparse.ArgumentParser(description='cpu_train against its PyTorch twin')
    parser.add_argument('--program', default='build/release/benchmarks/cpu_train/cpu_train')
    parser.add_argument('--python', default=sys.executable, help='an interpreter that has PyTorch')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=2)
    options = parser.parse_args()
    if options.rounds < 1 or options.threads < 1:
        parser.error('--rounds and --threads start at 1')
    if not pathlib.Path(options.program).is_file():
        parser.error(f'no program {options.program}: build the target cpu_train, or give --program')
    return options


def main():
    options = parse()
    twin = [options.python, str(HERE / 'twin.py'), '--threads', str(options.threads)]
    commands = {'cpu_train': [str(pathlib.Path(options.program).resolve())], 'twin': twin}
    load = os.getloadavg()[0]
    results = measure(commands, options.rounds, options.threads)
    report = {'rounds': options.rounds, 'threads': options.threads, 'load_before': round(load, 2),
              'machine': machine(), 'cpu_train': summary(results['cpu_train'])}
    if isinstance(results['twin'], str):
        report |= {'twin': results['twin'], 'ratio': None}
    else:
        report['twin'] = summary(results['twin'])
        ours, theirs = report['cpu_train'], report['twin']
        if ours['tokens'] != theirs['tokens']:
            sys.exit(f'run.py: steps of {ours["tokens"]} and {theirs["tokens"]} tokens do not compare')
        report['ratio'] = round(ours['tokens_per_s'] / theirs['tokens_per_s'], 3)
        pairs = zip(ours['round_ms'], theirs['round_ms'])
        report['ratio_by_round'] = [round(b / a, 3) for a, b in pairs]
    print(json.dumps(report, indent=2))


if __name__ == '__main__':
    main()
