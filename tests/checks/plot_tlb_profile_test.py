# SPDX-License-Identifier: Apache-2.0
"""The figure of the TLB profiles is drawn, is the same for the same table, and a bad table is
refused in one line."""

import unittest

import plotting

HEAD = ("study,platform,workload.pattern,tlb_profile.regime,tlb_profile.page,"
        "metric,unit,mean,ci95,n\n")
TABLE = HEAD + "".join(
    f"tlb_profile,{platform},{pattern},{regime},{page},{metric},1,{mean},{ci95},3\n"
    for platform in ("one", "two") for pattern in ("zipf", "random")
    for regime, cost in (("native", 1), ("nested", 2)) for page, share in (("base", 4), ("large", 0))
    for metric, mean, ci95 in (("walk_ratio", 0.1 * share, 0.01), ("accesses", 7, 0),
                               ("walk_cycles_per_access", 9.5 * cost * share, "")))
OUTPUTS = ("tlb_profile.png", "tlb_profile.svg")


class Plot(plotting.PlotTest):
    SCRIPT = "plot_tlb_profile.py"

    def test_drawn_and_deterministic(self):
        self.check_drawn({"summary.csv": TABLE}, OUTPUTS)

    def test_without_patterns(self):
        rows = [line for line in TABLE.splitlines() if ",random," not in line]
        table = "\n".join(rows).replace("workload.pattern,", "").replace(",zipf", "") + "\n"
        self.assertEqual(self.plot({"summary.csv": table}).returncode, 0)

    def test_refused(self):
        for what, table in (
                ("missing", None), ("empty", ""), ("no rows", HEAD),
                ("column", TABLE.replace("platform", "place")),
                ("number", TABLE.replace("0.4", "many")),
                ("metric", TABLE.replace("walk_ratio", "ratio")),
                ("regime", TABLE.replace("nested", "shadow")),
                ("page", TABLE.replace("large", "huge")),
                ("twice", TABLE + TABLE.splitlines()[1] + "\n")):
            self.check_refused(what, {} if table is None else {"summary.csv": table}, OUTPUTS[0])


if __name__ == "__main__":
    unittest.main()
