# SPDX-License-Identifier: Apache-2.0
"""A job of four ranks, killed in the middle of a step's accumulation, goes on there.

    python3 fragments_kill_test.py <train_gpt> <scratch folder> <mpirun and its options…>
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

TRAIN_GPT, SCRATCH, MPIRUN = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
RANKS, MICRO_BATCHES, STEPS = 4, 48, 3
CONFIG = """\
[model]
layers = 3
hidden = 96
heads = 4
sequence = 64
dropout = 0.1
[mesh]
dp = 2
row = 2
[data]
train = "text.txt"
[train]
steps = 3
batch = 384
micro_batch = 4
zero = 1
warmup = 2
eval_every = 0
[run]
dir = "{run}"
[checkpoint]
fragments = "{fragments}"
lease_s = 2
[checkpoint.warm]
every = 1
[checkpoint.cold]
path = ""
"""


def command(run, fragments):
    config = SCRATCH / f"{run}.toml"
    config.write_text(CONFIG.format(run=SCRATCH / run, fragments=fragments))
    return [*MPIRUN, "-np", str(RANKS), TRAIN_GPT, "--config", str(config)]


def train(run, fragments):
    done = subprocess.run(command(run, fragments), cwd=SCRATCH, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def losses(run):
    """By step; the last record of a step counts."""
    records = [json.loads(line) for line in (SCRATCH / run / "metrics.jsonl").read_text().splitlines()]
    return {r["step"]: (r["loss"], r["grad_norm"]) for r in records if "loss" in r}


def slots(run, rank):
    """(step, micro-batches) of a rank's slots, by their headers."""
    found = []
    for slot in "01":
        path = SCRATCH / run / "checkpoints" / "fragments" / f"rank_{rank:05d}.{slot}"
        if path.exists():
            with path.open("rb") as file:
                header = file.read(4096).decode("ascii", "replace")
            if match := re.search(r"(?s)\nstep (\d+)\n.*\nmicro_batches (\d+)\n.*\nhash ", header):
                found.append((int(match[1]), int(match[2])))
    return found


def children(pid):
    """Processes that a process has started."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text()
        except OSError:
            continue
        if int(status.rpartition(")")[2].split()[1]) == pid:
            found.append(int(entry.name))
    return found


def kill_in_a_step(run, at_least):
    """Kills all ranks once each has a fragment behind the first step, so far into its own."""
    job = subprocess.Popen(command(run, "always"), cwd=SCRATCH, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and job.poll() is None:
            newest = [max(slots(run, rank), default=(0, 0)) for rank in range(RANKS)]
            if all(1 <= step < STEPS and at_least <= done < MICRO_BATCHES - 2 for step, done in newest):
                for rank in children(job.pid):
                    os.kill(rank, signal.SIGKILL)
                job.wait(timeout=30)
                return
            time.sleep(0.002)
        raise AssertionError(f"no fragment to kill at; the job has {job.poll()}")
    finally:
        if job.poll() is None:
            job.kill()
            job.wait()


def main():
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    (SCRATCH / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 2000)
    train("whole", "off")
    expected = losses("whole")
    assert sorted(expected) == list(range(1, STEPS + 1)), expected
    kill_in_a_step("killed", MICRO_BATCHES // 3)
    left = [slots("killed", rank) for rank in range(RANKS)]
    out = train("killed", "always")
    step = max(max(found) for found in left)[0]
    told = re.search(rf"(?m)^gradient fragments, step {step + 1}: (.*)$", out)
    assert told and re.search(rf"(?m)^resumed step {step} from ", out), f"{left}\n{out}"
    # Ranks of a replica write together: a kill leaves them at most one fragment apart.
    for replica in (0, 1):
        ranks = left[2 * replica : 2 * replica + 2]
        newest = [max(done for at, done in found if at == step) for found in ranks]
        assert max(newest) - min(newest) <= 1, left
        kept = re.search(rf"replicas? (?:{replica}|0-1): (\d+) of {MICRO_BATCHES} kept", told[1])
        assert kept, told[1]
        # The slot of a fragment that was being written may have the header of one before.
        assert max(newest) - 2 <= int(kept[1]) <= max(newest), (left, told[1])
    assert losses("killed") == expected, (losses("killed"), expected, out)
    print(f"killed within step {step + 1}, {told[1]}")


if __name__ == "__main__":
    main()
