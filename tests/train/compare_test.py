# SPDX-License-Identifier: Apache-2.0
"""Runs benchmarks/gpu_train/all.py on programs that only pretend: order, medians, bars, failures.

usage: compare_test.py <folder of all.py>
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

FOLDER = Path(sys.argv.pop(1))

# Prints what the real ones print; its times depend on the model. Writes down that it ran.
PROGRAM = """#!{python}
import json, pathlib, sys
name, log = "{name}", pathlib.Path("{log}")
words = dict(zip(sys.argv, sys.argv[1:]))
model, steps = words["--model"], int(words.get("--steps", 1))
with log.open("a") as out:
    print(name, model, words["--sequence"], file=out)
if name == "broken":
    sys.exit("broken on purpose")
ms = {{"gpu_train": 100, "twin": 112, "floor": 98}}[name] * (10 if model == "1.3b" else 1)
tokens = [int(words["--" + key]) for key in ("sequence", "micro_batch", "accumulation")]
result = {{"step_ms": [ms] * (steps - 1) + [50 * ms], "loss": [11.0, 10.0], "floor_ms": ms,
          "tokens": tokens[0] * tokens[1] * tokens[2], "memory_mib": {memory},
          "predicted_mib": 900.4}}
print(json.dumps(result))
"""


class AllOfThem(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("gpu_train/gpu_train", "gpu_train", 1000)
        self.write("floor/floor_benchmark", "floor", 0)
        self.write("python", "twin", 1100)

    def write(self, place, name, memory):
        path = self.root / "benchmarks" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            PROGRAM.format(python=sys.executable, name=name, log=self.root / "log", memory=memory)
        )
        path.chmod(0o755)

    def run_all(self, *options):
        command = [sys.executable, "-B", FOLDER / "all.py", "--build", self.root]
        command += ["--python", self.root / "benchmarks/python", "--steps", "5", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertTrue(done.stdout, done.stderr)
        return done.returncode, json.loads(done.stdout), done.stderr.splitlines()

    def test_bars_that_are_met(self):
        status, reports, lines = self.run_all("--rounds", "2")
        self.assertEqual(status, 0)
        self.assertEqual([r["ratio"] for r in reports], [1.12] * 3)
        self.assertEqual([r["over_floor"] for r in reports], [round(100 / 98, 4)] * 3)
        self.assertEqual([r["memory_ratio"] for r in reports], [round(1000 / 1100, 4)] * 3)
        self.assertEqual([line.split()[-1] for line in lines[-3:]], ["met"] * 3)
        self.assertIn("1.3b S 2048 8x2", lines[-3])
        self.assertEqual(lines[-1].split()[-4], "900")
        log = (self.root / "log").read_text().splitlines()
        names = [line.split()[0] for line in log]
        self.assertEqual(names[:5], ["floor", "gpu_train", "twin", "twin", "gpu_train"])
        self.assertEqual(
            [line for line in log if line.startswith("floor")],
            ["floor 1.3b 2048", "floor 1.3b 1024", "floor 124m 1024"],
        )

    def test_a_bar_that_is_missed(self):
        self.write("gpu_train/gpu_train", "gpu_train", 1101)
        status, reports, lines = self.run_all("--rounds", "1", "--only", "124m")
        self.assertEqual(status, 1)
        self.assertEqual(reports[0]["bars_missed"], ["memory_ratio"])
        self.assertEqual(lines[-1].split()[-1], "memory_ratio")

    def test_a_program_that_fails(self):
        self.write("gpu_train/gpu_train", "broken", 0)
        status, reports, lines = self.run_all("--rounds", "1")
        self.assertEqual(status, 1)
        self.assertEqual(len(reports), 3)
        self.assertIn("broken on purpose", reports[0]["failed"])
        self.assertEqual([line.split()[-1] for line in lines[-3:]], ["failed"] * 3)


if __name__ == "__main__":
    unittest.main()
