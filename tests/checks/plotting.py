# SPDX-License-Identifier: Apache-2.0
"""What the tests of the scripts that draw figures share: a run of the script on a folder of its
own, and that it draws the same for the same tables and refuses bad ones."""

import contextlib
import io
import os
import runpy
import subprocess
import sys
from unittest import mock

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

    def plot_here(self, *arguments):
        """Exit code and errors of the script in this process, which has loaded its libraries once."""
        script = os.path.join(tree.ROOT, "scripts", self.SCRIPT)
        errors, code = io.StringIO(), 0
        own = sys.modules.pop("plotting") # this module; the scripts have one of the same name
        with mock.patch.object(sys, "argv", [script, self.root, *arguments]), \
                mock.patch.object(sys, "path", [os.path.dirname(script), *sys.path]), \
                contextlib.redirect_stderr(errors):
            try:
                runpy.run_path(script, run_name="__main__")
            except SystemExit as end:
                code = end.code
            finally:
                sys.modules["plotting"] = own
        return code, errors.getvalue()

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
                         {*outputs, *(name for name in tables if "/" not in name)})
        return first

    def check_refused(self, what, tables, output, *arguments):
        """In one line, and without the output, in a folder of its own."""
        with self.subTest(what):
            self.setUp()
            for name, text in tables.items():
                self.write(name, text)
            code, errors = self.plot_here(*arguments)
            if code == 3:
                self.skipTest(errors)
            self.assertEqual(code, 2, errors)
            self.assertEqual(len(errors.splitlines()), 1, errors)
            self.assertTrue(errors.startswith(f"{self.SCRIPT}: "), errors)
            self.assertFalse(os.path.exists(os.path.join(self.root, output)))
