# SPDX-License-Identifier: Apache-2.0
"""SIGKILL of a random rank, or of mpirun, at random times of a 4-rank train_gpt job.

    python3 kill_test.py <train_gpt> <scratch folder> <kills> <mpirun> [mpirun's options…]

The same command is started again after each kill. It must resume a step at least as late as the
last one that it had printed as saved, and in the end every loss that any of the lives recorded is,
digit for digit, that of a run that nobody disturbed.
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

PROGRAM, SCRATCH, KILLS = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
MPIRUN = [*sys.argv[4:], "-np", "4"]
SETTINGS = {
    "model.layers": 1,
    "model.hidden": 16,
    "model.heads": 4,
    "model.sequence": 16,
    "model.dropout": 0.1,
    "mesh.dp": 2,
    "mesh.row": 2,
    "train.batch": 8,
    "train.micro_batch": 2,
    "train.warmup": 5,
    "train.eval_every": 0,
    "train.zero": 1,
    "data.format": "text",
    "checkpoint.lease_s": 1,  # a start waits as long for the lock of the one that was killed
    "checkpoint.hot.path": SCRATCH / "hot",
    "checkpoint.hot.every": 3,
    "checkpoint.warm.every": 10,
    "checkpoint.cold.every": 50,
    "checkpoint.cold.keep": 2,
    "checkpoint.cold.content": "all",
}
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}  # most of a short life is its start
MOST_S = 60  # for a life to come to its first step


def start(run, steps):
    settings = SETTINGS | {"run.dir": run, "train.steps": steps, "data.train": SCRATCH / "text.txt"}
    command = [*MPIRUN, PROGRAM]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    log = open(run.with_suffix(".log"), "w+")
    streams = {"stdout": log, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=SCRATCH, env=ENVIRONMENT, **streams), log


def records(run):
    """All whole lines of metrics.jsonl: (step, loss as it is written)."""
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    found = []
    for line in lines:
        try:
            record = json.loads(line, parse_float=str)
        except json.JSONDecodeError:  # torn by the kill
            continue
        if "loss" in record:
            found.append((int(record["step"]), record["loss"]))
    return found


def children_of(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def is_rank(pid):
    try:
        return PROGRAM.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def end_job(job, victim, ranks):
    """Kills one process; whoever is left after that is ended too, as a scheduler would."""
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if victim == job.pid:
        job.wait(timeout=MOST_S)
        for rank in filter(is_rank, ranks):
            os.kill(rank, signal.SIGKILL)
    job.wait(timeout=MOST_S)
    while any(is_rank(rank) for rank in ranks):
        time.sleep(0.01)


def one_life(run, chance):
    """Starts the job and kills it; what it said."""
    before = len(records(run))
    job, log = start(run, 1_000_000)
    begun = time.monotonic()
    # Some are killed while they start or load, most while they train and save.
    wait = chance.choice(["start", "train", "train", "train"])
    while wait == "train" and len(records(run)) == before and job.poll() is None:
        assert time.monotonic() - begun < MOST_S, log.name
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 0.3))
    ranks = children_of(job.pid)
    victim = chance.choice([*ranks, job.pid])
    assert job.poll() is None, pathlib.Path(log.name).read_text()
    end_job(job, victim, ranks)
    log.seek(0)
    text = log.read()
    log.close()
    return text


def numbers(pattern, text):
    return [int(step) for step in re.findall(pattern, text)]


def main():
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    chance = random.Random(5)
    words = ["lorem", "ipsum", "dolor", "sit", "amet", "night", "blue"]
    (SCRATCH / "text.txt").write_text(" ".join(chance.choice(words) for _ in range(4000)))
    run, saved, resumes, told = SCRATCH / "killed", 0, 0, 0
    for life in range(KILLS):
        text = one_life(run, chance)
        for step in numbers(r"resumed step (\d+) from", text):
            assert step >= saved, f"life {life}: resumed {step}, but {saved} had been saved\n{text}"
            resumes += 1
        assert "is not used" not in text, text
        acknowledged = numbers(r"saved (?:hot|warm|cold)/step_0*(\d+)\.g", text)
        saved, told = max([saved, *acknowledged]), told + len(acknowledged)
    last = max(step for step, _ in records(run))
    job, _ = start(run, last + 3)
    assert job.wait(timeout=120) == 0, run.with_suffix(".log").read_text()
    reference = SCRATCH / "undisturbed"
    job, _ = start(reference, last + 3)
    assert job.wait(timeout=120) == 0, reference.with_suffix(".log").read_text()
    expected = dict(records(reference))
    found = records(run)
    wrong = [(step, loss, expected.get(step)) for step, loss in found if expected.get(step) != loss]
    assert not wrong, f"{len(wrong)} of {len(found)} losses differ: {wrong[:5]}"
    assert set(expected) == {step for step, _ in found}, "steps are missing"
    print(f"{KILLS} kills, {resumes} resumes, {last + 3} steps, {len(found)} losses equal")
    assert resumes > KILLS // 3 and told > 0, (resumes, told)
    shutil.rmtree(SCRATCH)


if __name__ == "__main__":
    main()
