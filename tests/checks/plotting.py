# SPDX-License-Identifier: Apache-2.0
"""What the tests of the scripts that draw figures share: a run of the script on a folder of its
own, and that it draws the same for the same tables and refuses bad ones."""

import os
import subprocess
import sys

import tree


class PlotTest(tree.TreeTest):
    SCRIPT = None # of scripts/

    def plot(self, tables, *arguments):
        """tables: texts by the names of their files."""
        for name, text in tables.items():
            self.write(name, text)
        script = os.path.join(tree.ROOT, "scripts", self.SCRIPT)
        done = subprocess.run([sys.executable, script, self.root, *arguments],
                              capture_output=True, text=True, check=False)
        if done.returncode == 3:
            self.skipTest(done.stderr)
        return done

    def bytes_of(self, names):
        result = []
        for name in names:
            with open(os.path.join(self.root, name), "rb") as file:
                result.append(file.read())
        return result

    def check_drawn(self, tables, outputs, *arguments):
        """Twice, with the same bytes, and no other file is left. Returns the first run."""
        first = self.plot(tables, *arguments)
        self.assertEqual(first.returncode, 0, first.stderr)
        drawn = self.bytes_of(outputs)
        there = set(os.listdir(self.root))
        self.assertEqual(self.plot(tables, *arguments).returncode, 0)
        self.assertEqual(drawn, self.bytes_of(outputs))
        self.assertEqual(there, set(os.listdir(self.root)))
        self.assertEqual({n for n in there if os.path.isfile(os.path.join(self.root, n))},
                         {*outputs, *tables})
        return first

    def check_refused(self, what, tables, output, *arguments):
        """In one line, and without the output, in a folder of its own."""
        with self.subTest(what):
            self.setUp()
            done = self.plot(tables, *arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertTrue(done.stderr.startswith(f"{self.SCRIPT}: "), done.stderr)
            self.assertFalse(os.path.exists(os.path.join(self.root, output)))
