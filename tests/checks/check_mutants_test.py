# SPDX-License-Identifier: Apache-2.0
"""scripts/check-mutants reads its list, refuses wrong lines with their place, and puts rows into the
table without losing those that were not run."""

import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import unittest

import tree

SCRIPT = os.path.join(tree.ROOT, "scripts", "check-mutants")
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("check_mutants", SCRIPT)
script = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_mutants", loader))
loader.exec_module(script)


class Mutant:
    def __init__(self, name):
        self.name, self.what = name, "a rule | with a bar"


KNOWN = {name: Mutant(name) for name in ("early", "late", "weak")}
TABLE = """before
{}
| mutant | what is wrong |
|---|---|
| `gone` | is no longer on the list |
| `late` | an old row |
| `weak` | stays |
{}
after
"""


class List(unittest.TestCase):
    def read(self, text):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "tests", "mutants"))
            with open(os.path.join(root, "tests/mutants/check.list"), "w", encoding="utf-8") as file:
                file.write(text)
            return script.read_list(root, KNOWN)

    def test_a_line_is_a_mutant_its_mechanisms_and_options(self):
        rows = self.read("# a comment\n\nweak: kvm_pv xen --weak-memory\nlate: rar\n")
        self.assertEqual([r.mutant.name for r in rows], ["weak", "late"])
        self.assertEqual(rows[0].mechanisms, ["kvm_pv", "xen"])
        self.assertEqual(rows[0].options, ["--weak-memory"])
        self.assertEqual(rows[1].options, [])

    def test_wrong_lines_are_told_with_their_place(self):
        for text, want in (("# a\nlaet: rar\n", "check.list:2: no mutant laet.*late"),
                           ("weak:\n", "check.list:1: weak without a mechanism"),
                           ("weak: --weak-memory\n", "check.list:1: weak without a mechanism"),
                           ("weak\n", "check.list:1: weak without a mechanism")):
            with self.assertRaisesRegex(script.mutants.Wrong, want):
                self.read(text)


class Table(unittest.TestCase):
    def row(self, name, cases=(), missed=0, options=()):
        row = script.Row(KNOWN[name], ["kvm_pv", *options])
        row.cases, row.seconds, row.operations = list(cases), list(cases), list(cases)
        row.missed, row.finding = missed, "stale translation" if cases else ""
        return row

    def test_a_row_has_medians_and_says_what_was_missed(self):
        self.assertEqual(self.row("weak", (3, 1, 2), options=["--weak-memory"]).markdown(),
                         "| `weak` | a rule \\| with a bar | `kvm_pv` `--weak-memory` | "
                         "stale translation | 2 | 2 | 2 | none |")
        self.assertIn("stale translation, 1 of 3 starts found none | 1.5 |",
                      self.row("weak", (1, 2), missed=1).markdown())
        self.assertIn("| none, 3 of 3 starts found none | - | - | - |",
                      self.row("weak", missed=3).markdown())

    def test_rows_that_were_not_run_stay(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "check.md")
            with open(path, "w", encoding="utf-8") as file:
                file.write(TABLE.format(script.BEGIN, script.END))
            script.write_markdown(path, [self.row("late", (1,)), self.row("early", (1,))], KNOWN)
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        self.assertEqual([lines[0], lines[1], lines[-2], lines[-1]],
                         ["before", script.BEGIN, script.END, "after"])
        self.assertEqual(lines[2:4], script.HEAD)
        self.assertEqual([line.split("`")[1] for line in lines[4:-2]], ["early", "late", "weak"])
        self.assertIn("stale translation", lines[5])
        self.assertIn("stays", lines[6])


if __name__ == "__main__":
    unittest.main()
