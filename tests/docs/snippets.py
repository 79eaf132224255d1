# SPDX-License-Identifier: Apache-2.0
"""Fenced code in Markdown pages, and how each language of it is checked.

```cpp               statements, in a function that has the names of PREAMBLE; or a program, with main
```cpp declarations  declarations at namespace scope
```bash, ```sh       syntax (bash -n), and that the scripts it names exist
```toml              parsed
```text              not checked: output, trees, formulas
"""

import re
import subprocess
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python before 3.11
    tomllib = None

FENCE = re.compile(r"^([ \t]*)```([^\n`]*)\n(.*?)^\1```[ \t]*$", re.MULTILINE | re.DOTALL)
PLAIN = {"text", "json", "cmake", "python", ""}

# What statements may use without declaring it.
PREAMBLE = """
[[maybe_unused]] void snippet_{number}(
    [[maybe_unused]] dsr::Runtime& runtime, [[maybe_unused]] dsr::Mesh& mesh,
    [[maybe_unused]] dsr::Gpt& model,
    [[maybe_unused]] dsr::Parameters& parameters, [[maybe_unused]] dsr::Pass& pass,
    [[maybe_unused]] dsr::Stream& stream, [[maybe_unused]] dsr::Tensor x,
    [[maybe_unused]] dsr::Tensor y) {{
  {{
"""


class Snippet:
    def __init__(self, page, line, language, options, text):
        self.page, self.line, self.language, self.options, self.text = (
            page,
            line,
            language,
            options,
            text,
        )

    def where(self):
        return f"{self.page}:{self.line}"


def snippets(page, text):
    found = []
    for match in FENCE.finditer(text):
        indent, words, body = match[1], match[2].split(), match[3]
        body = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)
        language = words[0] if words else ""
        found.append(
            Snippet(page, text.count("\n", 0, match.start(3)) + 1, language, words[1:], body)
        )
    return found


def translation_units(found):
    """C++ sources: each whole program alone, everything else of a page together."""
    together, number = {}, 0
    for snippet in found:
        if snippet.language != "cpp":
            continue
        line = f'#line {snippet.line} "{snippet.page}"\n'
        if re.search(r"\bint main\(", snippet.text):
            yield snippet.where(), "#include <dsr/dsr.hpp>\n" + line + snippet.text
            continue
        number += 1
        if "declarations" in snippet.options:
            part = f"namespace snippet_{number}_names {{\nusing namespace dsr;\n"
            part += f"{line}{snippet.text}}}\n"
        else:
            part = PREAMBLE.format(number=number)
            part += f"using namespace dsr;\n{line}{snippet.text}  }}\n}}\n"
        together.setdefault(snippet.page, "#include <dsr/dsr.hpp>\n")
        together[snippet.page] += part
    yield from together.items()


def compile_unit(command, source):
    """The compiler's complaint, or None."""
    result = subprocess.run(
        command + ["-x", "c++", "-fsyntax-only", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stderr if result.returncode != 0 else None


def check_shell(root, snippet):
    result = subprocess.run(
        ["bash", "-n"], input=snippet.text, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        yield f"{snippet.where()}: {result.stderr.strip()}"
    for script in re.findall(r"\b(?:bash|python3|source) +([\w./-]+\.\w+)", snippet.text):
        if not (root / script).exists():
            yield f"{snippet.where()}: {script} does not exist"


def check_toml(snippet):
    if tomllib is None:
        return
    try:
        tomllib.loads(snippet.text)
    except tomllib.TOMLDecodeError as error:
        yield f"{snippet.where()}: {error}"


def check_links(root, page, text):
    """Relative links must name files that exist."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", FENCE.sub("", text)):
        if "://" not in target and not ((root / page).parent / target).exists():
            yield f"{page}: the link to {target} leads nowhere"


def check_page(root, page, text):
    """All that needs no compiler."""
    problems = list(check_links(root, page, text))
    for snippet in snippets(page, text):
        if snippet.language in ("bash", "sh"):
            problems += check_shell(root, snippet)
        elif snippet.language == "toml":
            problems += check_toml(snippet)
        elif snippet.language != "cpp" and snippet.language not in PLAIN:
            problems.append(f"{snippet.where()}: nobody checks the language {snippet.language}")
    return problems


def pages(root):
    return [
        path.relative_to(root)
        for path in [
            root / "README.md",
            root / "CONTRIBUTING.md",
            *sorted((root / "docs").glob("*.md")),
        ]
        if Path(path).exists()
    ]
