# SPDX-License-Identifier: Apache-2.0
"""docs/configuration.md must contain what the table of keys prints, word for word.

usage: check_configuration.py <docs/configuration.md> <print_configuration>
"""
import difflib
import subprocess
import sys
from pathlib import Path


def main():
    page = Path(sys.argv[1]).read_text()
    printed = subprocess.run([sys.argv[2]], capture_output=True, text=True, check=True).stdout.strip()
    if printed.count("\n") < 10:
        print(f"the table of keys prints too little:\n{printed}")
        return 1
    if printed in page:
        return 0
    print("docs/configuration.md is not what the table of keys prints; put this program's output there:", sys.argv[2])
    print("\n".join(difflib.unified_diff(page.splitlines(), printed.splitlines(), "page", "keys", lineterm="", n=0)))
    return 1


if __name__ == "__main__":
    sys.exit(main())
