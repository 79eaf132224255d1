#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The three configurations that the project is judged by, each with its floor and its bars.

    python3 benchmarks/gpu_train/all.py --build build/cuda --rounds 1 [--only 124m] [further options
        of run.py, such as --libraries FOLDER] > report.json

One after the other as run.py does it, floor included. A configuration whose program fails is one
line of the table, and the others still run. Prints a line as soon as a configuration is over and
the table at the end on standard error, all numbers as JSON on standard output. Exit status: 0 all
bars are met, 1 one is not or was not measured.
"""
import argparse
import json
import sys

import run

CONFIGURATIONS = (      # model, sequence, micro_batch, accumulation, least ratio
    ('1.3b', 2048, 8, 2, 1.10),
    ('1.3b', 1024, 16, 2, 1.10),
    ('124m', 1024, 64, 1, 1.02),
)
MOST_OVER_FLOOR, MOST_MEMORY = 1.04, 1.0
HEAD = ('configuration', 'ms', 'PyTorch', 'ratio', '>=', 'floor', 'over', '<=', 'MiB', 'PyTorch',
        'predicted', 'W', 'MHz', 'bars')


def bars_missed(report, least_ratio):
    """Names of the bars that a report does not meet; one that was not measured is not met."""
    missed = []
    for name, good in (('ratio', lambda x: x >= least_ratio),
                       ('over_floor', lambda x: x <= MOST_OVER_FLOOR),
                       ('memory_ratio', lambda x: x <= MOST_MEMORY)):
        if name not in report or not good(report[name]):
            missed.append(name)
    return missed


def measure(configuration, rest):
    model, sequence, micro_batch, accumulation, least_ratio = configuration
    options = run.parse(['--model', model, '--sequence', str(sequence), '--micro_batch',
                         str(micro_batch), '--accumulation', str(accumulation), '--floor', *rest])
    try:
        report = run.compare(options)
    except SystemExit as reason:    # run.py stops where a program fails
        print(reason, file=sys.stderr)
        report = {'failed': str(reason)}
    else:
        print(run.line(options, report), file=sys.stderr)
    report['bars_missed'] = bars_missed(report, least_ratio)
    return report


def row(configuration, report):
    model, sequence, micro_batch, accumulation, least_ratio = configuration
    name = f'{model} S {sequence} {micro_batch}x{accumulation}'
    if 'failed' in report:
        return (name, *['-'] * 12, 'failed')
    ours, twin = report['gpu_train'], report['twin']
    theirs = twin if isinstance(twin, dict) else {}
    gpu = ours['gpu'][-1]
    number = lambda side, key, text: format(side[key], text) if key in side else '-'
    return (name, f'{ours["median_ms"]:.1f}', number(theirs, 'median_ms', '.1f'),
            number(report, 'ratio', '.3f'), f'{least_ratio:.2f}',
            f'{report["floor"]["floor_ms"]:.1f}', number(report, 'over_floor', '.3f'),
            f'{MOST_OVER_FLOOR}', str(ours['memory_mib']), number(theirs, 'memory_mib', 'd'),
            number(ours['about'], 'predicted_mib', '.0f'), number(gpu, 'power_w', '.0f'),
            number(gpu, 'sm_mhz', '.0f'), ', '.join(report['bars_missed']) or 'met')


def table(rows):
    widths = [max(len(line[i]) for line in rows) for i in range(len(HEAD))]
    return '\n'.join('  '.join(cell.ljust(width) if i in (0, len(HEAD) - 1) else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(line, widths)))
                     for line in rows)


def main():
    parser = argparse.ArgumentParser(description='All judged configurations', add_help=True)
    parser.add_argument('--only', choices=('1.3b', '124m'), help='configurations of one model')
    options, rest = parser.parse_known_args()
    chosen = [c for c in CONFIGURATIONS if options.only in (None, c[0])]
    reports = [measure(configuration, rest) for configuration in chosen]
    print(json.dumps(reports, indent=2))
    cards = {report['card'].get('name', 'no nvidia-smi') for report in reports if 'card' in report}
    print(', '.join(sorted(cards)), file=sys.stderr)
    print(table([HEAD, *map(row, chosen, reports)]), file=sys.stderr)
    return 1 if any(report['bars_missed'] for report in reports) else 0


if __name__ == '__main__':
    sys.exit(main())
