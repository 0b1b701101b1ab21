# SPDX-License-Identifier: Apache-2.0
"""scripts/site: this repository's pages build, and a link that does not hold is told."""

import os
import subprocess
import sys
import unittest

import tree


class Site(tree.TreeTest):
    def build(self, root, output):
        script = os.path.join(tree.ROOT, "scripts", "site")
        done = subprocess.run([sys.executable, script, "--root", root, "-o", output],
                              capture_output=True, text=True, check=False)
        if done.returncode == 3:
            self.skipTest(done.stderr)
        return done

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8") as file:
            return file.read()

    def test_this_repository(self):
        site = os.path.join(self.root, "site")
        done = self.build(tree.ROOT, site)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("tlbstorm", self.read("site/index.html"))
        for page in ("docs/tutorial.html", "docs/write-a-mechanism.html", "results/mmapstorm-overcommit/index.html"):
            self.assertTrue(os.path.exists(os.path.join(site, page)), page)
        self.assertEqual(self.build(tree.ROOT, site).returncode, 0) # a site is replaced

    def test_links(self):
        self.write("README.md", "# A\n[b](docs/b.md#c) [f](figure.svg)\n")
        self.write("docs/b.md", "# B\n## C\n[a](../README.md)\n")
        self.write("figure.svg", "<svg/>")
        site = os.path.join(self.root, "site")
        self.assertEqual(self.build(self.root, site).returncode, 0)
        self.assertIn('href="docs/b.html#c"', self.read("site/index.html"))
        self.assertEqual(self.read("site/figure.svg"), "<svg/>")
        self.write("docs/b.md", "# B\n[c](c.md)\n")
        done = self.build(self.root, site)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "scripts/site: docs/b.md links to docs/c.md, which is not there\n")
        self.assertTrue(os.path.exists(os.path.join(site, "docs", "b.html"))) # the old one stays

    def test_what_is_no_site_is_left_alone(self):
        self.write("README.md", "# A\n")
        self.write("other/file", "mine")
        self.assertEqual(self.build(self.root, os.path.join(self.root, "other")).returncode, 2)
        self.assertEqual(self.read("other/file"), "mine")


if __name__ == "__main__":
    unittest.main()
