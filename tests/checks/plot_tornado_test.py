# SPDX-License-Identifier: Apache-2.0
"""scripts/plot_tornado.py: what is drawn and kept of sensitivities over seeds, and bad input."""

import csv
import os
import unittest

import plotting

HEAD = "parameter,mechanism,value,low,high,elasticity,skipped\n"


def seed(one, two):
    return (HEAD + f"a.one,native,4,2,8,{one},\na.one,free,4,2,8,{-two},\n"
            f"a.two,native,6,3,12,0.25,\na.two,free,6,3,12,,no such machine\n")


TABLES = {"storm/seed=1/sensitivity.csv": seed(0.4, 0.8), "storm/seed=2/sensitivity.csv": seed(0.6, 1.0),
          "loop/seed=1/sensitivity.csv": HEAD + "a.loop,native,1,0,2,0.125,\n"}
RESULTS = ("--result", "storm=the storm", "--result", "loop=the loop")


class PlotTornado(plotting.PlotTest):
    SCRIPT = "plot_tornado.py"

    def rows(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def test_a_panel_a_result_and_the_longest_first(self):
        self.check_drawn(TABLES, ["sensitivity.png", "sensitivity.svg"], *RESULTS)
        with open(f"{self.root}/sensitivity.svg", encoding="utf-8") as file:
            svg = file.read()
        for text in ("the storm", "the loop", "a.one", "a.two", "a.loop", "native", "free"):
            self.assertIn(f"<!-- {text} -->", svg)
        self.assertLess(svg.index("<!-- a.one -->"), svg.index("<!-- a.two -->"))

    def test_what_seeds_say_together(self):
        self.check_drawn(TABLES, ["all.csv", "kept.csv", "sensitivity.png", "sensitivity.svg"], *RESULTS, "--summary", f"{self.root}/all.csv",
                         "--kept", f"{self.root}/kept.csv")
        rows = {(row["result"], row["parameter"], row["mechanism"]): row for row in self.rows("all.csv")}
        self.assertEqual(len(rows), 4) # what was skipped is no row
        native = rows["the storm", "a.one", "native"]
        # 0.4 and 0.6: the mean, and the deviation 0.1414 over the root of 2
        self.assertEqual((native["elasticity"], native["standard_error"], native["seeds"]), ("0.5000", "0.1000", "2"))
        kept = {row["parameter"]: row for row in self.rows("kept.csv")}
        self.assertEqual((kept["a.one"]["mechanism"], kept["a.one"]["elasticity"]), ("free", "-0.900"))
        self.assertEqual((kept["a.one"]["low"], kept["a.one"]["high"]), ("2", "8"))
        self.assertEqual(kept["a.loop"]["standard_error"], "0.000")

    def test_bad_input(self):
        def refused(what, tables, result):
            self.check_refused(what, tables, "sensitivity.png", "--result", result)

        refused("no title", TABLES, "storm")
        refused("no such result", TABLES, "none=x")
        path = "loop/seed=1/sensitivity.csv"
        refused("columns", {path: "parameter,mechanism\na,b\n"}, "loop=x")
        refused("a word for a number", {path: HEAD + "a,b,1,0,2,much,\n"}, "loop=x")


if __name__ == "__main__":
    unittest.main()
