#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests that need a GPU, on a machine that has one: configures the preset `cuda`, builds the
# programs that have GPU tests, and runs them, ranks that share a GPU under MPS. The last lines are
# a table: result, seconds, test.
#
#   bash tests/run_gpu.sh                     # all of them
#   bash tests/run_gpu.sh -R comm_nccl        # what ctest is to choose
#
# Headers that are not installed may lie below .deps/include. DSR_GPU_BUILD: another build folder.
# Exit status: 0 all passed, 1 a test failed or could not be built, 77 all were skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=$(realpath -m "${DSR_GPU_BUILD:-build/cuda}")
report="$build/gpu_tests.xml"
nvidia-smi --query-gpu=name,driver_version,clocks.sm,power.limit --format=csv,noheader ||
  echo "no nvidia-smi: GPU tests will be skipped"

cmake --preset cuda -B "$build" -DCMAKE_PREFIX_PATH="$PWD/.deps" -DDSR_BENCHMARKS=OFF |
  grep 'dsr:'
cmake --build "$build" --parallel "$(nproc)" --target gpu_tests
rm -f "$report"
bash tests/support/with_mps.sh ctest --test-dir "$build" -L gpu --output-on-failure \
  --output-junit "$report" "$@" || true

python3 - "$report" <<'PYTHON'
import sys
import xml.etree.ElementTree as xml

cases = list(xml.parse(sys.argv[1]).getroot().iter("testcase"))
counts = {"passed": 0, "failed": 0, "skipped": 0}
for case in cases:
    note = case.find("skipped")
    skipped = note is not None and note.get("message", "").startswith("SKIP_")
    result = "passed" if case.get("status") == "run" else "skipped" if skipped else "failed"
    counts[result] += 1
    print(f"{result:8}{float(case.get('time', 0)):8.1f} s  {case.get('name')}")
print(", ".join(f"{count} {result}" for result, count in counts.items()))
sys.exit(1 if counts["failed"] or not cases else 77 if counts["passed"] == 0 else 0)
PYTHON
