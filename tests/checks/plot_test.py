# SPDX-License-Identifier: Apache-2.0
"""The figure is drawn, is the same for the same table, and a bad table is refused in one line."""

import os
import subprocess
import sys
import unittest

import tree

HEAD = "mechanism,platform,run.vms,metric,unit,mean,ci95,n\n"
TABLE = HEAD + "".join(
    f"{mechanism},{platform},{guests},{metric},{unit},{mean * guests},{ci95},5\n"
    for mechanism, ci95 in (("native_concurrent", 0), ("kvm_pv", 0.1), ("of_tomorrow", 0.1))
    for platform in ("x86", "arm") for guests in (1, 2, 4)
    for metric, unit, mean in (("completion_time", "ns", 2.5e6), ("speedup", "ratio", 1.0)))
OUTPUTS = ("overcommit_speedup.png", "overcommit_speedup.svg")


class Plot(tree.TreeTest):
    def plot(self, table):
        if table is not None:
            self.write("summary.csv", table)
        script = os.path.join(tree.ROOT, "scripts", "plot_overcommit.py")
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

    def test_refused(self):
        for what, table in (
                ("missing", None), ("empty", ""), ("no rows", HEAD),
                ("column", TABLE.replace("platform", "place")),
                ("number", TABLE.replace("2500000.0", "many")),
                ("metric", TABLE.replace("completion_time", "time")),
                ("twice", TABLE + TABLE.splitlines()[1] + "\n")):
            with self.subTest(what):
                self.setUp()
                done = self.plot(table)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertFalse(os.path.exists(os.path.join(self.root, OUTPUTS[0])))


if __name__ == "__main__":
    unittest.main()
