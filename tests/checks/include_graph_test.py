# SPDX-License-Identifier: Apache-2.0
"""scripts/include-graph draws the arrows of the sources, the same bytes each time, and sees cycles."""

import os
import subprocess
import sys
import unittest
import xml.etree.ElementTree as xml

import tree

SCRIPT = os.path.join(tree.ROOT, "scripts", "include-graph")


class IncludeGraph(tree.TreeTest):
    def setUp(self):
        super().setUp()
        self.include("sim/a.h", "sim/b.h", "stdio.h")
        self.include("models/low/a.c", "sim/a.h", "models/low/a.h")
        self.include("models/mid/a.c", "sim/a.h", "models/low/a.h")
        self.include("models/top/sub/a.c", "models/mid/a.h")
        self.include("tests/unit/a.cpp", "models/mid/a.h")

    def include(self, path, *headers):
        self.write(path, "".join(f'#include "{header}"\n' for header in headers))

    def draw(self, *arguments):
        done = subprocess.run([sys.executable, SCRIPT, "--root", self.root, *arguments],
                              capture_output=True, text=True, check=False)
        self.assertNotIn("Traceback", done.stderr)
        return done.returncode, done.stdout, done.stderr

    def arrows(self):
        code, output, _ = self.draw("--dot")
        return code, [line.strip() for line in output.splitlines() if "->" in line]

    def test_arrows(self):
        self.assertEqual(self.arrows(), (0, [
            '"models/low" -> "sim" [color="#333333"];',
            '"models/mid" -> "models/low" [color="#333333"];',
            '"models/mid" -> "sim" [color="#c9d3dd"];',
            '"models/top/sub" -> "models/mid" [color="#333333"];']))

    def test_two_way(self):
        self.include("models/low/b.c", "models/mid/a.h")
        code, arrows = self.arrows()
        self.assertEqual(code, 1)
        self.assertEqual([a for a in arrows if "#d00000" in a],
                         ['"models/low" -> "models/mid" [color="#d00000"];',
                          '"models/mid" -> "models/low" [color="#d00000"];'])
        self.assertIn("models/low includes models/mid, which leads back", self.draw()[2])

    def test_cycle_over_three(self):
        self.include("models/low/b.c", "models/top/sub/a.h")
        self.assertEqual(sum("#d00000" in a for a in self.arrows()[1]), 3)

    def test_cycle_elsewhere_is_drawn_and_no_error(self):
        self.include("sim/b.h", "sim/front/a.h")
        self.include("sim/front/a.cpp", "sim/a.h")
        code, arrows = self.arrows()
        self.assertEqual((code, sum("#d00000" in a for a in arrows)), (0, 2))

    def test_svg(self):
        code, text, _ = self.draw()
        self.assertEqual((code, text), self.draw()[:2])
        space = "{http://www.w3.org/2000/svg}"
        picture = xml.fromstring(text)
        at = {t.text: float(t.get("y")) for t in picture.iter(space + "text")}
        self.assertEqual(list(at), ["sim", "models/low", "models/mid", "models/top/sub"])
        self.assertEqual(sorted(at.values(), reverse=True), list(at.values()))
        titles = [t.text for t in picture.iter(space + "title")]
        self.assertEqual(len(titles), 4)
        self.assertIn("models/top/sub includes models/mid", titles)


if __name__ == "__main__":
    unittest.main()
