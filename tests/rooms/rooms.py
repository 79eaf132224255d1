# SPDX-License-Identifier: Apache-2.0
"""The room rule over #include lines: who may include whom."""

import re
from pathlib import Path

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
SOURCE_SUFFIXES = {".hpp", ".cpp", ".cu", ".cuh", ".h"}

# Headers that only one room may include: the thing that it wraps.
WRAPPED = {
    "mpi.h": "comm",
    "cblas.h": "ops",
    "toml++/": "config",
    "hdf5.h": "checkpoint",
    "H5": "checkpoint",
    "xxhash.h": "checkpoint",
    "zstd.h": "checkpoint",
    "nccl.h": "comm",
}
# The only public headers that may include something besides the standard library and dsr.
FOREIGN = {
    "comm/mpi.hpp": {"mpi.h"},
    "mpi.hpp": {"mpi.h"},
    "core/cuda.hpp": {"cuda_runtime_api.h"},
    "comm/nccl.hpp": {"nccl.h"},
    "cuda.hpp": set(),
}
# What a room may include from kernels/: all, or listed files.
KERNELS = {"ops": None, "core": {"kernels/common/philox.hpp"}}


def read_table(path):
    """rooms.txt → {room: set of rooms it may include}."""
    table = {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            room, _, others = line.partition(":")
            table[room.strip()] = set(others.split())
    unknown = {other for others in table.values() for other in others} - set(table)
    if unknown:
        raise SystemExit(
            f"{path}: rooms that have no line of their own: {', '.join(sorted(unknown))}"
        )
    return table


def includes(path):
    """(line number, bracket, name) of each #include line."""
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1], match[2]


def resolve(root, path, bracket, name):
    """The included file as a path from the root, if it is one of the project's; else None."""
    if name.startswith("dsr/"):
        return "include/" + name
    if bracket == '"' and (path.parent / name).exists():
        return str((path.parent / name).resolve().relative_to(root.resolve()))
    if name.startswith(("libdsr/", "kernels/", "tests/", "examples/")):
        return name
    return None


def room_of(file):
    """ "include/dsr/mesh/mesh.hpp" → "mesh"; None for what is in no room."""
    parts = Path(file).parts
    if parts[:2] == ("include", "dsr") and len(parts) > 3:
        return parts[2]
    if parts[0] == "libdsr" and len(parts) > 2:
        return parts[1]
    return None


def is_standard(name):
    return re.fullmatch(r"[a-z_0-9]+", name) is not None


def check_room_file(root, table, path):
    relative = path.relative_to(root)
    room = room_of(relative)
    public = relative.parts[0] == "include"
    inside = str(Path(*relative.parts[2:])) if public else ""
    for line, bracket, name in includes(path):
        where = f"{relative}:{line}: "
        target = resolve(root, path, bracket, name)
        if target is None:
            if public and not is_standard(name) and name not in FOREIGN.get(inside, ()):
                yield where + f"a public header includes {name}; allowed: the standard library, dsr"
            for prefix, owner in WRAPPED.items():
                if name.startswith(prefix) and room not in (owner, None):
                    yield where + f"room {room} includes {name}, which only {owner} wraps"
        elif target.startswith("kernels/"):
            allowed = KERNELS.get(room, set())
            if allowed is not None and target not in allowed:
                yield where + f"room {room} includes {target}"
            if public:
                yield where + f"a public header includes {target}, which is not installed"
        elif target.startswith(("tests/", "examples/")):
            yield where + f"the library includes {target}"
        else:
            other = room_of(target)
            if other is None and room is not None:
                yield where + f"room {room} includes {target}, which is for users"
            elif room is not None and other != room and other not in table[room]:
                yield where + f"room {room} may not include room {other} ({target})"
            if public and target.startswith("libdsr/"):
                yield where + f"a public header includes {target}, which is private"


def check_kernel_file(root, path):
    for line, bracket, name in includes(path):
        where = f"{path.relative_to(root)}:{line}: a kernel"
        target = resolve(root, path, bracket, name)
        if target is not None and not target.startswith("kernels/"):
            yield f"{where} includes {target}; kernels include no dsr header"
        elif target is None and path.suffix == ".hpp" and not is_standard(name):
            yield f"{where} includes {name}; it must be plain C++"


def violations(root, table):
    """One line for every #include that breaks the rule, and for every folder that is no room."""
    found = []
    for base in ("include/dsr", "libdsr"):
        for path in sorted((root / base).rglob("*")):
            if path.suffix not in SOURCE_SUFFIXES:
                continue
            room = room_of(path.relative_to(root))
            if room is not None and room not in table and room != "programs":
                found.append(f"{path.relative_to(root)}: {room} is not in the table of rooms")
            elif room != "programs":
                found += check_room_file(root, table, path)
    for path in sorted((root / "kernels").rglob("*")):
        if path.suffix in SOURCE_SUFFIXES:
            found += check_kernel_file(root, path)
    return found


def umbrella_problems(root):
    """<dsr/dsr.hpp> includes every public header but those of FOREIGN, in sorted order."""
    headers = root / "include/dsr"
    wanted = sorted(
        "dsr/" + str(path.relative_to(headers))
        for path in headers.rglob("*.hpp")
        if path != headers / "dsr.hpp" and str(path.relative_to(headers)) not in FOREIGN
    )
    found = [name for _, _, name in includes(headers / "dsr.hpp")]
    problems = [
        f"include/dsr/dsr.hpp does not include {name}" for name in wanted if name not in found
    ]
    problems += [
        f"include/dsr/dsr.hpp should not include {name}" for name in found if name not in wanted
    ]
    if not problems and found != wanted:
        problems.append("include/dsr/dsr.hpp: the includes are not sorted")
    return problems


def documented_table(text):
    """The table of rooms of a page, rows `room` | … | what it may include → {room: set}."""
    rows = re.findall(r"^\|\s*`(\w+)`\s*\|.*\|([^|\n]*)\|\s*$", text, re.MULTILINE)
    table = {}
    for room, cell in rows:
        others = set()
        for word in re.split(r"[,\s]+", re.sub(r"\([^)]*\)|`", "", cell).strip()):
            others.add(word)
        listed = re.findall(r"(\w+)'s list", cell)
        others -= {"", "–", "-", "list"} | {name + "'s" for name in listed}
        for name in listed:
            others |= table.get(name, set())
        if others == {"all"}:
            others = {name for name, _ in rows} - {room}
        table[room] = others
    return table
