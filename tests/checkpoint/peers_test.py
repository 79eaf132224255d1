# SPDX-License-Identifier: Apache-2.0
"""A GPT-2 of Hugging Face's transformers says the same in dsr, and again after the way back.

    python3 peers_test.py <dsr-checkpoint> <logits_program> <scratch folder>
                          [<train_gpt> <mpirun and its options…>]

With train_gpt also what four ranks trained, on a mesh that cuts it both ways.

Exits with 77, skipped, where numpy, torch, safetensors or transformers is absent.
"""

import json
import pathlib
import shutil
import subprocess
import sys

TOOL, LOGITS, SCRATCH = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
TRAIN, MPIRUN = sys.argv[4:5], sys.argv[5:]
try:
    import numpy
    import torch
    from safetensors.numpy import load_file
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

SIZES = {
    "n_layer": 2,
    "n_embd": 48,
    "n_head": 3,
    "n_inner": 80,
    "vocab_size": 61,
    "n_positions": 16,
}
TOKENS = [3, 60, 0, 17, 17, 42, 8, 25, 31, 1, 59]


def run(*command):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def random_model(tied):
    """Weights large enough that every part of the network changes the answer, biases too."""
    torch.manual_seed(5)
    config = GPT2Config(
        **SIZES,
        tie_word_embeddings=tied,
        resid_pdrop=0,
        embd_pdrop=0,
        attn_pdrop=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + (1.0 if "ln_" in name else 0.0))
    return model


def logits_of(model):
    with torch.no_grad():
        return model(torch.tensor([TOKENS])).logits[0].double().numpy()


def tensors_of(directory):
    found = {}
    for file in directory.glob("*.safetensors"):
        found.update(load_file(file))
    return found


def check(tied, shard):
    directory = SCRATCH / f"{'tied' if tied else 'own'}_{shard}"
    shutil.rmtree(directory, ignore_errors=True)
    theirs = random_model(tied)
    theirs.save_pretrained(directory / "gpt2", safe_serialization=True, max_shard_size=shard)
    saved = sorted(file.name for file in (directory / "gpt2").glob("*.safetensors"))
    out = run(
        TOOL, "import", directory / "gpt2", directory / "tier", "--format", "safetensors", "--json"
    )
    imported = json.loads(out)["set"]

    printed = run(LOGITS, imported, *SIZES.values(), "tied" if tied else "own", *TOKENS)
    ours = numpy.array([[float(x) for x in line.split()] for line in printed.splitlines()])
    expected = logits_of(theirs)
    difference = numpy.abs(ours - expected).max() / numpy.abs(expected).max()
    print(f"tied={tied} files={len(saved)}: logits differ by {difference:.1e} of the largest")
    assert ours.shape == expected.shape and difference < 2e-5, difference

    run(
        TOOL,
        "export",
        imported,
        directory / "back",
        "--format",
        "safetensors",
        "--max-shard-bytes",
        "20000" if len(saved) > 1 else "5000000000",
    )
    before, after = tensors_of(directory / "gpt2"), tensors_of(directory / "back")
    assert before.keys() == after.keys(), before.keys() ^ after.keys()
    assert all(numpy.array_equal(before[name], after[name]) for name in before)
    again = GPT2LMHeadModel.from_pretrained(directory / "back").eval()
    assert numpy.array_equal(logits_of(again), expected)

    run(TOOL, "export", imported, directory / "half", "--format", "safetensors", "--dtype", "bf16")
    half = GPT2LMHeadModel.from_pretrained(directory / "half", dtype=torch.bfloat16)
    for name, value in theirs.state_dict().items():
        assert torch.equal(half.state_dict()[name], value.to(torch.bfloat16)), name


CONFIG = """\
[model]
layers = 2
hidden = 48
heads = 4
ffn = 80
vocab = 256
sequence = 16
[data]
train = "{text}"
format = "text"
[train]
steps = 12
batch = 8
micro_batch = 4
lr = 1e-2
[run]
dir = "{run}"
"""


def check_trained():
    directory = SCRATCH / "trained"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "text.txt").write_text("a cat sat on a mat and ran\n" * 400)
    config = CONFIG.format(text=directory / "text.txt", run=directory / "run")
    (directory / "run.toml").write_text(config)
    mesh = ["--set", "mesh.row=2", "--set", "mesh.col=2"]
    run(*MPIRUN, "-np", 4, *TRAIN, "--config", directory / "run.toml", *mesh)
    sets = run(TOOL, "list", directory / "run", "--json").splitlines()
    newest = directory / "run" / "checkpoints" / json.loads(sets[-1])["set"]
    assert "step_000000012" in str(newest), sets
    printed = run(LOGITS, newest, 2, 48, 4, 80, 256, 16, "tied", *TOKENS)
    ours = numpy.array([[float(x) for x in line.split()] for line in printed.splitlines()])
    run(TOOL, "export", directory / "run", directory / "out", "--format", "safetensors")
    expected = logits_of(GPT2LMHeadModel.from_pretrained(directory / "out").eval())
    difference = numpy.abs(ours - expected).max() / numpy.abs(expected).max()
    print(f"trained on row=2 col=2: logits differ by {difference:.1e} of the largest")
    assert difference < 2e-5, difference


for tied, shard in ((True, "1GB"), (False, "1GB"), (True, "30KB")):
    check(tied, shard)
if TRAIN:
    check_trained()
