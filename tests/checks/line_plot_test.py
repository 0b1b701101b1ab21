# SPDX-License-Identifier: Apache-2.0
"""scripts/plot_line.py: both figures, the errors beside published figures, and bad tables."""

import csv
import os
import unittest

import plotting

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


class PlotLine(plotting.PlotTest):
    SCRIPT = "plot_line.py"

    def published(self):
        """The arguments that name the table."""
        self.write("published/transfer.csv", PUBLISHED)
        return "--published", os.path.join(self.root, "published", "transfer.csv")

    def test_drawn_and_deterministic(self):
        for name, table, more in (("line_transfer", TRANSFER, ("published.csv",)),
                                  ("line_contention", CONTENTION, ())):
            with self.subTest(name):
                self.setUp()
                self.check_drawn({"summary.csv": table}, (f"{name}.png", f"{name}.svg", *more),
                                 *self.published())

    def test_error_is_the_distance_from_what_was_published(self):
        self.assertEqual(self.plot({"summary.csv": TRANSFER}, *self.published()).returncode, 0)
        with open(os.path.join(self.root, "published.csv"), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["machine"], row["metric"], float(row["error_percent"]))
                          for row in rows],
                         [("near", "socket_ns", round(100 * (50 / 48 - 1), 1)),
                          ("far", "socket_ns", 0), ("far", "other_socket_ns", -20)])

    def test_refused(self):
        published = self.published()
        for what, table in (
                ("missing", None), ("empty", ""), ("no rows", HEAD),
                ("column", TRANSFER.replace("platform", "place")),
                ("number", TRANSFER.replace("220", "many")),
                ("study", TRANSFER.replace("line_sharing", "tlb_profile")),
                ("nothing", TRANSFER.replace("_ns", "_ps")),
                ("twice", TRANSFER + TRANSFER.splitlines()[1] + "\n")):
            self.check_refused(what, {} if table is None else {"summary.csv": table},
                               "line_transfer.png", *published)


if __name__ == "__main__":
    unittest.main()
