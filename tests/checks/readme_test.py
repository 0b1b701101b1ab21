# SPDX-License-Identifier: Apache-2.0
"""README's example of a mechanism compiles as a file of models/flush, as it stands there."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import tree

sys.path.insert(0, os.path.join(tree.ROOT, "scripts", "checks"))
import headers  # noqa: E402

NAME = "readme_example"


def example():
    with open(os.path.join(tree.ROOT, "README.md"), encoding="utf-8") as file:
        section = file.read().split("### Add one", 1)[1]
    return re.search(r"^```c\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[1]


def compiles(text):
    """What the compiler says of models/flush/<NAME>.c in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, NAME + ".c")
        with open(path, "w", encoding="utf-8") as file:
            file.write(tree.LICENCE + text.replace("NAME", NAME))
        return subprocess.run(headers.C + headers.WARNINGS + ["-fsyntax-only", "-I", tree.ROOT,
                                                              path],
                              capture_output=True, text=True, check=False).stderr


@unittest.skipUnless(shutil.which("gcc"), "no gcc")
class Readme(unittest.TestCase):
    def test_mechanism(self):
        self.assertIn("NAME", example())
        self.assertEqual(compiles(example()), "")

    def test_a_stale_example_is_seen(self):
        stale = example().replace(".flush_multi =", ".flush =")
        self.assertNotEqual(stale, example())
        self.assertIn("flush", compiles(stale))


if __name__ == "__main__":
    unittest.main()
