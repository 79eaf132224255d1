# SPDX-License-Identifier: Apache-2.0
"""Bad input to train_gpt under mpirun: one clear message, once, the right exit code, and no hang.

    python3 bad_input_test.py <train_gpt> <scratch folder> <mpirun and its options…>
"""
import os
import pathlib
import subprocess
import sys
import time

PROGRAM, SCRATCH, MPIRUN = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
LIMIT_S = 30  # far above what any case takes, far below a hang

CONFIG = """\
[model]
layers = 1
hidden = 24
heads = 4
sequence = 16
[data]
train = "{train}"
[train]
steps = 1
batch = 4
micro_batch = 1
eval_every = 0
[run]
dir = "{run}"
"""


def make_files():
    SCRATCH.mkdir(parents=True, exist_ok=True)
    text = SCRATCH / "text.txt"
    text.write_bytes(bytes(range(32, 127)) * 40)
    (SCRATCH / "empty.txt").write_bytes(b"")
    (SCRATCH / "short.txt").write_bytes(b"too short")
    (SCRATCH / "odd.bin").write_bytes(b"\x01\x00" * 400 + b"\x01")
    (SCRATCH / "outside.bin").write_bytes(b"\x07\x00" * 300 + b"\x2c\x01" + b"\x07\x00" * 300)  # 300 at token 300
    (SCRATCH / "file").write_bytes(b"not a directory")
    config = CONFIG.format(train=text, run=SCRATCH / "run")
    (SCRATCH / "good.toml").write_text(config)
    (SCRATCH / "typo.toml").write_text(config.replace("hidden =", "hiden ="))
    (SCRATCH / "broken.toml").write_text("[model]\nlayers = = 2\n")
    (SCRATCH / "many.toml").write_text(config.replace("layers = 1", 'layers = "two"').replace("steps = 1", "stepz = 1")
                                       .replace("heads = 4", "heads = -4"))
    return config


GOOD = ["--config", "good.toml"]
# name, ranks, arguments, exit code, what the message must hold
CASES = [
    ("a mesh that is not the world", 2, GOOD + ["--set", "mesh.dp=3"], 78, ["3", "2 ranks", "nearest"]),
    ("a mesh that does not divide the model", 3, GOOD + ["--set", "mesh.row=3"], 78,
     ["model.heads % (row·col) = 4 % 3 = 1", "allowed 0", "nearest dp=3"]),
    ("a batch that does not divide", 2, GOOD + ["--set", "mesh.dp=2", "--set", "train.batch=3"], 78, ["batch", "3"]),
    ("a mistyped key in the file", 2, ["--config", "typo.toml"], 78, ["typo.toml:3", "model.hiden", "model.hidden"]),
    ("a mistyped key of --set", 2, GOOD + ["--set", "train.lrr=1"], 78, ["train.lrr", "train.lr"]),
    ("a wrong type", 2, GOOD + ["--set", "model.layers=two"], 78, ["model.layers", "two"]),
    ("a value out of range", 2, GOOD + ["--set", "train.beta1=1.5"], 78, ["train.beta1", "1.5"]),
    ("broken syntax", 2, ["--config", "broken.toml"], 78, ["broken.toml:2"]),
    ("all problems together", 2, ["--config", "many.toml"], 78, ["model.layers", "train.stepz", "model.heads"]),
    ("no configuration file", 2, ["--config", "nowhere.toml"], 74, ["nowhere.toml", "No such file"]),
    ("an unknown option", 2, GOOD + ["--confg", "x"], 64, ["--confg"]),
    ("missing data", 2, GOOD + ["--set", "mesh.dp=2", "--set", "data.train=nowhere.txt"], 74,
     ["nowhere.txt", "No such file"]),
    ("empty data", 2, GOOD + ["--set", "mesh.dp=2", "--set", "data.train=empty.txt"], 65, ["empty.txt"]),
    ("too little data", 2, GOOD + ["--set", "mesh.dp=2", "--set", "data.train=short.txt"], 65, ["short.txt", "9"]),
    ("data of odd size", 2, GOOD + ["--set", "mesh.dp=2", "--set", "data.train=odd.bin",
                                    "--set", "data.format=nanogpt"], 65, ["odd.bin", "801"]),
    ("a token outside the vocabulary", 2, GOOD + ["--set", "mesh.dp=2", "--set", "data.train=outside.bin",
                                                  "--set", "data.format=nanogpt"], 65, ["outside.bin", "300"]),
    ("a run directory that cannot be written", 2, GOOD + ["--set", "mesh.dp=2", "--set", "run.dir=file/run"], 74,
     ["file/run"]),
    ("an unknown device", 2, GOOD + ["--set", "mesh.dp=2", "--set", "run.device=cpuu"], 78, ["cpuu", "cpu"]),
    ("a device that this build or machine lacks", 2,
     GOOD + ["--set", "mesh.dp=2", "--set", "run.device=cuda", "--set", "model.heads=3"], 70, ["cuda", "device = cpu"]),
    ("a head size that a GPU does not take", 2, GOOD + ["--set", "mesh.dp=2", "--set", "run.device=cuda"], 78,
     ["model.heads", "24 / 4 = 6", "multiples of 8", "nearest heads = 3"]),
    ("more memory than there is", 2, GOOD + ["--set", "mesh.dp=2", "--set", "model.hidden=1000000", "--set",
                                             "model.layers=16"], 71,
     ["needed on each rank", "optimizer state", "which is free", "nearest"]),
    ("a recompute mode that is none", 2, GOOD + ["--set", "train.recompute=blocks"], 78,
     ["train.recompute", "blocks", "none, selective or block", "nearest block"]),
]


def run(ranks, arguments):
    start = time.monotonic()
    command = [*MPIRUN, "-np", str(ranks), PROGRAM, *arguments]
    done = subprocess.run(command, cwd=SCRATCH, capture_output=True, text=True, timeout=LIMIT_S, env=os.environ)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - start


def main():
    make_files()
    failed = 0
    for name, ranks, arguments, code, parts in CASES:
        try:
            found, output, seconds = run(ranks, arguments)
            problems = [f"exit code {found}, not {code}"] if found != code else []
            problems += [f"the message lacks {part!r}" for part in parts if part not in output]
            heads = [line for line in output.splitlines() if line.startswith("dsr: ")]
            distinct = set(heads)
            if not heads or len(heads) != len(distinct):
                problems.append(f"{len(heads)} message lines, {len(distinct)} of them distinct")
        except subprocess.TimeoutExpired:
            problems, output, seconds = [f"it hung for {LIMIT_S} s"], "", LIMIT_S
        print(f"{'FAILED' if problems else 'passed'}  {name}  ({seconds:.1f} s)")
        for problem in problems:
            print(f"    {problem}")
        if problems:
            print("    " + output.replace("\n", "\n    "))
        failed += bool(problems)
    found, output, _ = run(2, GOOD + ["--set", "mesh.dp=2"])
    if found != 0:
        print(f"FAILED  the same without a mistake: exit code {found}\n{output}")
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
