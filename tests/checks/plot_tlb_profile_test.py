# SPDX-License-Identifier: Apache-2.0
"""The figure of the TLB profiles is drawn, is the same for the same table, and a bad table is
refused in one line."""

import os
import subprocess
import sys
import unittest

import tree

HEAD = ("study,platform,workload.pattern,tlb_profile.regime,tlb_profile.page,"
        "metric,unit,mean,ci95,n\n")
TABLE = HEAD + "".join(
    f"tlb_profile,{platform},{pattern},{regime},{page},{metric},1,{mean},{ci95},3\n"
    for platform in ("one", "two") for pattern in ("zipf", "random")
    for regime, cost in (("native", 1), ("nested", 2)) for page, share in (("base", 4), ("large", 0))
    for metric, mean, ci95 in (("walk_ratio", 0.1 * share, 0.01), ("accesses", 7, 0),
                               ("walk_cycles_per_access", 9.5 * cost * share, "")))
OUTPUTS = ("tlb_profile.png", "tlb_profile.svg")


class Plot(tree.TreeTest):
    def plot(self, table):
        if table is not None:
            self.write("summary.csv", table)
        script = os.path.join(tree.ROOT, "scripts", "plot_tlb_profile.py")
        done = subprocess.run([sys.executable, script, self.root],
                              capture_output=True, text=True, check=False)
        if done.returncode == 3:
            self.skipTest(done.stderr)
        return done

    def outputs(self):
        result = []
        for name in OUTPUTS:
            with open(os.path.join(self.root, name), "rb") as file:
                result.append(file.read())
        return result

    def test_drawn_and_deterministic(self):
        self.assertEqual(self.plot(TABLE).returncode, 0)
        first = self.outputs()
        self.assertEqual(self.plot(TABLE).returncode, 0)
        self.assertEqual(first, self.outputs())
        self.assertEqual(sorted(os.listdir(self.root)), sorted(OUTPUTS + ("summary.csv",)))

    def test_without_patterns(self):
        rows = [line for line in TABLE.splitlines() if ",random," not in line]
        self.assertEqual(self.plot("\n".join(rows).replace("workload.pattern,", "")
                                   .replace(",zipf", "") + "\n").returncode, 0)

    def test_refused(self):
        for what, table in (
                ("missing", None), ("empty", ""), ("no rows", HEAD),
                ("column", TABLE.replace("platform", "place")),
                ("number", TABLE.replace("0.4", "many")),
                ("metric", TABLE.replace("walk_ratio", "ratio")),
                ("regime", TABLE.replace("nested", "shadow")),
                ("page", TABLE.replace("large", "huge")),
                ("twice", TABLE + TABLE.splitlines()[1] + "\n")):
            with self.subTest(what):
                self.setUp()
                done = self.plot(table)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertFalse(os.path.exists(os.path.join(self.root, OUTPUTS[0])))


if __name__ == "__main__":
    unittest.main()
