# SPDX-License-Identifier: Apache-2.0
"""scripts/mutants reads its blocks, refuses wrong ones with their place, chooses, judges what tests
said, writes its table, and tells a killed mutant from a survivor in a project of one file."""

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import tree

SCRIPT = os.path.join(tree.ROOT, "scripts", "mutants")
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("mutants", SCRIPT)
mutants = importlib.util.module_from_spec(importlib.util.spec_from_loader("mutants", loader))
loader.exec_module(mutants)

GOOD = """# mutants of a
name: first
file: models/a.c
what: the first rule
tests: unit/a_test
<<<<
    x = 1;
    y = 2;
====
    y = 2;
>>>>

name: second
file: models/a.c
what: a rule | with a bar
tests: unit/a_test cli/run
<<<<
z = 3
====
z = 4
>>>>
"""
SOURCE = "int f(void)\n{\n    x = 1;\n    y = 2;\n    z = 3;\n}\n"


PROJECT = """cmake_minimum_required(VERSION 3.25)
project(tiny LANGUAGES C CXX)
enable_testing()
add_executable(unit_a_test tests/unit/a_test.cpp models/a.c)
add_test(NAME unit/a_test COMMAND unit_a_test)
"""
BLOCK = """name: {}
file: models/a.c
what: a rule
tests: unit/a_test
<<<<
{}
====
{}
>>>>

"""


class Mutants(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = holder.name
        self.write("models/a.c", SOURCE)
        self.write("tests/unit/a_test.cpp", "")
        self.write("tests/cli/run.sh", "")
        self.write("tests/mutants/a.txt", GOOD)

    def write(self, path, text):
        tree.TreeTest.write(self, path, text)

    def run_script(self, *arguments):
        done = subprocess.run([sys.executable, SCRIPT, "--root", self.root, *arguments],
                              capture_output=True, text=True, check=False)
        self.assertNotIn("Traceback", done.stderr)
        return done.returncode, done.stdout, done.stderr

    def refused(self, text, message):
        self.write("tests/mutants/a.txt", text)
        code, _, error = self.run_script("--list")
        self.assertEqual((code, error), (2, message + "\n"))

    def listed(self, *arguments):
        code, output, _ = self.run_script("--list", *arguments)
        self.assertEqual(code, 0)
        return [line.split()[0] for line in output.splitlines()[:-1] if line[0] != " "]

    def test_reads(self):
        first, second = mutants.read_all(self.root)
        self.assertEqual((first.name, first.file, first.what, first.tests),
                         ("first", "models/a.c", "the first rule", "unit/a_test"))
        self.assertEqual(mutants.mutated(self.root, first), SOURCE.replace("    x = 1;\n", ""))
        self.assertEqual(mutants.mutated(self.root, second), SOURCE.replace("z = 3", "z = 4"))

    def test_wrong_blocks(self):
        at = "tests/mutants/a.txt:"
        self.refused(GOOD.replace("z = 3", "z = 5"),
                     at + "13: second: the old text occurs 0 times in models/a.c, not once")
        self.refused(GOOD.replace("z = 3\n", "=\n"),
                     at + "13: second: the old text occurs 3 times in models/a.c, not once")
        self.refused(GOOD.replace("file:", "flie:", 1),
                     at + "3: unknown key 'flie'; did you mean file?")
        self.refused(GOOD.replace("unit/a_test cli", "unit/a_tset cli"),
                     at + "13: no test unit/a_tset; did you mean unit/a_test?")
        self.refused(GOOD.replace("second\nfile: models/a.c", "second\nfile: models/b.c"),
                     at + "13: no file models/b.c; did you mean models/a.c?")
        self.refused(GOOD.replace("name: second", "name: first"),
                     at + f"13: first is also at {at}2")
        self.refused(GOOD.replace("z = 4", "z = 3"), at + "13: second changes nothing")
        self.refused(GOOD.replace("z = 3\n", ""), at + "13: second changes nothing")
        self.refused(GOOD.replace("what: the first rule\n", ""), at + "2: no what")
        self.refused(GOOD.replace("tests: unit/a_test\n", ""),
                     at + "2: no tests, and not equivalent")
        self.refused(GOOD[:-5], at + "13: block without an end (<<<<, ====, >>>>)")
        self.refused("<<<<\n" + GOOD,
                     at + "1: a text without name, file, what and tests before it")
        self.refused(GOOD.replace("====\nz", "<<<<\nz"),
                     at + "19: <<<< in the middle of a text")

    def test_chooses(self):
        self.assertEqual(self.listed(), ["first", "second"])
        self.assertEqual(self.listed("--only", "f*"), ["first"])
        self.assertEqual(self.listed("--slice", "2/2"), ["second"])
        self.assertEqual(self.listed("--file", "models/"), ["first", "second"])
        self.write("list", "# for CI\nsecond\n")
        self.assertEqual(self.listed("--names", os.path.join(self.root, "list")), ["second"])
        for wrong in (("--only", "firts"), ("--slice", "3/2"), ("--slice", "0/2"),
                      ("--file", "models/b")):
            self.assertEqual(self.run_script("--list", *wrong)[0], 2, wrong)

    def judged(self, cases, equivalent=""):
        mutant = mutants.Mutant("a:1")
        mutant.keys["equivalent"] = equivalent
        mutants.judge(mutant, cases)
        return mutant.status, mutant.by

    def test_judges(self):
        self.assertEqual(self.judged({"a": "A.b"}), ("killed", "a (A.b)"))
        self.assertEqual(self.judged({"a": None}), ("SURVIVED", "not noticed by a"))
        self.assertEqual(self.judged({"a": "A.b", "c": None}),
                         ("SURVIVED", "a (A.b) but not noticed by c"))
        self.assertEqual(self.judged({"a": None}, "why")[0], "equivalent")
        self.assertEqual(self.judged({"a": "A.b"}, "why")[0], "KILLED, SO NOT EQUIVALENT")

    def test_first_case(self):
        for output, case in (
                (b"[ RUN      ] A.b\n[  FAILED  ] A.b (1 ms)\n[  FAILED  ] C.d\n", "A.b"),
                (b"[ RUN      ] A.b\n[       OK ] A.b\n[ RUN      ] C.d\n", "C.d crashes"),
                (b"FAILED: exit 0, not 2\n", "exit 0, not 2"),
                (b"FAILED: exit 0, not 2: tlbstorm run e.yaml\n", "exit 0, not 2"),
                (b"FAILED: '--set a: b' not in /tmp/x/out|txt\n", "'--set a: b' not in out/txt"),
                (b"====\nFAIL: test_x (__main__.X)\n", "test_x"),
                (b"", "crashes")):
            self.assertEqual(mutants.first_case(output, "crashes"), case)

    def test_copy_loses_what_an_interrupted_run_left(self):
        copy = os.path.join(self.root, "build", "copy")
        mutants.synchronise(self.root, copy)
        path = os.path.join(copy, "models/a.c")
        before = os.stat(path).st_mtime_ns
        mutants.synchronise(self.root, copy)
        self.assertEqual(os.stat(path).st_mtime_ns, before)
        self.write("build/copy/models/a.c", "broken")
        self.write("build/copy/models/left.c", "left")
        mutants.synchronise(self.root, copy)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), SOURCE)
        self.assertFalse(os.path.exists(os.path.join(copy, "models/left.c")))

    @unittest.skipUnless(shutil.which("cmake") and shutil.which("ninja"), "no cmake and ninja")
    def test_a_project(self):
        self.write("CMakeLists.txt", PROJECT)
        self.write("models/a.c", "int f(void)\n{\n    int x = 1;\n    return x + 1;\n}\n")
        self.write("tests/unit/a_test.cpp",
                   'extern "C" int f(void);\nint main() { return f() == 2 ? 0 : 1; }\n')
        killed = BLOCK.format("killed", "x + 1", "x + 2")
        self.write("tests/mutants/a.txt", killed)
        code, output, error = self.run_script()
        self.assertEqual((code, error), (0, ""))
        self.assertIn("killed     killed (models/a.c): unit/a_test (fails)\n", output)
        self.write("tests/mutants/a.txt", killed + BLOCK.format("lives", "x + 1", "1 + x") +
                   BLOCK.format("faulty", "int x", "int y"))
        code, output, _ = self.run_script()
        self.assertEqual(code, 1)
        self.assertIn("SURVIVED   lives (models/a.c): not noticed by unit/a_test\n", output)
        self.assertIn("DOES NOT BUILD faulty (models/a.c): ", output)
        self.assertIn("3 mutants: 1 killed, 0 equivalent, 2 finding(s)\n", output)
        self.write("tests/unit/a_test.cpp", "int main() { return 1; }\n")
        code, _, error = self.run_script("--only", "killed")
        self.assertEqual((code, error),
                         (2, "unit/a_test fails without a mutant: fails\n"))

    def test_table(self):
        path = os.path.join(self.root, "testing.md")
        frame = "before\n" + mutants.BEGIN + "\n{}" + mutants.END + "\nafter\n"
        self.write("testing.md", frame.format(
            "| `first` | old | row | kept |\n| `gone` | x | y | z |\n"))
        found = mutants.read_all(self.root)
        mutants.judge(found[1], {"unit/a_test": "A.b", "cli/run": "c"})
        mutants.write_markdown(path, found)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), frame.format("\n".join(mutants.HEAD + [
                "| `first` | old | row | kept |",
                "| `second` | models/a.c | a rule \\| with a bar | unit/a_test (A.b), cli/run (c) |",
                ""])))
        rows = mutants.read_markdown(path)[1]
        self.assertTrue(mutants.has_verdict(rows["second"]))
        for verdict, has in (("not run", False), ("SURVIVED not noticed by a", False),
                             ("DOES NOT BUILD", False), ("KILLED, SO NOT EQUIVALENT", False),
                             ("unit/a (x \\| y)", True), ("equivalent: not run", True)):
            self.assertEqual(mutants.has_verdict(f"| `m` | f | not run | {verdict} |"), has)
        self.assertFalse(mutants.has_verdict(None))
        self.write("testing.md", "no marks")
        self.assertRaises(mutants.Wrong, mutants.write_markdown, path, found)


if __name__ == "__main__":
    unittest.main()
