#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PyTorch's torch.distributed.checkpoint.async_save of as many bytes as checkpoint_benchmark saves.

    python3 benchmarks/checkpoint/async_save.py --bytes 1073741824 --device cpu --directory out

Prints one JSON object of lists, one entry a round, in seconds; the first round is dropped. `stall` is
until async_save returns, `set` from there until its future is done, `load` what
torch.distributed.checkpoint.load takes, which verifies no hashes. The tensors are those of
checkpoint_benchmark: 32 MiB and 8 KiB in turn. On a GPU the copy goes through pinned, shared memory
that PyTorch keeps (StateDictOptions' cpu staging cache), its fastest way.
Exit code 75: PyTorch cannot be imported, or sees no GPU.
"""
import argparse
import json
import os
import shutil
import sys
import time

NO_TORCH = 75

try:
    import torch
    import torch.distributed as distributed
    import torch.distributed.checkpoint as checkpoint
    from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
except ImportError as reason:
    print(f'async_save.py: PyTorch cannot be imported: {reason}', file=sys.stderr)
    sys.exit(NO_TORCH)

LARGE, SMALL = 8 << 20, 2048    # elements


def parse():
    parser = argparse.ArgumentParser(description="PyTorch's async_save")
    parser.add_argument('--bytes', type=int, default=1 << 30)
    parser.add_argument('--rounds', type=int, default=4, help='after one that is dropped')
    parser.add_argument('--threads', type=int, default=1, help='that write')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--directory', default='async_save_benchmark', help='emptied before and after')
    return parser.parse_args()


def make_state(size, device):
    flat = torch.arange(size // 4, dtype=torch.float32, device=device)
    state, at, number = {}, 0, 0
    while at < flat.numel():
        elements = min(flat.numel() - at, SMALL if number % 2 else LARGE)
        state[f'blocks/{number}/weight'] = flat[at:at + elements].clone()
        at, number = at + elements, number + 1
    return state


def seconds(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def one_round(state, options, path):
    """Writer and options are those of a user who wants it fast; a sync after writing, as ours."""
    arguments = {'thread_count': options.threads, 'sync_files': True, 'overwrite': True}
    if options.device == 'cuda':
        arguments['cache_staged_state_dict'] = True
    writer = options.writer or FileSystemWriter(path, **arguments)
    options.writer = writer     # it holds the staging memory
    writer.path = writer.fs.init_path(path)
    stall, future = seconds(lambda: checkpoint.async_save(state, storage_writer=writer))
    written, _ = seconds(future.result)
    for tensor in state.values():
        tensor.zero_()
    load, _ = seconds(lambda: checkpoint.load(state, storage_reader=FileSystemReader(path)))
    return {'stall': stall, 'set': written, 'load': load}


def main():
    options = parse()
    options.writer = None
    if options.device == 'cuda' and not torch.cuda.is_available():
        print('async_save.py: PyTorch sees no GPU', file=sys.stderr)
        sys.exit(NO_TORCH)
    torch.set_num_threads(options.threads)
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29531')
    distributed.init_process_group('gloo', rank=0, world_size=1)    # async_save wants one on the CPU
    shutil.rmtree(options.directory, ignore_errors=True)
    state, rounds = make_state(options.bytes, options.device), []
    for number in range(options.rounds + 1):
        path = os.path.join(options.directory, f'step_{number}')
        rounds.append(one_round(state, options, path))
        shutil.rmtree(path)
    shutil.rmtree(options.directory, ignore_errors=True)
    report = {name: [times[name] for times in rounds[1:]] for name in rounds[0]}
    print(json.dumps({'program': 'async_save', 'torch': torch.__version__, 'bytes': options.bytes,
                      'first_stall': rounds[0]['stall'], 'device': options.device, **report}))
    distributed.destroy_process_group()


if __name__ == '__main__':
    main()
