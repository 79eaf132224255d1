# SPDX-License-Identifier: Apache-2.0
"""Shows that the checkers of this folder find what they are there to find."""

import tempfile
import unittest
from pathlib import Path

import rooms
import tree

TABLE = {
    "core": set(),
    "layout": {"core"},
    "comm": {"core"},
    "ops": {"core"},
    "mesh": {"core", "layout", "comm"},
}
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


class Tree(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def one_violation(self, name, text, words):
        self.write(name, text)
        found = rooms.violations(self.root, TABLE)
        self.assertEqual(len(found), 1, found)
        self.assertIn(words, found[0])


class RoomRule(Tree):
    def test_allowed_includes_pass(self):
        self.write(
            "include/dsr/mesh/mesh.hpp", '#include <vector>\n#include "dsr/layout/axis.hpp"\n'
        )
        self.write("include/dsr/comm/mpi.hpp", "#include <mpi.h>\n")
        self.write("include/dsr/dsr.hpp", '#include "dsr/mesh/mesh.hpp"\n')
        self.write(
            "libdsr/ops/cpu/add.cpp",
            '#include "kernels/a.hpp"\n#include <cblas.h>\n#include "add.hpp"\n',
        )
        self.write("libdsr/ops/cpu/add.hpp", "#include <fmt/format.h>\n")
        self.write("libdsr/core/rng.cpp", '#include "kernels/common/philox.hpp"\n')
        self.write("kernels/common/philox.hpp", "#include <cstdint>\n")
        self.assertEqual(rooms.violations(self.root, TABLE), [])

    def test_upward_include(self):
        self.one_violation(
            "libdsr/layout/a.cpp",
            '\n#include "dsr/mesh/mesh.hpp"\n',
            "libdsr/layout/a.cpp:2: room layout",
        )

    def test_sideways_private_include(self):
        self.one_violation(
            "libdsr/layout/a.cpp", '#include "libdsr/comm/b.hpp"\n', "may not include room comm"
        )

    def test_relative_include_is_resolved(self):
        self.write("libdsr/comm/b.hpp", "")
        self.one_violation(
            "libdsr/layout/a.cpp", '# include "../comm/b.hpp"\n', "may not include room comm"
        )

    def test_public_header_with_vendor_header(self):
        self.one_violation(
            "include/dsr/core/a.hpp", "#include <fmt/format.h>\n", "allowed: the standard library"
        )

    def test_public_header_with_private_header(self):
        self.one_violation("include/dsr/core/a.hpp", '#include "libdsr/core/b.hpp"\n', "private")

    def test_wrapped_library_elsewhere(self):
        self.one_violation("libdsr/layout/a.cpp", "#include <mpi.h>\n", "only comm wraps")

    def test_kernel_that_is_not_for_the_room(self):
        self.one_violation(
            "libdsr/core/a.cpp", '#include "kernels/gelu/gelu.hpp"\n', "room core includes kernels"
        )

    def test_umbrella_inside_a_room(self):
        self.one_violation("libdsr/mesh/a.cpp", "#include <dsr/dsr.hpp>\n", "for users")

    def test_kernel_with_dsr_header(self):
        self.one_violation(
            "kernels/a/a.cu", '#include "dsr/core/shape.hpp"\n', "kernels include no dsr header"
        )

    def test_kernel_header_that_is_not_plain(self):
        self.one_violation("kernels/a/a.hpp", "#include <cuda_runtime.h>\n", "plain C++")

    def test_folder_that_is_no_room(self):
        self.one_violation("libdsr/utils/a.cpp", "", "utils is not in the table")

    def test_umbrella(self):
        self.write("include/dsr/comm/mpi.hpp", "")
        self.write("include/dsr/core/a.hpp", "")
        self.write("include/dsr/core/b.hpp", "")
        self.write(
            "include/dsr/dsr.hpp", '#include "dsr/core/a.hpp"\n#include "dsr/comm/mpi.hpp"\n'
        )
        self.assertEqual(
            rooms.umbrella_problems(self.root),
            [
                "include/dsr/dsr.hpp does not include dsr/core/b.hpp",
                "include/dsr/dsr.hpp should not include dsr/comm/mpi.hpp",
            ],
        )

    def test_documented_table(self):
        page = (
            "| room | what | may include |\n|---|---|---|\n| `core` | a, b | – |\n"
            "| `nn` | x | core, (`kernels/`) |\n"
            "| `model` | y | nn's list, nn |\n| `train` | z | all |\n"
        )
        self.assertEqual(
            rooms.documented_table(page),
            {
                "core": set(),
                "nn": {"core"},
                "model": {"core", "nn"},
                "train": {"core", "nn", "model"},
            },
        )


class TreeRules(Tree):
    def setUp(self):
        super().setUp()
        for name in tree.TOP_LEVEL:
            if "." in name or name == "LICENSE":
                self.write(name, "# SPDX-License-Identifier: Apache-2.0\n")
            else:
                self.write(name + "/a.cpp", SPDX)

    def found(self):
        return tree.problems(self.root, tree.walk(self.root))

    def test_clean_tree_passes(self):
        self.write("build/junk.cpp", "")
        self.write(".ci/run", "#!/bin/sh\n")
        self.assertEqual(self.found(), [])

    def test_stray_and_missing_top_level(self):
        self.write("notes.md", "")
        (self.root / "LICENSE").unlink()
        self.assertEqual(
            self.found(),
            ["top level: notes.md does not belong there", "top level: LICENSE is missing"],
        )

    def test_long_files(self):
        self.write("libdsr/a.cpp", SPDX * 501)
        self.write("README.md", "\n" * 151)
        self.write("docs/CMakeLists.txt", "# SPDX-License-Identifier: Apache-2.0\n" * 101)
        self.assertEqual(
            self.found(),
            [
                "README.md: 151 lines, allowed 150",
                "docs/CMakeLists.txt: 101 lines, allowed 100",
                "libdsr/a.cpp: 501 lines, allowed 500",
            ],
        )

    def test_missing_licence_line(self):
        self.write("libdsr/b.cpp", "int x;\n")
        self.write("examples/a.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n")
        self.assertEqual(self.found(), ["libdsr/b.cpp: the first line is not the SPDX line"])


if __name__ == "__main__":
    unittest.main()
