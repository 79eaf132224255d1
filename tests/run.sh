#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every test, from nothing: installs what is missing (as root on Debian or Ubuntu), builds, runs all of ctest, then
# builds with AddressSanitizer and UndefinedBehaviorSanitizer and runs the tests that the preset `asan` selects: those
# without ranks and those on 2 ranks. The last line counts the results of both: "N passed, N failed, N skipped".
#
#   bash tests/run.sh              # both builds
#   bash tests/run.sh release      # one of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

builds=("$@")
if [ ${#builds[@]} = 0 ]; then
  builds=(release asan)
fi
reports=()

# Adds up what ctest wrote. A test that ctest could not run at all counts as failed.
count_results() {
  python3 - "${reports[@]}" <<'PYTHON'
import sys
import xml.etree.ElementTree as xml

passed = failed = skipped = 0
for report in sys.argv[1:]:
    try:
        cases = list(xml.parse(report).getroot().iter("testcase"))
    except (OSError, xml.ParseError):
        continue
    for case in cases:
        note = case.find("skipped")
        if case.get("status") == "run":
            passed += 1
        elif case.get("status") == "disabled" or (note is not None and note.get("message", "").startswith("SKIP_")):
            skipped += 1
        else:
            failed += 1
            print("failed:", report.split("/")[1], case.get("name"))
print(f"{passed} passed, {failed} failed, {skipped} skipped")
PYTHON
}

bash cmake/install_deps.sh
trap count_results EXIT
status=0
for build in "${builds[@]}"; do
  report="build/$build/ctest.xml"
  reports+=("$report")
  rm -f "$report"
  echo "== $build: configure and build"
  options=()
  # CI insists on no warning; a user with another compiler should not fail over one.
  if [ "$build" = release ] && [ -n "${CI:-}" ]; then
    options=(-DDSR_WARNINGS_AS_ERRORS=ON)
  fi
  cmake --preset "$build" "${options[@]}"
  cmake --build --preset "$build" --parallel "$(nproc)"
  echo "== $build: test"
  ctest --preset "$build" --parallel 2 --output-junit "$PWD/$report" || status=1
done
exit $status
