#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares gpu_train (this library) with twin.py (PyTorch) on one GPU, and with a step's floor.

    python3 benchmarks/gpu_train/run.py --build build/cuda --model 1.3b --sequence 2048 \\
        --micro_batch 8 --accumulation 2 --rounds 3 [--floor] [-- options for gpu_train]

The two run in turn, --rounds times, each in a process of its own, the order changing from round to
round. While a program runs, nvidia-smi is asked for power, clocks, temperature and memory; nothing
of the GPU is changed. Prints one JSON object, and a line of it on standard error: `ratio` is
gpu_train's tokens/s over the twin's, from the medians of all steps; `ratio_by_round` shows how far
it can be trusted; `over_floor` is gpu_train's median step over the floor of the same run. Where
PyTorch cannot be imported, or with --no_twin, gpu_train runs alone. all.py runs the configurations
that the project is judged by.

Each process warms up for about ten seconds before its steps count (--warm_up, --twin_warm_up), and
its steps take about as long (--steps): a card that gets warm lowers its clocks.
The first round's timed choices of algorithms are kept in --algorithms (default: a file of this run)
and used by the others.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
NO_TORCH = 75       # twin.py's exit code where PyTorch cannot be imported
TEN_SECONDS = {'1.3b': 20, '124m': 75}     # in steps
SIZES = ('model', 'sequence', 'micro_batch', 'accumulation')
ASKED = ('power.draw', 'clocks.sm', 'clocks.mem', 'temperature.gpu', 'memory.used')


def ask(fields):
    """What nvidia-smi says of the first GPU; empty where there is no nvidia-smi."""
    command = ['nvidia-smi', f'--query-gpu={",".join(fields)}', '--format=csv,noheader,nounits',
               '-i', '0']
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    values = [value.strip() for value in done.stdout.strip().split(',')]
    return dict(zip(fields, values)) if done.returncode == 0 and len(values) == len(fields) else {}


class Watch:
    """Asks nvidia-smi twice a second until it is left."""

    def __init__(self):
        self.samples, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.over.wait(0.5):
            sample = ask(ASKED)
            if sample:
                self.samples.append(sample)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def numbers(self, field):
        return [float(s[field]) for s in self.samples if s[field].replace('.', '', 1).isdigit()]

    def summary(self):
        """Medians over the busy half of the run (by power); the most memory that was in use."""
        power = self.numbers('power.draw')
        if not power:
            return {}
        busy = [s for s in self.samples if s['power.draw'].replace('.', '', 1).isdigit()
                and float(s['power.draw']) >= 0.7 * max(power)]
        median = lambda field: statistics.median(float(s[field]) for s in busy)
        return {'power_w': median('power.draw'), 'sm_mhz': median('clocks.sm'),
                'memory_mhz': median('clocks.mem'), 'celsius': median('temperature.gpu'),
                'peak_memory_mib': max(self.numbers('memory.used'))}


def run(command):
    """The JSON object that a program prints last, and what nvidia-smi said meanwhile."""
    print(f'run.py: {" ".join(command)}', file=sys.stderr)
    with Watch() as watch:
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == NO_TORCH:
        return None, done.stderr.strip()
    if done.returncode != 0:
        sys.exit(f'run.py: {command[0]} ended with {done.returncode}:\n'
                 f'{done.stdout[-2000:]}\n{done.stderr[-4000:]}')
    try:
        lines = done.stdout.strip().splitlines()
        result = json.loads(lines[-1])
    except (IndexError, ValueError) as reason:
        sys.exit(f'run.py: {command[0]} printed no JSON object: {reason!r}')
    if len(lines) > 1:
        print('\n'.join(lines[:-1]), file=sys.stderr)
    return result | {'gpu': watch.summary()}, ''


def measure(commands, rounds):
    """Name → the results of its rounds; a name whose program cannot run maps to the reason."""
    results = {name: [] for name in commands}
    for number in range(rounds):
        names = list(commands) if number % 2 == 0 else list(commands)[::-1]
        for name in names:
            if isinstance(results[name], str):
                continue
            result, reason = run(commands[name])
            if result is None:
                results[name] = reason
            else:
                results[name].append(result)
    return results


def summary(results):
    """Medians over all steps of all rounds."""
    steps = [t for result in results for t in result['step_ms']]
    median, tokens = statistics.median(steps), results[0]['tokens']
    about = {key: value for key, value in results[0].items()
             if key not in ('step_ms', 'loss', 'tokens', 'median_ms', 'gpu', 'memory_mib')}
    return {'median_ms': round(median, 3), 'tokens_per_s': round(tokens / median * 1e3),
            'min_ms': round(min(steps), 3), 'steps': len(steps), 'tokens': tokens,
            'round_ms': [round(statistics.median(r['step_ms']), 3) for r in results],
            'memory_mib': max(r['memory_mib'] for r in results),
            'gpu': [r['gpu'] for r in results],
            'loss_first_last': [results[0]['loss'][0], results[0]['loss'][-1]], 'about': about}


def parse(words=None):
    parser = argparse.ArgumentParser(description='gpu_train against its PyTorch twin')
    parser.add_argument('--build', default='build/cuda', help='folder of the build')
    parser.add_argument('--python', default=sys.executable, help='an interpreter that has PyTorch')
    parser.add_argument('--model', choices=TEN_SECONDS, default='1.3b')
    for name, default in (('sequence', 2048), ('micro_batch', 8), ('accumulation', 2),
                          ('rounds', 3)):
        parser.add_argument(f'--{name}', type=int, default=default)
    for name in ('steps', 'warm_up', 'twin_warm_up'):
        parser.add_argument(f'--{name}', type=int, help='default: about ten seconds')
    parser.add_argument('--state', choices=('f32', 'bf16'), default='f32', help="the twin's")
    parser.add_argument('--floor', action='store_true', help='measure the floor of a step too')
    parser.add_argument('--no_twin', action='store_true', help='gpu_train alone')
    parser.add_argument('--algorithms', help='file of timed choices: read, or written')
    parser.add_argument('--libraries', help="folder of the twin's cuDNN, for gpu_train to load too")
    parser.add_argument('rest', nargs='*', help='after --: further options for gpu_train')
    options = parser.parse_args(words)
    for name in ('steps', 'warm_up', 'twin_warm_up'):
        if getattr(options, name) is None:
            setattr(options, name, TEN_SECONDS[options.model])
    return options


def commands_of(options, folder):
    sizes = [word for name in SIZES for word in (f'--{name}', str(getattr(options, name)))]
    steps = ['--steps', str(options.steps)]
    benchmarks = pathlib.Path(options.build).resolve() / 'benchmarks'
    table = options.algorithms or str(pathlib.Path(folder) / 'algorithms.txt')
    ours = [str(benchmarks / 'gpu_train' / 'gpu_train'), *sizes, *steps,
            '--warm_up', str(options.warm_up), '--algorithms', table, *options.rest]
    twin = [options.python, str(HERE / 'twin.py'), *sizes, *steps,
            '--warm_up', str(options.twin_warm_up), '--state', options.state]
    floor = [str(benchmarks / 'floor' / 'floor_benchmark'), *sizes]
    if options.libraries:
        setting = ['env', f'LD_LIBRARY_PATH={options.libraries}']
        ours, floor = setting + ours, setting + floor
    return ours, twin, floor


def line(options, report):
    """The report in one line."""
    def of(name):
        side = report[name]
        rate = f'{side["tokens_per_s"]} tokens/s'
        asked = [gpu for gpu in side['gpu'] if gpu]
        state = ''.join(f', {statistics.median(gpu[key] for gpu in asked):.0f} {unit}'
                        for key, unit in (('power_w', 'W'), ('sm_mhz', 'MHz')) if asked)
        return f'{name} {side["median_ms"]} ms, {rate}, {side["memory_mib"]} MiB{state}'
    batch = f'{options.micro_batch} x {options.accumulation}'
    parts = [f'{options.model}, S {options.sequence}, {batch}', of('gpu_train')]
    if isinstance(report.get('twin'), dict):
        parts += [of('twin'), f'ratio {report["ratio"]} {report["ratio_by_round"]}']
    if 'over_floor' in report:
        parts.append(f'floor {report["floor"]["floor_ms"]:.1f} ms, over it {report["over_floor"]}')
    return '; '.join([report['card'].get('name', 'no nvidia-smi'), *parts])


def compare(options):
    """The report on one configuration."""
    with tempfile.TemporaryDirectory() as folder:
        ours, twin, floor = commands_of(options, folder)
        program = next(word for word in ours if word.endswith('/gpu_train'))
        if not pathlib.Path(program).is_file():
            sys.exit(f'run.py: no program {program}: build the target gpu_train, or give --build')
        commands = {'gpu_train': ours} | ({} if options.no_twin else {'twin': twin})
        report = {'card': ask(('name', 'driver_version', 'power.limit', 'memory.total')),
                  'rounds': options.rounds}
        if options.floor:
            report['floor'] = run(floor)[0]
        results = measure(commands, options.rounds)
    report['gpu_train'] = summary(results['gpu_train'])
    if options.floor:
        floor_ms = report['floor']['floor_ms']
        report['over_floor'] = round(report['gpu_train']['median_ms'] / floor_ms, 4)
    if isinstance(results.get('twin'), str):
        report['twin'] = results['twin']
    elif 'twin' in results:
        report['twin'] = summary(results['twin'])
        ours, theirs = report['gpu_train'], report['twin']
        if ours['tokens'] != theirs['tokens']:
            sys.exit(f'run.py: {ours["tokens"]} and {theirs["tokens"]} tokens do not compare')
        report['ratio'] = round(theirs['median_ms'] / ours['median_ms'], 4)
        pairs = zip(ours['round_ms'], theirs['round_ms'])
        report['ratio_by_round'] = [round(b / a, 4) for a, b in pairs]
        report['memory_ratio'] = round(ours['memory_mib'] / theirs['memory_mib'], 4)
    return report


def main():
    options = parse()
    report = compare(options)
    print(json.dumps(report, indent=2))
    print(line(options, report), file=sys.stderr)


if __name__ == '__main__':
    main()
