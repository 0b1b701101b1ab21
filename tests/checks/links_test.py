# SPDX-License-Identifier: Apache-2.0
"""The check of links passes what is there and finds what is not."""

import unittest

import tree


class Links(tree.TreeTest):
    def findings(self, path, text):
        self.setUp()
        self.write("docs/output.md", "")
        self.write("models/tlb/tlb.c", "")
        self.write(path, text)
        code, output = self.check("links")
        lines = output.splitlines()[:-1]
        self.assertEqual(code, 1 if lines else 0)
        return lines

    def test_there(self):
        for text in ("[a](docs/output.md)", "[a](docs/output.md#part)", "[a](#part)", "[a](docs/)",
                     "[a](https://example.org/x.md)", "see `models/tlb/tlb.c`", "models/NAME.c",
                     "models/tlb/new_*.c", "models/tlb/new_<name>.c", "guests/models of/ours",
                     "linux/scripts/gone.py", "as output.md says",
                     "EXPERIMENT.yaml", "config.resolved.yaml", "models/cpu/sched_table.h"):
            self.assertEqual(self.findings("README.md", text), [], text)
        self.assertEqual(self.findings("docs/a.md", "[a](output.md) [b](../models/tlb/tlb.c)"), [])
        self.assertEqual(self.findings("configs/a.yaml", "a: models/gone.c # models/tlb/tlb.c"), [])

    def test_stale(self):
        self.assertEqual(self.findings("README.md", "x\n[a](docs/outputs.md)"), [
            "README.md:2: link to docs/outputs.md, which is not there; did you mean "
            "docs/output.md?"])
        self.assertEqual(self.findings("docs/a.md", "[a](docs/output.md)"), [
            "docs/a.md:1: link to docs/output.md, which is not there; did you mean "
            "docs/output.md?"])
        self.assertEqual(self.findings("README.md", "see `models/tlb.c`."), [
            "README.md:1: models/tlb.c is not there; did you mean models/tlb/tlb.c?"])
        self.assertEqual(self.findings("README.md", "run scripts/gone, as outputs.md says"), [
            "README.md:1: scripts/gone is not there",
            "README.md:1: no file is called outputs.md; did you mean docs/output.md?"])
        self.assertEqual(self.findings("configs/a.yaml", "a: 1 # as docs/gone.md says"), [
            "configs/a.yaml:1: docs/gone.md is not there; did you mean docs/output.md?"])


if __name__ == "__main__":
    unittest.main()
