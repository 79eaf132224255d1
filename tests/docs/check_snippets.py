# SPDX-License-Identifier: Apache-2.0
"""Checks every snippet of README.md, CONTRIBUTING.md and docs/, and that the program
print_configuration, which knows every key, takes the toml among them and examples/*.toml.

usage: check_snippets.py <repository> <print_configuration> <compiler> [compiler options …]
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import snippets


def check_settings(program, root, found):
    """Problems that the table of keys has with files of settings."""
    with tempfile.TemporaryDirectory() as folder:
        files = sorted((root / "examples").glob("*.toml"))
        for number, snippet in enumerate(
            snippet for snippet in found if snippet.language == "toml"
        ):
            files.append(Path(folder) / f"{snippet.page.name}-{number}.toml")
            files[-1].write_text(
                "\n" * (snippet.line - 1) + snippet.text
            )  # so that line numbers are the page's
        result = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    return [result.stdout + result.stderr] if result.returncode != 0 else []


def main():
    root = Path(sys.argv[1]).resolve()
    command = sys.argv[3:] + [
        "-std=c++20",
        f"-I{root}/include",
        "-Wall",
        "-Wextra",
        "-Wno-unused-variable",
        "-Wno-unused-but-set-variable",
    ]
    problems, units, all_found = [], [], []
    for page in snippets.pages(root):
        text = (root / page).read_text()
        found = snippets.snippets(page, text)
        all_found += found
        problems += snippets.check_page(root, page, text)
        units += snippets.translation_units(found)
    problems += check_settings(sys.argv[2], root, all_found)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda unit: snippets.compile_unit(command, unit[1]), units)
        problems += [
            f"{name} does not compile:\n{text}" for (name, _), text in zip(units, results) if text
        ]
    print("\n".join(problems))
    print(f"{len(all_found)} snippets, {len(units)} compiled files, {len(problems)} problems")
    return 1 if problems or not units else 0


if __name__ == "__main__":
    sys.exit(main())
