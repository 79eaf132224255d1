#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Eight ranks on one GPU as a small cluster with slow links: communication with overlap on and off.

    python3 benchmarks/one_gpu_cluster/run.py --build build/cuda

NCCL refuses two ranks on one GPU of a host, so each rank passes for a host of its own (NCCL_HOSTID)
and they talk over sockets on `lo`, under CUDA's Multi-Process Service. Each mesh trains the same
GPT with collectives beside compute and in its place, in turn, --rounds times. Prints a table and
one JSON object. total: the time in which a collective ran; exposed: the part of it in which the
compute queue stood still, both by intersecting intervals on the device's clock. Emulated: the
numbers say what overlaps, not how fast a real network would be.
"""
import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUPPORT = ROOT / 'tests' / 'support'
MESHES = ('dp=8', 'dp=4,row=2', 'dp=2,row=2,col=2', 'row=4,col=2')
NUMBERS = ('step_ms', 'total_ms', 'exposed_ms', 'comm_ms', 'exposed_comm_ms')
LABEL = 'emulated: one GPU'


def parse():
    parser = argparse.ArgumentParser(description=LABEL)
    parser.add_argument('--build', default='build/cuda')
    parser.add_argument('--meshes', nargs='+', default=list(MESHES), help='as dp=4,row=2')
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    parser.add_argument('--mpirun', default='mpirun')
    parser.add_argument('--timeout', type=int, default=180, help='seconds for one run')
    parser.add_argument('--traces', help="folder for rank 0's last step, for chrome://tracing")
    parser.add_argument('rest', nargs='*', help='after --: options for one_gpu_cluster')
    return parser.parse_args()


def launcher(name):
    """mpirun and its options: Open MPI wants to be told that ranks may share cores."""
    version = subprocess.run([name, '--version'], capture_output=True, text=True).stdout
    if 'Open MPI' in version or 'OpenRTE' in version:
        return [name, '--allow-run-as-root', '--oversubscribe', '--bind-to', 'none']
    return [name]


def gpu():
    if shutil.which('nvidia-smi') is None:
        return 'no nvidia-smi'
    fields = 'name,driver_version,power.limit,clocks.sm'
    done = subprocess.run(['nvidia-smi', f'--query-gpu={fields}', '--format=csv,noheader', '-i',
                           '0'], capture_output=True, text=True)
    return done.stdout.strip() or 'nvidia-smi sees no GPU'


def command_of(options, mesh, overlap):
    sizes = dict(part.split('=') for part in mesh.split(','))
    ranks = 1
    for size in sizes.values():
        ranks *= int(size)
    program = pathlib.Path(options.build).resolve() / 'benchmarks/one_gpu_cluster/one_gpu_cluster'
    if not program.is_file():
        sys.exit(f'run.py: no program {program}: build the target one_gpu_cluster, or give --build')
    shape = [word for axis, size in sizes.items() for word in (f'--{axis}', size)]
    command = [*launcher(options.mpirun), '-np', str(ranks), 'bash', str(SUPPORT / 'gpu_rank.sh'),
               str(program), *shape, '--overlap', overlap, '--device', options.device,
               *options.rest]
    if options.traces:
        folder = pathlib.Path(options.traces).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        name = mesh.replace('=', '').replace(',', '_')
        command += ['--trace', str(folder / f'{name}_{overlap}.json')]
    return command


def run(command, timeout):
    """The JSON object that a program prints last."""
    print('run.py:', ' '.join(command), file=sys.stderr)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)     # mpirun and its ranks
            output, errors = process.communicate()
            errors += f'\nno end after {timeout} s'
    lines = [line for line in output.splitlines() if line.startswith('{')]
    if process.returncode != 0 or not lines:
        sys.exit(f'run.py: ended with {process.returncode}:\n{output[-2000:]}\n{errors[-4000:]}')
    return json.loads(lines[-1])


def under_mps():
    """Starts this script again under the Multi-Process Service, once."""
    if os.environ.get('DSR_UNDER_MPS') != '1':
        os.environ['DSR_UNDER_MPS'] = '1'
        os.execvp('bash', ['bash', str(SUPPORT / 'with_mps.sh'), sys.executable, *sys.argv])


def measure(options, mesh):
    """Results by overlap: medians of the rounds, which change their order."""
    rounds = {'on': [], 'off': []}
    for number in range(options.rounds):
        for overlap in ('on', 'off') if number % 2 == 0 else ('off', 'on'):
            rounds[overlap].append(run(command_of(options, mesh, overlap), options.timeout))
    results = []
    for overlap, found in rounds.items():
        result = dict(found[-1])
        for name in NUMBERS:
            result[name] = round(statistics.median(each[name] for each in found), 3)
        total = result['total_ms']
        result['hidden_part'] = round(1 - result['exposed_ms'] / total, 4) if total > 0 else None
        results.append(result)
    return results


def show_head():
    columns = ('step', 'total', 'exposed', 'hidden', 'metrics')
    print(f'{"mesh":20} {"overlap":8}' + ''.join(f'{name:>12}' for name in columns), flush=True)


def show(results):
    """One line for each setting of a mesh, as soon as there are numbers."""
    for r in results:
        hidden = '' if r['hidden_part'] is None else f'{100 * r["hidden_part"]:.1f} %'
        print(f'{r["mesh"]:20} {r["overlap"]:8}{r["step_ms"]:12.1f}{r["total_ms"]:12.1f}'
              f'{r["exposed_ms"]:12.1f}{hidden:>12}'
              f'{r["comm_ms"]:12.1f} / {r["exposed_comm_ms"]:.1f}', flush=True)


def main():
    options = parse()
    if options.device == 'cuda':
        under_mps()
    card = gpu()
    print(card, flush=True)
    show_head()
    results = []
    for mesh in options.meshes:
        results += measure(options, mesh)
        show(results[-2:])
    print(f'ms a step, mean of the ranks, {LABEL}; metrics: comm_ms / exposed_comm_ms')
    print(json.dumps({'label': LABEL, 'gpu': card, 'results': results}))


if __name__ == '__main__':
    main()
