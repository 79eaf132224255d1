# SPDX-License-Identifier: Apache-2.0
"""Shows that snippets.py finds what it is there to find."""

import tempfile
import unittest
from pathlib import Path

import snippets

PAGE = """
Text.

```cpp
Mesh m{MeshShape{}, 0};
```

- a list
  ```bash
  echo "unfinished
  bash no/such.sh
  ```

```toml
[train]
steps = = 3
```

```cpp
int main() { return 0; }
```

```rust
fn main() {}
```

See [this](missing.md) and [that](https://example.org/x.md).
"""


class Snippets(unittest.TestCase):
    def test_finds_all_with_lines(self):
        found = snippets.snippets(Path("a.md"), PAGE)
        self.assertEqual(
            [(s.language, s.line) for s in found],
            [("cpp", 5), ("bash", 10), ("toml", 15), ("cpp", 20), ("rust", 24)],
        )
        self.assertEqual(found[1].text, 'echo "unfinished\nbash no/such.sh\n')

    def test_finds_all_problems(self):
        with tempfile.TemporaryDirectory() as folder:
            problems = snippets.check_page(Path(folder), Path("a.md"), PAGE)
        text = "\n".join(problems)
        for words in (
            "missing.md leads nowhere",
            "a.md:10: bash",
            "no/such.sh does not exist",
            "a.md:15:",
            "nobody checks the language rust",
        ):
            self.assertIn(words, text)
        self.assertEqual(len(problems), 5)

    def test_compiles_programs_alone_and_statements_together(self):
        units = dict(snippets.translation_units(snippets.snippets(Path("a.md"), PAGE)))
        self.assertEqual(list(map(str, units)), ["a.md:20", "a.md"])
        self.assertIn('#line 5 "a.md"', units[Path("a.md")])

    def test_compiler_complaint_names_the_page(self):
        complaint = snippets.compile_unit(["c++"], '#line 7 "a.md"\nint x = no_such_name;\n')
        self.assertIn("a.md:7", complaint)
        self.assertIsNone(snippets.compile_unit(["c++"], "int x = 1;\n"))


if __name__ == "__main__":
    unittest.main()
