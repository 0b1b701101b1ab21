# SPDX-License-Identifier: Apache-2.0
"""The figure is drawn, is the same for the same table, and a bad table is refused in one line."""

import unittest

import plotting

HEAD = "mechanism,platform,run.vms,metric,unit,mean,ci95,n\n"
TABLE = HEAD + "".join(
    f"{mechanism},{platform},{guests},{metric},{unit},{mean * guests},{ci95},5\n"
    for mechanism, ci95 in (("native_concurrent", 0), ("kvm_pv", 0.1), ("of_tomorrow", 0.1))
    for platform in ("x86", "arm") for guests in (1, 2, 4)
    for metric, unit, mean in (("completion_time", "ns", 2.5e6), ("speedup", "ratio", 1.0)))
OUTPUTS = ("overcommit_speedup.png", "overcommit_speedup.svg")


class Plot(plotting.PlotTest):
    SCRIPT = "plot_overcommit.py"

    def test_drawn_and_deterministic(self):
        self.check_drawn({"summary.csv": TABLE}, OUTPUTS)

    def test_refused(self):
        for what, table in (
                ("missing", None), ("empty", ""), ("no rows", HEAD),
                ("column", TABLE.replace("platform", "place")),
                ("number", TABLE.replace("2500000.0", "many")),
                ("metric", TABLE.replace("completion_time", "time")),
                ("twice", TABLE + TABLE.splitlines()[1] + "\n")):
            self.check_refused(what, {} if table is None else {"summary.csv": table}, OUTPUTS[0])


if __name__ == "__main__":
    unittest.main()
