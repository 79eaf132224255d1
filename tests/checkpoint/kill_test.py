# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every system call on files of a run that saves, prunes and copies sets.

    python3 kill_test.py <saves_program> <scratch folder> [every]

strace lists the calls of one run and then sends SIGKILL at each of them, one run a call (at every
`every`-th with a third argument). After each kill the program must find every set whole, all that
was acknowledged, and go on. Skipped (77) where strace is absent or may not trace.
"""

import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys

PROGRAM, SCRATCH = sys.argv[1], pathlib.Path(sys.argv[2])
EVERY = int(sys.argv[3]) if len(sys.argv) > 3 else 1
CALLS = (
    "openat,mkdir,fallocate,ftruncate,pwrite64,pread64,fdatasync,fsync,close,getdents64,"
    "rename,renameat,renameat2,unlink,unlinkat,rmdir,newfstatat,fstat,statfs,fstatfs"
)
WORKERS = 2


def can_trace():
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"]).returncode == 0


def traced(directory, *options):
    log = directory.with_suffix(".log")
    command = ["strace", "-f", "-qq", "-o", str(log), "-e", "trace=" + CALLS, *options]
    done = subprocess.run(
        [*command, PROGRAM, "save", str(directory)], capture_output=True, text=True, timeout=60
    )
    return done, log.read_text()


def calls_of(log, directory):
    """(name, how often it was called until then) of each call since the first on the directory."""
    counts, found, begun = {}, [], False
    for line in log.splitlines():
        match = re.match(r"\d+\s+(\w+)\(", line)
        if not match:
            continue
        name = match.group(1)
        counts[name] = counts.get(name, 0) + 1
        begun = begun or str(directory) in line
        if begun:
            found.append((name, counts[name]))
    return found


def last_of(output, tier):
    steps = [int(line.split()[1]) for line in output.splitlines() if line.startswith(tier + " ")]
    return max(steps, default=0)


def kill_at(number, call):
    """None, or what is wrong after a kill at this call."""
    name, nth = call
    directory = SCRATCH / f"kill_{number}"
    done, _ = traced(directory, "-e", f"inject={name}:signal=SIGKILL:when={nth}")
    if done.returncode == 0:
        return f"{name} {nth}: was not reached"
    last = [str(last_of(done.stdout, tier)) for tier in ("warm", "cold")]
    after = subprocess.run(
        [PROGRAM, "check", str(directory), *last], capture_output=True, text=True, timeout=60
    )
    if after.returncode != 0:
        return f"{name} {nth}, acknowledged {last}: {after.stderr.strip()}"
    shutil.rmtree(directory)
    directory.with_suffix(".log").unlink()
    return None


def main():
    if not can_trace():
        print("skipped: strace is absent or may not trace")
        return 77
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    done, log = traced(SCRATCH / "whole")
    assert done.returncode == 0 and last_of(done.stdout, "cold") == 3, done
    calls = list(enumerate(calls_of(log, SCRATCH / "whole")))[::EVERY]
    assert len(calls) * EVERY > 200, len(calls)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        wrong = [text for text in pool.map(lambda item: kill_at(*item), calls) if text]
    print(f"{len(calls)} kills, {len(wrong)} wrong")
    print("\n".join(wrong[:20]))
    shutil.rmtree(SCRATCH)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
