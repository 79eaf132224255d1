#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every test, from nothing: installs what is missing (as root on Debian or Ubuntu), builds and runs.
# The last line counts the results of all builds: "N passed, N failed, N skipped".
#
#   bash tests/run.sh              # all builds
#   bash tests/run.sh release      # some of them
#
#   release  everything
#   asan     AddressSanitizer and UndefinedBehaviorSanitizer; the tests that the preset selects:
#            those without ranks and those on 2 ranks
#   cuda     the CUDA backend, for which no GPU is needed: compiles and links all of it, runs the
#            tests whose code is another in this build, and shows those that need a GPU as skipped.
#            Left out, with a line that says why, where the CUDA toolkit or its libraries are not
#            found, unless it was asked for by name.
#   fuzz     libFuzzer with both sanitizers, 20 s a target, and the corpus. Left out where there is
#            no clang++, unless it was asked for by name.
#
# ccache is used where it is installed. Exit status: 0 all passed, 1 something failed, 130 it was
# interrupted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

builds=("$@")
if [ ${#builds[@]} = 0 ]; then
  builds=(release asan cuda fuzz)
fi
asked_for_by_name=$#
reports=()
stage="installing what is missing"
left_out=""
fuzz_left_out=""

# Adds up what ctest wrote. A test that ctest could not run at all counts as failed.
count_results() {
  python3 - "$@" <<'PYTHON'
import sys
import xml.etree.ElementTree as xml

passed = skipped = 0
failed = int(sys.argv[1])
for report in sys.argv[2:]:
    try:
        cases = list(xml.parse(report).getroot().iter("testcase"))
    except (OSError, xml.ParseError):
        continue
    for case in cases:
        note = case.find("skipped")
        reason = note.get("message", "") if note is not None else ""
        if case.get("status") == "run":
            passed += 1
        elif case.get("status") == "disabled" or reason.startswith("SKIP_"):
            skipped += 1
        else:
            failed += 1
            print("failed:", report.split("/")[1], case.get("name"))
print(f"{passed} passed, {failed} failed, {skipped} skipped")
PYTHON
}

# A step that failed counts as one failed test; a run that was interrupted counts nothing that it
# did not finish, and says so.
report_results() {
  local broken=0
  if [ -n "$left_out" ]; then
    echo "== cuda was left out: $left_out"
  fi
  if [ -n "$fuzz_left_out" ]; then
    echo "== fuzz was left out: $fuzz_left_out"
  fi
  case "$stage" in
    done) ;;
    interrupted*)
      if [ ${#reports[@]} = 0 ]; then
        echo "== $stage; no tests were over, so there is nothing to count"
        return 0
      fi
      echo "== $stage; only builds that were over before are counted"
      ;;
    *)
      echo "== failed: $stage"
      broken=1
      ;;
  esac
  count_results "$broken" "${reports[@]}"
}

find_nvcc() {
  local candidate
  for candidate in "${CUDACXX:-}" "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" \
    "${CUDA_PATH:+$CUDA_PATH/bin/nvcc}" /usr/local/cuda/bin/nvcc; do
    if [ -n "$candidate" ] && [ -x "$candidate" ]; then
      return 0
    fi
  done
  command -v nvcc >/dev/null
}

# The reason why the CUDA build cannot be configured, where something is not installed.
what_cuda_lacks() {
  sed -n 's/^ *dsr: \(.*\(not found\|or newer\)\.\).*/\1/p' "$1" | head -1
}

# configure <build>: false where the build is to be left out.
configure() {
  local build=$1 log=build/$1/configure.log options=() status=0
  # CI insists on no warning; a user with another compiler should not fail over one.
  if [ "$build" != asan ] && [ -n "${CI:-}" ]; then
    options=(-DDSR_WARNINGS_AS_ERRORS=ON)
  fi
  if [ "$build" = cuda ] && [ "$asked_for_by_name" = 0 ] && ! find_nvcc; then
    left_out="no nvcc in PATH, CUDACXX, CUDA_HOME, CUDA_PATH or /usr/local/cuda"
    return 1
  fi
  if [ "$build" = fuzz ] && [ "$asked_for_by_name" = 0 ] && ! command -v clang++ >/dev/null; then
    fuzz_left_out="no clang++ in PATH"
    return 1
  fi
  mkdir -p "build/$build"
  cmake --preset "$build" "${options[@]}" 2>&1 | tee "$log" || status=$?
  if [ "$status" != 0 ] && [ "$build" = cuda ] && [ "$asked_for_by_name" = 0 ]; then
    left_out=$(what_cuda_lacks "$log")
    [ -z "$left_out" ] || return 1
  fi
  [ "$status" = 0 ] || exit 1
}

# The parts of a build that differ from those of the others; none: all of it.
targets_of() {
  if [ "$1" = cuda ]; then
    echo --target dsr examples/all benchmarks/all tests/core/all tests/comm/all tests/ops/all \
      gpu_tests
  elif [ "$1" = fuzz ]; then
    echo --target tests/fuzz/all
  fi
}

trap report_results EXIT
trap 'stage="interrupted: $stage"; exit 130' INT TERM
bash cmake/install_deps.sh
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CMAKE_CUDA_COMPILER_LAUNCHER=ccache
fi
failed=0
for build in "${builds[@]}"; do
  report="build/$build/ctest.xml"
  rm -f "$report"
  stage="configuring $build"
  echo "== $stage"
  configure "$build" || continue
  stage="building $build"
  echo "== $stage"
  # shellcheck disable=SC2046
  cmake --build --preset "$build" --parallel "$(nproc)" $(targets_of "$build")
  stage="testing $build"
  echo "== $stage"
  ctest --preset "$build" --parallel 2 --output-junit "$PWD/$report" || failed=1
  reports+=("$report")
done
stage="done"
exit $failed
