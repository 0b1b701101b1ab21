# SPDX-License-Identifier: Apache-2.0
"""scripts/plot_line.py: both figures, the errors beside published figures, and bad tables."""

import csv
import os
import subprocess
import sys
import unittest

import tree

HEAD = "study,platform,metric,unit,mean,ci95,n\n"
TRANSFER = HEAD + "".join(
    f"line_sharing,{machine},{metric},ns,{mean},0.5,3\n"
    for machine, means in (("near", (9, 50, 0)), ("far", (0, 60, 220)))
    for metric, mean in zip(("smt_ns", "socket_ns", "other_socket_ns"), means))
CONTENTION = HEAD.replace("metric", "line_sharing.pattern,line_sharing.cpus,metric") + "".join(
    f"line_sharing,near,{pattern},{cpus},{metric},ns,{10 * cpus},,1\n"
    for pattern, metrics in (("writers", ("rmw_ns", "move_ns", "unfairness")),
                             ("readers", ("store_ns", "mean_read_ns", "last_read_ns")))
    for metric in metrics for cpus in (1, 2, 16))
PUBLISHED = """# by hand
machine,metric,low_ns,high_ns,kind,confidence,source
near,socket_ns,40,48,range,verbatim,a book
far,socket_ns,55,65,range,verbatim,a book
far,other_socket_ns,275,,average,remembered,"a book, p. 1"
near,other_socket_ns,100,100,average,verbatim,no such pair
none,socket_ns,1,1,average,verbatim,not run
"""


class PlotLine(tree.TreeTest):
    def plot(self, table):
        if table is not None:
            self.write("summary.csv", table)
        self.write("published/transfer.csv", PUBLISHED)
        script = os.path.join(tree.ROOT, "scripts", "plot_line.py")
        done = subprocess.run(
            [sys.executable, script, self.root, "--published",
             os.path.join(self.root, "published", "transfer.csv")],
            capture_output=True, text=True, check=False)
        if done.returncode == 3:
            self.skipTest(done.stderr)
        return done

    def bytes_of(self, name):
        result = []
        for suffix in ("png", "svg"):
            with open(os.path.join(self.root, f"{name}.{suffix}"), "rb") as file:
                result.append(file.read())
        return result

    def test_drawn_and_deterministic(self):
        for name, table in (("line_transfer", TRANSFER), ("line_contention", CONTENTION)):
            with self.subTest(name):
                self.setUp()
                self.assertEqual(self.plot(table).returncode, 0)
                first = self.bytes_of(name)
                self.assertEqual(self.plot(table).returncode, 0)
                self.assertEqual(first, self.bytes_of(name))

    def test_error_is_the_distance_from_what_was_published(self):
        self.assertEqual(self.plot(TRANSFER).returncode, 0)
        with open(os.path.join(self.root, "published.csv"), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["machine"], row["metric"], float(row["error_percent"]))
                          for row in rows],
                         [("near", "socket_ns", round(100 * (50 / 48 - 1), 1)),
                          ("far", "socket_ns", 0), ("far", "other_socket_ns", -20)])

    def test_refused(self):
        for what, table in (
                ("missing", None), ("empty", ""), ("no rows", HEAD),
                ("column", TRANSFER.replace("platform", "place")),
                ("number", TRANSFER.replace("220", "many")),
                ("study", TRANSFER.replace("line_sharing", "tlb_profile")),
                ("nothing", TRANSFER.replace("_ns", "_ps")),
                ("twice", TRANSFER + TRANSFER.splitlines()[1] + "\n")):
            with self.subTest(what):
                self.setUp()
                done = self.plot(table)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertFalse(os.path.exists(os.path.join(self.root, "line_transfer.png")))


if __name__ == "__main__":
    unittest.main()
