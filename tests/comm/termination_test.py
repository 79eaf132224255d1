# SPDX-License-Identifier: Apache-2.0
"""Runs the failing program alone and under mpirun, and looks at exit code, messages and time.

Usage: termination_test.py PROGRAM MPIRUN [MPIRUN'S ARGUMENTS...]
"""
import subprocess
import sys
import time

PROGRAM, LAUNCHER = sys.argv[1], sys.argv[2:]
LIMIT_S = 60  # far above what any case takes, far below the time-out of the library
problems = []


def run(how, ranks):
    """Exit code, standard output, standard error and seconds; ranks = 0 runs without mpirun."""
    launch = [*LAUNCHER, '-np', str(ranks), PROGRAM, how] if ranks else [PROGRAM, how]
    begin = time.monotonic()
    try:
        done = subprocess.run(launch, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return None, '', '', LIMIT_S
    return done.returncode, done.stdout, done.stderr, time.monotonic() - begin


def expect(how, ranks, code, once=(), some=(), never=(), within_s=LIMIT_S):
    found, out, err, seconds = run(how, ranks)
    wrong = []
    if found is None:
        wrong.append(f'hangs for {LIMIT_S} s')
    elif found != code:
        wrong.append(f'exit code {found}, expected {code}')
    wrong += [f'{err.count(text)} times, expected once: {text}' for text in once if err.count(text) != 1]
    wrong += [f'missing: {text}' for text in some if text not in err]
    wrong += [f'unexpected: {text}' for text in never if text in err]
    if how not in ('caught', 'options') and out.count('started') != max(1, ranks):
        wrong.append(f'standard output was lost: {out!r}')
    if seconds > within_s:
        wrong.append(f'took {seconds:.1f} s, allowed {within_s}')
    print(f'{"FAIL" if wrong else "ok"}  {how} on {ranks or "no mpirun"}: {seconds:.1f} s', flush=True)
    if wrong:
        problems.append(how)
        print('   ' + '\n   '.join(wrong) + '\n--- stderr\n' + err, flush=True)


for ranks in (0, 1, 3):
    expect('none', ranks, 0, never=['dsr:'])
    # From inputs that all ranks share: all throw, one speaks.
    expect('input', ranks, 78, once=['dsr: model.heads: 4 % 3, allowed 0'], never=['uncaught on'])
    expect('usage', ranks, 64, once=['dsr: --stepz: unknown'], never=['uncaught on'])
    expect('options', ranks, 78, once=['RuntimeOptions.threads'], never=['uncaught on'])
    expect('agreed', ranks, 74, once=['dsr: train.bin: no such file'], never=['uncaught on'])
    # From this rank's own doing: whoever fails says where.
    expect('data', ranks, 65, some=['dsr: train.bin: odd size', 'uncaught on rank', 'last collective: none'])
    expect('io', ranks, 74, some=['dsr: train.bin: no such file'])
    expect('comm', ranks, 75, some=['dsr: peer: lost'])
    expect('standard', ranks, 70, some=['a standard error'])
    expect('number', ranks, 70, some=['no std::exception'])
    expect('worker', ranks, 74, some=['dsr: checkpoint: disk full'])
    expect('place', ranks, 74, some=['dp 1, row 0', 'last collective: barrier 1 of world'])

# On one rank alone: it speaks, after giving rank 0 its chance; the others do not hang.
expect('input_alone', 3, 78, once=['dsr: alone: here', 'uncaught on rank 2 of 3'])
expect('io_alone', 3, 74, once=['dsr: alone: here', 'uncaught on rank 2 of 3'])
expect('silence', 2, 75, once=['all_reduce 1 of row (400000 bytes) on rank 0 of 2'])

# An error that leaves the Runtime's scope: the job is aborted where others would wait; alone, main decides.
expect('caught', 3, 70, once=['an exception leaves the scope of Runtime on rank 0 of 3'], never=['main caught'])
expect('caught', 0, 74, once=['main caught dsr: caught: outside'])

sys.exit(f'failed: {", ".join(problems)}' if problems else 0)
