# SPDX-License-Identifier: Apache-2.0
"""A throw-away source tree, and a check run on it."""

import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LICENCE = "/* SPDX-License-Identifier: Apache-2.0 */\n"


class TreeTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = holder.name

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def check(self, name, *arguments):
        """Exit code and output of scripts/checks/<name>.py."""
        script = os.path.join(ROOT, "scripts", "checks", name + ".py")
        done = subprocess.run([sys.executable, script, "--root", self.root, *arguments],
                              capture_output=True, text=True, check=False)
        self.assertNotIn("Traceback", done.stderr)
        return done.returncode, done.stdout
