#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a trained model: installs what is missing (as root on Debian or Ubuntu),
# builds, and trains a small GPT on this repository's own sources and pages, on four ranks: data
# parallel 2 × row 2. It trains for at most two minutes on two cores, then prints what the model
# writes. Everything it makes is in build/ and runs/quickstart/.
#
#   bash examples/quickstart.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=runs/quickstart

bash cmake/install_deps.sh

echo "== build"
cmake --preset release
cmake --build --preset release --target train_gpt --parallel "$(nproc)"

echo "== text"
rm -rf "$out"
mkdir -p "$out"
list_files() {
  git ls-files -z 2>/dev/null ||
    find . -type f -not -path './.git/*' -not -path './build/*' -not -path './runs/*' -print0
}
list_files |
  grep -zE '\.(hpp|cpp|cu|py|sh|cmake|md)$' | LC_ALL=C sort -z | xargs -0 cat >"$out/text.txt"
echo "$(wc -c <"$out/text.txt") bytes of sources and pages in $out/text.txt"

echo "== train"
launch=(mpirun -np 4)
if mpirun --version 2>&1 | grep -qE 'Open MPI|OpenRTE'; then
  launch+=(--bind-to none --oversubscribe)
  if [ "$(id -u)" = 0 ]; then
    launch+=(--allow-run-as-root)
  fi
fi
# One line in fifty is enough here; all of them are in metrics.jsonl.
"${launch[@]}" build/release/examples/train_gpt --config examples/tiny.toml \
  --set mesh.dp=2 --set mesh.row=2 --sample 200 |
  grep --line-buffered -vE '^step +([2-9]|[0-9]*([0-9][1-9]|[1-46-9]0))/'

echo "== result"
python3 - "$out/metrics.jsonl" <<'PYTHON'
import json
import sys

lines = [json.loads(line) for line in open(sys.argv[1])]
losses = [line["loss"] for line in lines if "loss" in line]
last = sum(losses[-10:]) / len(losses[-10:])
print(f"loss {losses[0]:.3f} at step 1, {last:.3f} over the last 10 of {len(losses)} steps")
PYTHON
echo "Next: docs/getting_started.md"
