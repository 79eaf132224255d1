# SPDX-License-Identifier: Apache-2.0
"""Checks the room rule over this repository, that <dsr/dsr.hpp> is complete, and that
docs/architecture.md shows the table that is checked.

usage: check_rooms.py <repository>
"""

import sys
from pathlib import Path

import rooms


def compare_documented(page, table):
    if not page.exists():
        return [f"{page} is missing: it shows the table of rooms"]
    documented = rooms.documented_table(page.read_text())
    if not documented:
        return [
            f"{page.name}: no table of rooms (rows like: | `mesh` | … | core, layout, comm |)"
        ]
    found = [
        f"{page.name}: room {room} is missing from its table"
        for room in table
        if room not in documented
    ]
    for room, others in documented.items():
        if room not in table:
            found.append(f"{page.name}: {room} is not in rooms.txt")
        elif others != table[room]:
            found.append(
                f"{page.name}: room {room} may include {sorted(others)}, "
                f"rooms.txt says {sorted(table[room])}"
            )
    return found


def main():
    root = Path(sys.argv[1]).resolve()
    table = rooms.read_table(Path(__file__).parent / "rooms.txt")
    found = rooms.violations(root, table) + rooms.umbrella_problems(root)
    found += compare_documented(root / "docs/architecture.md", table)
    print("\n".join(found) if found else f"{len(table)} rooms: the rule holds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
