# SPDX-License-Identifier: Apache-2.0
"""examples/03_own_model_cuda prints the errors of 03_own_model, whose arithmetic is plain C++.

usage: own_model_cuda_test.py <folder of the examples>
Exit status: 0 passed, 1 failed, 77 there is no GPU.
"""

import subprocess
import sys
from pathlib import Path

SKIPPED, NO_CUDA = 77, 70  # exit codes: of CTest, and of a CudaError


def errors(program):
    """What it prints as `step <number>  error <number>`, step → error."""
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    if done.returncode == NO_CUDA and "no CUDA device" in done.stderr:
        print("skipped: there is no GPU")
        sys.exit(SKIPPED)
    if done.returncode != 0:
        sys.exit(f"{program} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("step ")]
    return {int(words[1]): float(words[3]) for words in lines}


def main():
    folder = Path(sys.argv[1])
    gpu = errors(folder / "03_own_model_cuda")
    cpu = errors(folder / "03_own_model")
    far = [step for step in cpu if not abs(gpu.get(step, 1e9) - cpu[step]) <= 1e-3 * cpu[step]]
    for step in cpu:
        print(f"step {step:4}  CPU {cpu[step]:.6g}  GPU {gpu.get(step)}")
    if far or len(cpu) < 5 or not cpu[max(cpu)] < 0.1 * cpu[0]:
        print(f"failed: steps {far} differ by more than a thousandth, or nothing was learnt")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
