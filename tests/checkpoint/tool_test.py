# SPDX-License-Identifier: Apache-2.0
"""dsr-checkpoint as a user runs it: its lines, its JSON and its exit codes.

    python3 tool_test.py <dsr-checkpoint> <scratch folder>

Needs the standard library alone: a small GPT-2 is written here by hand.
"""

import array
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys

TOOL, SCRATCH = sys.argv[1], pathlib.Path(sys.argv[2])
HIDDEN, HEADS, INNER, VOCABULARY, POSITIONS = 8, 2, 12, 11, 6
CONFIG = {
    "model_type": "gpt2",
    "n_layer": 1,
    "n_embd": HIDDEN,
    "n_head": HEADS,
    "n_inner": INNER,
    "vocab_size": VOCABULARY,
    "n_positions": POSITIONS,
}
SHAPES = {
    "wte.weight": [VOCABULARY, HIDDEN],
    "wpe.weight": [POSITIONS, HIDDEN],
    "h.0.ln_1.weight": [HIDDEN],
    "h.0.ln_1.bias": [HIDDEN],
    "h.0.attn.c_attn.weight": [HIDDEN, 3 * HIDDEN],
    "h.0.attn.c_attn.bias": [3 * HIDDEN],
    "h.0.attn.c_proj.weight": [HIDDEN, HIDDEN],
    "h.0.attn.c_proj.bias": [HIDDEN],
    "h.0.ln_2.weight": [HIDDEN],
    "h.0.ln_2.bias": [HIDDEN],
    "h.0.mlp.c_fc.weight": [HIDDEN, INNER],
    "h.0.mlp.c_fc.bias": [INNER],
    "h.0.mlp.c_proj.weight": [INNER, HIDDEN],
    "h.0.mlp.c_proj.bias": [HIDDEN],
    "ln_f.weight": [HIDDEN],
    "ln_f.bias": [HIDDEN],
}


def tool(*arguments, expect=0):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == expect, (
        f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    assert expect == 0 or done.stderr.startswith("dsr: ") or done.stdout.startswith(("BAD", "{")), (
        done
    )
    return done.stdout


def refused(code, *arguments):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, f"{arguments}: {done.returncode}, not {code}\n{done.stderr}"
    assert done.stdout == "" and done.stderr.startswith("dsr: "), done
    return done.stderr


def objects(*arguments, expect=0):
    return [json.loads(line) for line in tool(*arguments, "--json", expect=expect).splitlines()]


def write_gpt2(directory):
    """Tensor i, element j has the value i + j/1024."""
    directory.mkdir(parents=True)
    header, data = {}, b""
    for i, (name, shape) in enumerate(SHAPES.items()):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = array.array("f", [i + j / 1024 for j in range(count)]).tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(values)],
        }
        data += values
    text = json.dumps(header).encode()
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (directory / "config.json").write_text(json.dumps(CONFIG))


def tensors_of(file):
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    data = content[8 + length :]
    return {name: data[slice(*entry["data_offsets"])] for name, entry in header.items()}


def check_import_and_export(run):
    assert tool("list", run) == ""
    out = tool("import", run.parent / "gpt2", run / "checkpoints", "--format", "safetensors")
    one = run / "checkpoints" / "step_000000000.g001"
    assert out == f"imported  {one}\n", out
    line = tool("list", run)
    assert re.fullmatch(
        r"warm  step_000000000\.g001  step 0  age \S+  [\d.]+ KiB  2 files  committed\n", line
    ), line
    (entry,) = objects("list", one)
    keys = ["tier", "set", "step", "generation", "saved_unix", "bytes", "files", "state"]
    assert list(entry) == keys and entry["bytes"] == sum(
        f.stat().st_size for f in one.glob("*.h5")
    ), entry
    shown = tool("show", one).splitlines()
    assert "model/blocks/0/attention/qkv/weight  f32  [2, 3, 4, 8]  768 B  1 slice" in shown, shown
    assert {
        "name": "model/norm/gamma",
        "dtype": "f32",
        "shape": [8],
        "bytes": 32,
        "slices": 1,
        "codec": "none",
        "stored_bytes": 32,
    } in objects("show", run)
    assert re.fullmatch(
        r"ok   warm/step_000000000\.g001  2 files  [\d.]+ KiB\n", tool("verify", run)
    )
    (sound,) = objects("verify", one)
    assert sound == {
        "set": "warm/step_000000000.g001",
        "ok": True,
        "file": None,
        "block": None,
        "tensor": None,
        "reason": None,
    }, sound
    tool("export", run, run.parent / "out", "--format=safetensors")
    before, after = (
        tensors_of(run.parent / "gpt2/model.safetensors"),
        tensors_of(run.parent / "out/model.safetensors"),
    )
    assert {"transformer." + name: value for name, value in before.items()} == after
    refused(
        74, "export", run, run.parent / "out", "--format", "safetensors"
    )  # nothing is overwritten
    tool(
        "export",
        run,
        run.parent / "cut",
        "--format",
        "safetensors",
        "--dtype",
        "bf16",
        "--max-shard-bytes",
        "400",
    )
    assert len(list((run.parent / "cut").glob("model-*-of-*.safetensors"))) > 2
    return one


def check_copies(run, one):
    archive = run / "archive"
    assert tool("copy", one, archive) == f"copied  {archive / one.name}\n"
    for file in one.iterdir():
        assert file.read_bytes() == (archive / one.name / file.name).read_bytes(), file
    refused(74, "copy", one, archive)
    view = archive / one.name / "checkpoint.h5"
    good = view.read_bytes()
    view.write_bytes(b"not one")
    (fault,) = objects("verify", archive, expect=65)
    assert (
        fault["file"] == "checkpoint.h5" and fault["block"] is None and "7 bytes" in fault["reason"]
    ), fault
    tool("view", archive)
    assert view.read_bytes() == good
    tool("verify", archive)
    shutil.rmtree(archive)


def check_faults(run, one):
    rank = one / "rank_00000.h5"
    good = rank.read_bytes()
    manifest = json.loads((one / "manifest.json").read_text())
    part = next(t for t in manifest["tensors"] if t["name"] == "model/norm/beta")["slices"][0]
    bad = bytearray(good)
    bad[part["offset"]] ^= 1
    rank.write_bytes(bad)
    line = tool("verify", run, expect=65)
    assert re.match(
        rf"BAD  warm/step_000000000\.g001  rank_00000\.h5 block 0 "
        rf"\(bytes 0-{len(good) - 1}\): model/",
        line,
    ), line
    (fault,) = objects("verify", run, expect=65)
    assert (fault["ok"], fault["file"], fault["block"], fault["reason"]) == (
        False,
        "rank_00000.h5",
        0,
        "wrong hash",
    )
    assert "rank_00000.h5" in refused(
        65, "export", run, run.parent / "no", "--format", "safetensors"
    )
    assert "block 0" in refused(65, "copy", run, run / "no")
    shutil.rmtree(run / "no")
    rank.unlink()
    assert (
        tool("verify", run, expect=65) == "BAD  warm/step_000000000.g001  rank_00000.h5 missing\n"
    )
    rank.write_bytes(good)
    text = (one / "manifest.json").read_bytes()
    (one / "manifest.json").write_bytes(text.replace(b"model/norm", b"model/nerm", 1))
    assert tool("list", run).endswith("  corrupt\n")
    assert "manifest.json" in tool("verify", run, expect=65)
    assert "manifest.json" in refused(65, "show", one)
    (one / "manifest.json").write_bytes(text)


def check_housekeeping(run, one):
    """More sets are made by importing again; the second is left without a manifest."""
    tier = run / "checkpoints"
    for _ in range(4):
        tool("import", run.parent / "gpt2", tier, "--format", "safetensors")
    (tier / "step_000000000.g002" / "manifest.json").unlink()
    line = tool("list", run).splitlines()[1]
    assert re.fullmatch(
        r"warm  step_000000000\.g002  step 0  age -  \S+ KiB  2 files  uncommitted", line
    ), line
    tool("copy", one, run / "final")
    would = tool("prune", run, "--keep", 2, "--dry-run")
    assert would == "".join(f"would remove  warm/step_000000000.g00{g}\n" for g in (1, 2, 3)), would
    assert len(list(tier.iterdir())) == 5
    assert tool("prune", run, "--keep=2") == would.replace("would remove", "removed")
    assert sorted(p.name for p in tier.iterdir()) == ["step_000000000.g004", "step_000000000.g005"]
    assert (run / "final" / one.name).exists()  # milestones stay
    assert "keep" in refused(64, "prune", run, "--keep", 1)
    refused(64, "prune", tier / "step_000000000.g004", "--keep", 2)
    assert tool("rollback", run, "--step", 0) == ""
    assert "step 7" in refused(65, "rollback", run, "--step", 7)


def check_usage(run):
    assert "export SET" in tool("--help") and tool("list", "--help") == tool("--help")
    assert re.fullmatch(r"dsr-checkpoint \d+\.\d+\.\d+\n", tool("--version"))
    refused(64)
    assert "nearest list" in refused(64, "lst", run)
    assert "nearest --json" in refused(64, "list", run, "--jsn")
    for arguments in (
        ["list"],
        ["list", run, run],
        ["list", ""],
        ["list", run, "--json=1"],
        ["list", run, "--keep", 2],
        ["list", run, "--json", "--json"],
        ["prune", run],
        ["prune", run, "--keep"],
        ["prune", run, "--keep", "two"],
        ["rollback", run],
        ["rollback", run, "--step", -1],
        ["export", run, run],
        ["export", run, run, "--format", "gguf"],
        ["export", run, run, "--format", "safetensors", "--dtype", "f16"],
        ["export", run, run, "--format", "safetensors", "--max-shard-bytes", 0],
    ):
        refused(64, *arguments)
    for command in ("list", "verify", "show"):
        assert "No such file" in refused(74, command, run / "absent")
    empty = run.parent / "empty"
    empty.mkdir()
    assert tool("list", empty) == ""
    for command in (["verify", empty], ["show", empty], ["copy", empty, run], ["view", empty]):
        assert "no committed set" in refused(65, *command)
    refused(74, "import", empty, run / "t", "--format", "safetensors")
    (empty / "config.json").write_text(json.dumps(CONFIG | {"activation_function": "relu"}))
    assert "relu" in refused(78, "import", empty, run / "t", "--format", "safetensors")


def main():
    shutil.rmtree(SCRATCH, ignore_errors=True)
    run = SCRATCH / "run"
    run.mkdir(parents=True)
    write_gpt2(SCRATCH / "gpt2")
    one = check_import_and_export(run)
    check_copies(run, one)
    check_faults(run, one)
    check_housekeeping(run, one)
    check_usage(run)


main()
