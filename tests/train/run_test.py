# SPDX-License-Identifier: Apache-2.0
"""What surrounds a run of train_gpt, under mpirun and alone: its lock, signals, kills, and the metrics of a run that was resumed.

    python3 run_test.py <train_gpt> <dsr-checkpoint or -> <scratch folder> <mpirun and its options…>
"""
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

PROGRAM, TOOL, SCRATCH, MPIRUN = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4:]
LIMIT_S = 90
CONFIG = """\
[model]
layers = 1
hidden = 24
heads = 4
sequence = 16
[data]
train = "text.txt"
[train]
steps = 1000000
batch = 4
micro_batch = 1
eval_every = 0
[run]
dir = "{run}"
[checkpoint]
lease_s = 2
fragments = "off"
[checkpoint.warm]
every = 20
"""
CHECKPOINT_KEYS = ["step", "checkpoint_tier", "checkpoint_state", "checkpoint_stall_ms", "checkpoint_bytes",
                   "checkpoint_write_gb_s", "checkpoint_age_steps", "generation"]


class Job:
    """A train_gpt that goes on in the background, in a run of its own unless told otherwise."""

    def __init__(self, run, ranks, *settings):
        self.run = SCRATCH / run
        config = SCRATCH / f"{run}.toml"
        config.write_text(CONFIG.format(run=self.run))
        sets = [word for setting in (f"mesh.dp={ranks}", *settings) for word in ("--set", setting)]
        launcher = [*MPIRUN, "-np", str(ranks)] if ranks > 1 else []
        self.out = open(SCRATCH / f"{run}.out", "ab+")
        self.start = self.out.tell()
        self.process = subprocess.Popen([*launcher, PROGRAM, "--config", config, *sets], cwd=SCRATCH,
                                        stdout=self.out, stderr=subprocess.STDOUT)

    def text(self):
        return (SCRATCH / self.out.name).read_bytes()[self.start:].decode()

    def wait_for(self, pattern, count=1):
        end = time.monotonic() + LIMIT_S
        while len(re.findall(pattern, self.text())) < count:
            assert self.process.poll() is None, f"it ended before {pattern!r}:\n{self.text()}"
            assert time.monotonic() < end, f"no {pattern!r} in time:\n{self.text()[-3000:]}"
            time.sleep(0.05)

    def end(self, code):
        found = self.process.wait(LIMIT_S)
        assert found == code, f"exit code {found} instead of {code}:\n{self.text()[-3000:]}"
        return self.text()

    def ranks(self):
        """Process numbers of the ranks."""
        found = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(self.process.pid)], capture_output=True,
                               text=True, check=True).stdout
        return [int(line.split()[0]) for line in found.splitlines() if "train_gpt" in line]


def sets_of(run, tier="checkpoints"):
    return sorted(path.parent.name for path in (SCRATCH / run / tier).glob("step_*/manifest.json"))


def records(run, torn=0):
    lines = (SCRATCH / run / "metrics.jsonl").read_bytes().split(b"\n")
    assert lines[-1] == b"", "the last line is not ended"
    whole, broken = [], 0
    for line in lines[:-1]:
        try:
            whole.append(json.loads(line))
        except ValueError:
            broken += 1
    assert broken <= torn, f"{broken} torn lines"
    return whole


def check_stopped_and_resumed(run, stopped, first_generation):
    """Every step is recorded, the newest warm set is of the last one, and the next start goes on behind it."""
    steps = [record for record in records(run) if "loss" in record]
    last = steps[-1]["step"]
    assert stopped.count("a signal stops the run after step") == 1, stopped[-2000:]
    assert f"a signal stops the run after step {last}\n" in stopped, stopped[-2000:]
    assert sets_of(run)[-1].startswith(f"step_{last:09d}.g"), (last, sets_of(run))
    assert not (SCRATCH / run / "lock").exists()
    assert not sets_of(run, "final"), "a run that was stopped is not the final model"
    assert all(record["generation"] == first_generation for record in steps[-3:])
    return last


def signals():
    """SIGUSR1 to mpirun, which hands it on, SIGTERM to one rank alone, and without mpirun; then the run goes on to its
    end. (What mpirun does with a SIGTERM of its own is its own: Open MPI kills the ranks soon after.)"""
    last = 0
    for generation, (ranks, number, to_one_rank) in enumerate(
            [(4, signal.SIGUSR1, False), (2, signal.SIGTERM, True), (1, signal.SIGTERM, False), (2, signal.SIGUSR1, True)],
            start=1):
        job = Job("signals", ranks)
        job.wait_for(r"(?m)^step +\d+/", 5)
        if generation > 1:
            assert re.search(rf"(?m)^resumed step {last} from warm/step_{last:09d}\.g", job.text()), job.text()
        if to_one_rank:
            pid = job.ranks()[-1]
            subprocess.run(["kill", f"-{number.value}", str(pid)], check=True)
        else:
            job.process.send_signal(number)
        text = job.end(75)
        last = check_stopped_and_resumed("signals", text, generation)
    end = Job("signals", 2, f"train.steps={last + 3}").end(0)
    assert f"saved warm/step_{last + 3:09d}.g005" in end, end
    steps = [record["step"] for record in records("signals") if "loss" in record]
    assert steps == list(range(1, last + 4)), "a step is missing, or was done twice"
    for record in records("signals"):
        if "checkpoint_state" in record:
            assert list(record) == CHECKPOINT_KEYS, record
            assert record["checkpoint_state"] in ("acknowledged", "skipped"), record


def lock(ranks):
    """While a run trains, another one is sent away, and so is the tool; when it is killed the next one takes over."""
    run = f"lock{ranks}"
    first = Job(run, ranks)
    first.wait_for(r"saved warm/", 2)
    holder = re.search(r"pid (\d+)", (SCRATCH / run / "lock").read_text()).group(1)
    before = len((SCRATCH / run / "metrics.jsonl").read_bytes())
    second = Job(run + "b", ranks, f"run.dir={SCRATCH / run}")
    refused = second.end(75)
    assert f"process {holder} on " in refused and "which is alive" in refused, refused
    assert refused.count("which is alive") == 1, refused
    assert not re.search(r"(?m)^step +\d+/", refused), "it has trained"
    if TOOL != "-":
        newest = sorted((SCRATCH / run / "checkpoints").glob("step_*"))[-1]
        for command in [["prune", SCRATCH / run, "--keep", "2"], ["rollback", SCRATCH / run / "checkpoints", "--step", "20"],
                        ["view", newest]]:
            done = subprocess.run([TOOL, *command], capture_output=True, text=True, timeout=LIMIT_S)
            assert done.returncode == 75 and f"process {holder} on " in done.stderr, done
        for command in [["list", SCRATCH / run], ["prune", SCRATCH / run, "--keep", "2", "--dry-run"]]:
            assert subprocess.run([TOOL, *command], capture_output=True, timeout=LIMIT_S).returncode == 0
    assert first.process.poll() is None, "the first run has ended"
    first.wait_for(r"saved warm/", 4)
    for pid in first.ranks() or [first.process.pid]:
        subprocess.run(["kill", "-9", str(pid)], check=False)
    first.process.wait(LIMIT_S)
    assert (SCRATCH / run / "lock").exists(), "a killed run cannot remove its lock"
    return run, before


def race(host):
    """Of several runs that are started at once behind a killed one, exactly one goes on: at once if the dead one was a
    process of this machine, after the lease if it may have been another's."""
    run = "race_" + (host or "here")
    first = Job(run, 1)
    first.wait_for(r"saved warm/", 2)
    first.process.kill()
    first.process.wait(LIMIT_S)
    path = SCRATCH / run / "lock"
    if host:
        path.write_text(re.sub(r"(?m)^host .*", f"host {host}", path.read_text()))
    jobs = [Job(f"{run}{i}", 1, f"run.dir={SCRATCH / run}") for i in range(4)]
    end = time.monotonic() + LIMIT_S
    while sum(job.process.poll() is None for job in jobs) > 1:
        assert time.monotonic() < end, [job.text()[-500:] for job in jobs]
        time.sleep(0.05)
    (winner,) = [job for job in jobs if job.process.poll() is None]
    winner.wait_for(r"saved warm/", 2)
    for job in jobs:
        if job is not winner:
            assert f"process {winner.process.pid} on " in job.end(75), job.text()
    winner.process.send_signal(signal.SIGUSR1)
    assert "g002" in winner.end(75)
    assert not list((SCRATCH / run).glob("lock*")), "the lock is still there"


def resumed_metrics(run, ranks, before):
    """The file is appended to; a torn line is ended; the last record of a step is the new generation's."""
    path = SCRATCH / run / "metrics.jsonl"
    content = path.read_bytes()
    path.write_bytes(content + b'{"step":12')
    newest = int(sets_of(run)[-1][5:14])
    start = time.monotonic()
    third = Job(run, ranks, f"train.steps={newest + 5}")
    text = third.end(0)
    assert f"resumed step {newest} from warm/" in text, text[:2000]
    assert time.monotonic() - start < LIMIT_S
    assert path.read_bytes().startswith(content + b'{"step":12\n'), "what was there is not there any more"
    assert len(content) > before
    last_of = {record["step"]: record for record in records(run, torn=1) if "loss" in record}
    assert [last_of[step]["generation"] for step in range(newest + 1, newest + 6)] == [2] * 5
    assert last_of[newest]["generation"] == 1
    assert [last_of[newest + k]["checkpoint_age_steps"] for k in range(1, 4)] == [1, 2, 3]
    assert not (SCRATCH / run / "lock").exists()


def main():
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    (SCRATCH / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 200)
    for ranks in (1, 2):
        run, before = lock(ranks)
        resumed_metrics(run, ranks, before)
    for host in (None, "elsewhere"):
        race(host)
    signals()
    print("locks, signals and metrics are what they should be")


if __name__ == "__main__":
    main()
