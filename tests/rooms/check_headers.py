# SPDX-License-Identifier: Apache-2.0
"""Compiles every public header alone, twice in one file, with warnings as errors.

usage: check_headers.py <repository> <compiler> [compiler options …]
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]


def compile_alone(command, header):
    source = f"#include <{header}>\n#include <{header}>\n"
    return subprocess.run(
        command + ["-x", "c++", "-fsyntax-only", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )


def main():
    root = Path(sys.argv[1]).resolve()
    command = sys.argv[2:] + ["-std=c++20", f"-I{root}/include"] + WARNINGS
    if compile_alone(command, "dsr/no_such_header.hpp").returncode == 0:
        print("the compiler accepts a header that does not exist: this test would find nothing")
        return 1
    headers = [
        str(path.relative_to(root / "include"))
        for path in sorted((root / "include").rglob("*.hpp"))
    ]
    # These need the CUDA toolkit; the builds that have it compile them.
    headers = [
        name
        for name in headers
        if name not in {"dsr/cuda.hpp", "dsr/core/cuda.hpp", "dsr/comm/nccl.hpp"}
    ]
    failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, result in zip(
            headers, pool.map(lambda header: compile_alone(command, header), headers)
        ):
            if result.returncode != 0:
                failed += 1
                print(f"{header} does not compile alone:\n{result.stderr}")
    print(f"{len(headers)} headers, {failed} failed")
    return 1 if failed or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
