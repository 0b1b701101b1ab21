# SPDX-License-Identifier: Apache-2.0
"""The checks of headers, layout and text pass a clean tree and find each fault."""

import os
import shutil
import unittest

import tree

GOOD_HEADER = tree.LICENCE + """#ifndef A_H
#define A_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ts_a {
    uint32_t x;
};
const struct ts_a *ts_a(void);

#ifdef __cplusplus
}
#endif
#endif
"""


@unittest.skipUnless(shutil.which("gcc") and shutil.which("g++"), "no gcc and g++")
class Headers(tree.TreeTest):
    def faults(self, text, path="sim/a.h"):
        self.write(path, text)
        code, output = self.check("headers")
        self.assertEqual(code, 1 if "does not compile alone" in output else 0)
        return output.count("does not compile alone")

    def test_good(self):
        self.assertEqual(self.faults(GOOD_HEADER), 0)

    def test_missing_include(self):
        self.assertEqual(self.faults(GOOD_HEADER.replace("#include <stdint.h>\n", "")), 2)

    def test_missing_guard(self):
        guards = ("#ifndef A_H\n", "#define A_H\n")
        text = GOOD_HEADER.replace(guards[0], "").replace(guards[1], "").rsplit("#endif", 1)[0]
        self.assertEqual(self.faults(text), 2)

    def test_not_cplusplus(self):
        self.assertEqual(self.faults(GOOD_HEADER.replace("uint32_t x;", "uint32_t class;")), 1)

    def test_old_prototype(self):
        self.assertEqual(self.faults(GOOD_HEADER.replace("ts_a(void)", "ts_a()")), 1)

    def test_cplusplus_header(self):
        self.assertEqual(self.faults("struct A { std::string s; };\n", "sim/front/a.hpp"), 1)


class Format(tree.TreeTest):
    def setUp(self):
        super().setUp()
        shutil.copy(os.path.join(tree.ROOT, ".clang-format"), self.root)

    def run_on(self, text):
        self.write("sim/a.c", text)
        code, output = self.check("format")
        if code == 77:
            self.skipTest(output)
        return code, output

    def test_good(self):
        self.assertEqual(self.run_on(tree.LICENCE + "int f(int x)\n{\n    return x;\n}\n")[0], 0)

    def test_bad(self):
        code, output = self.run_on(tree.LICENCE + "int f(int x) {\n  return x; }\n")
        self.assertEqual(code, 1)
        self.assertIn("sim/a.c: ", output)


class Tidy(tree.TreeTest):
    def errors(self, path, text):
        self.write(path, text)
        code, output = self.check("tidy")
        self.assertEqual(code, 1 if f"{path}:" in output else 0)
        return output

    def test_good(self):
        for path, text in (("sim/a.c", "int x;\n"), ("workloads/traces/a.txt", "/ro" "ot/x\n"),
                           ("scripts/a.sh", "mktemp -d a.XXXXXX; cd $here/wo" "rk/x\n")):
            self.assertIn("tidy: 0 finding(s)", self.errors(path, tree.LICENCE + text))

    def test_marks_and_paths(self):
        for word in ("TO" "DO", "FIX" "ME", "X" "XX", '"/wo' 'rk/x', "=/ro" "ot/x"):
            for path in ("sim/a.c", "docs/a.md", "scripts/run", "CMakeLists.txt"):
                with self.subTest(word=word, path=path):
                    self.setUp()
                    self.assertIn(f"{path}:3: ", self.errors(path, f"{tree.LICENCE}\na {word} b\n"))

    def test_licence(self):
        self.assertIn("sim/a.c:1: ", self.errors("sim/a.c", "int x;\n"))

    def test_long_file_and_function_warn(self):
        body = "    x();\n" * 69
        self.write("sim/a.c", f"{tree.LICENCE}void f(void)\n{{\n{body}}}\n" + "\n" * 600)
        code, output = self.check("tidy")
        self.assertEqual(code, 0)
        self.assertIn("warning: sim/a.c: 673 lines", output)
        self.assertIn("warning: sim/a.c:2: function of 71 lines", output)

    def test_namespace_is_no_function(self):
        self.write("sim/a.cpp", f"{tree.LICENCE}namespace a\n{{\n" + "int x;\n" * 90 + "}\n")
        self.assertEqual(self.check("tidy"), (0, "tidy: 0 finding(s)\n"))


if __name__ == "__main__":
    unittest.main()
