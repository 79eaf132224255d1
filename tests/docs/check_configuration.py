# SPDX-License-Identifier: Apache-2.0
"""docs/configuration.md must contain what the table of keys prints, word for word. With --write it is
made so: what stands before the first section is kept.

usage: check_configuration.py <docs/configuration.md> <print_configuration> [--write]
"""

import difflib
import subprocess
import sys
from pathlib import Path


def main():
    page, program = Path(sys.argv[1]), sys.argv[2]
    text = page.read_text() if page.exists() else "# Configuration\n\n"
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout.strip()
    if printed.count("\n") < 10:
        print(f"the table of keys prints too little:\n{printed}")
        return 1
    if "--write" in sys.argv:
        page.write_text(text.partition("## `[")[0] + printed + "\n")
        return 0
    if printed in text:
        return 0
    print(
        f"{page} is not what the table of keys prints. To make it so:\n"
        f"  python3 {' '.join(sys.argv)} --write"
    )
    print(
        "\n".join(
            difflib.unified_diff(
                text.splitlines(), printed.splitlines(), "page", "keys", lineterm="", n=0
            )
        )
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
