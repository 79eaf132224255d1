# SPDX-License-Identifier: Apache-2.0
"""The example programs under mpirun, as a user runs them.

    python3 programs_test.py <folder of the programs> <scratch folder> <mpirun and its options…>
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys

PROGRAMS, SCRATCH, MPIRUN = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
STEP_KEYS = ["step", "loss", "grad_norm", "lr", "tokens", "tokens_per_s", "step_ms", "comm_ms",
             "exposed_comm_ms", "checkpoint_age_steps", "generation"]
CONFIG = """\
[model]
layers = 2
hidden = 32
heads = 4
sequence = 32
[data]
train = "text.txt"
[train]
steps = 40
batch = 8
micro_batch = 2
lr = 5e-3
warmup = 5
eval_every = 20
eval_batches = 2
[run]
dir = "{run}"
"""


def run(ranks, name, *arguments):
    command = [*(MPIRUN + ["-np", str(ranks)] if ranks else []), PROGRAMS / name, *arguments]
    done = subprocess.run(command, cwd=SCRATCH, capture_output=True, timeout=120)
    assert done.returncode == 0, f"{name}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def check_training(ranks, mesh):
    """Loss falls, the metrics file holds the keys it should, and the sample has its length."""
    directory = SCRATCH / ("run_" + "_".join(mesh).replace("=", "_").replace(".", "_"))
    (SCRATCH / "tiny.toml").write_text(CONFIG.format(run=directory))
    shutil.rmtree(directory, ignore_errors=True)  # the sets in it would be resumed
    sets = [part for setting in mesh for part in ("--set", setting)]
    out = run(ranks, "train_gpt", "--config", "tiny.toml", *sets, "--sample", "25")
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    evaluations = [line for line in lines if "val_loss" in line]
    assert len(steps) == 40 and all(list(step) == STEP_KEYS for step in steps), steps[0]
    assert [list(e) for e in evaluations] == [["step", "val_loss", "generation"]] * 2, evaluations
    assert steps[-1]["loss"] < 0.8 * steps[0]["loss"], (steps[0]["loss"], steps[-1]["loss"])
    assert all(step["tokens"] == 8 * 32 for step in steps)
    assert re.search(rb"(?m)^memory of buffers on cpu: [\d.]+ [KM]iB at most$", out), out
    assert len(re.findall(rb"(?m)^step +\d+/40 .*ETA", out)) == 40, out
    sample = out.split(b"sample:\n", 1)[1]
    assert len(sample) == 25 + 1, sample
    return [step["loss"] for step in steps], sample


def check_resume():
    """The same folder on another mesh goes on where it ended; --fresh asks first."""
    more = ["--config", "tiny.toml", "--set", "mesh.dp=2", "--set", "train.steps=43"]
    out = run(2, "train_gpt", *more).decode()
    told = r"(?m)^resumed step 40 from warm/step_000000040\.g001 \(age \d+s, 5/5 files verified, saved on .*row=2 col=2"
    assert re.search(told, out), out
    assert re.findall(r"(?m)^step (\d+)/43 .*ETA", out) == ["41", "42", "43"], out
    assert re.search(r"(?m)^saved warm/step_000000043\.g002: ", out), out
    refused = subprocess.run([*MPIRUN, "-np", "2", PROGRAMS / "train_gpt", *more, "--fresh"], cwd=SCRATCH,
                             capture_output=True, timeout=120)
    assert refused.returncode == 78 and b"step_000000043.g002" in refused.stderr, refused
    out = run(2, "train_gpt", *more, "--fresh", "--force").decode()
    assert len(re.findall(r"(?m)^step +\d+/43 .*ETA", out)) == 43, out
    held = re.search(r'dir = "(.*)"', (SCRATCH / "tiny.toml").read_text()).group(1)
    assert list(pathlib.Path(held).glob("checkpoints/old.g*/step_000000043.g002/manifest.json")), held


def check_dry_run():
    out = run(0, "train_gpt", "--config", "tiny.toml", "--set", "mesh.dp=2", "--set", "mesh.row=2",
              "--set", "mesh.col=2", "--dry-run").decode()
    for part in ["dp=2 row=2 col=2 (8 ranks)", "parameters", "optimizer state", "saved for backward",
                 "scratch", "recompute none", "row", "col", "elements", "row = 4 and col = 1 would send"]:
        assert part in out, f"the dry run lacks {part!r}:\n{out}"


def check_help():
    out = run(0, "train_gpt", "--help").decode()
    keys = {"model": "layers hidden heads ffn vocab sequence dropout bias tied",
            "mesh": "dp row col order", "data": "train val format split",
            "train": "steps batch micro_batch lr min_lr warmup decay_steps weight_decay beta1 beta2 eps "
                     "clip zero regather recompute deterministic eval_every eval_batches seed", "run": "dir device"}
    sections = dict(re.findall(r"(?ms)^\[(\w+)\]\n(.*?)(?:\n\n|\Z)", out))
    for section, names in keys.items():
        found = re.findall(r"(?m)^  (\w+) +=", sections[section])
        assert found == names.split(), f"[{section}]: {found}"
    assert re.fullmatch(r"dsr \d+\.\d+\.\d+\n", run(0, "train_gpt", "--version").decode())


def errors_of_own_model(ranks, *folder):
    out = run(ranks, "03_own_model", *folder).decode()
    return [float(number) for number in re.findall(r"error ([\d.e-]+)", out)]


def main():
    SCRATCH.mkdir(parents=True, exist_ok=True)
    (SCRATCH / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 200)

    hello = run(4, "01_hello_mesh", "2", "2", "1").decode()
    for rank, place in enumerate(["dp 0, row 0", "dp 0, row 1", "dp 1, row 0", "dp 1, row 1"]):
        assert re.search(rf"rank {rank}  {place}, col 0  cores [\d,]+", hello), hello

    custom = [float(x) for x in re.findall(r"loss +([\d.]+)", run(2, "02_custom_layer", "text.txt").decode())]
    assert len(custom) == 100 and custom[-1] < 0.7 * custom[0], custom

    alone, four = errors_of_own_model(1), errors_of_own_model(4)
    assert alone[-1] < 0.05 * alone[0], alone
    assert all(abs(a - b) <= 1e-3 * a for a, b in zip(alone, four)), (alone, four)

    # Saved by two ranks, gone on with by four: steps 300 to 399 are done again.
    for folder in ("own", "anywhere"):
        shutil.rmtree(SCRATCH / folder, ignore_errors=True)
    errors_of_own_model(2, "own")
    shutil.rmtree(SCRATCH / "own" / "step_000000400.g001")
    again = errors_of_own_model(4, "own")
    assert len(again) == 2 and all(abs(a / b - 1) <= 1e-3 for a, b in zip(again, alone[6:])), again
    anywhere = run(4, "04_resume_anywhere", "anywhere").decode()
    assert re.search(r"resumed step 20 from warm/.* saved on dp=2 row=2 col=1\)", anywhere), anywhere

    serial, sample = check_training(1, [])
    for ranks, mesh in [(4, ["mesh.dp=2", "mesh.row=2"]), (4, ["mesh.row=2", "mesh.col=2"])]:
        losses, _ = check_training(ranks, mesh)
        # Training amplifies rounding; the first steps are compared tightly in mesh_parity_test.
        assert all(abs(a / b - 1) < 1e-3 for a, b in zip(losses, serial)), (mesh, losses, serial)
    check_resume()
    check_dry_run()
    check_help()
    print("all programs did what they should")


if __name__ == "__main__":
    main()
