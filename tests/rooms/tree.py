# SPDX-License-Identifier: Apache-2.0
"""The rules about files: what lies at the top level, how long files are, and their licence line.

usage: tree.py <repository>
"""

import subprocess
import sys
from pathlib import Path

TOP_LEVEL = [
    "CMakeLists.txt",
    "libdsr",
    "include",
    "kernels",
    "examples",
    "tests",
    "tools",
    "benchmarks",
    "cmake",
    "docs",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "CMakePresets.json",
]
IGNORED = {
    "build",
    "runs",
    "__pycache__",
}  # as .gitignore has them, for a tree that is not a git checkout
LICENSED = {".hpp", ".cpp", ".cu", ".cuh", ".h", ".py", ".sh", ".cmake", ".toml"}
TEXT = LICENSED | {".md", ".txt", ".in"}


def walk(root):
    """Files below root as relative paths, build output left out."""
    return sorted(
        path.relative_to(root)
        for path in root.rglob("*")
        if path.is_file()
        and not IGNORED & set(path.relative_to(root).parts)
        and path.relative_to(root).parts[0] != ".git"
    )


def files_of(root):
    """What git tracks, and new files below the top level; in a copy without git, all files."""

    def listed(*options):
        listing = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", *options],
            capture_output=True,
            text=True,
            check=False,
        )
        return [
            Path(name) for name in listing.stdout.split("\0") if name and (root / name).is_file()
        ]

    try:
        tracked = listed("--cached")
        new = listed("--others", "--exclude-standard")
    except FileNotFoundError:
        tracked = []
    if not tracked:
        return walk(root)
    return sorted(tracked + [file for file in new if len(file.parts) > 1])


def allowed_lines(file):
    if file == Path("README.md"):
        return 150
    return 100 if file.name == "CMakeLists.txt" else 500


def problems(root, files):
    found = []
    top = sorted({file.parts[0] for file in files})
    found += [
        f"top level: {name} does not belong there"
        for name in top
        if name not in TOP_LEVEL and not name.startswith(".")
    ]
    found += [f"top level: {name} is missing" for name in TOP_LEVEL if not (root / name).exists()]
    for file in files:
        if file.suffix not in TEXT:
            continue
        lines = (root / file).read_text().splitlines()
        if len(lines) > allowed_lines(file):
            found.append(f"{file}: {len(lines)} lines, allowed {allowed_lines(file)}")
        if file.suffix in LICENSED or file.name == "CMakeLists.txt":
            first = next((line for line in lines if not line.startswith("#!")), "")
            if first.lstrip("/# ") != "SPDX-License-Identifier: Apache-2.0":
                found.append(f"{file}: the first line is not the SPDX line")
    return found


def main():
    root = Path(sys.argv[1]).resolve()
    files = files_of(root)
    found = problems(root, files)
    print("\n".join(found) if found else f"{len(files)} files: the rules hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
