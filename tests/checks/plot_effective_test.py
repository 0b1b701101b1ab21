# SPDX-License-Identifier: Apache-2.0
"""scripts/plot_effective.py: what is drawn of several result folders, and bad input."""

import unittest

import plotting

HEAD = "mechanism,platform,vms.n.count,metric,unit,mean,ci95,n\n"


def summary(effective=(0.8, 2.1)):
    rows = []
    for platform in ("x86", "arm"):
        for count, at in zip((0, 2), effective):
            for mechanism, gain in (("native_concurrent", 0), ("free_flush", 0.7)):
                rows += [(mechanism, platform, count, "log_speedup", "ln", gain, 0.1 * bool(gain)),
                         (mechanism, platform, count, "system_time", "s", 0.5 - gain / 2, 0.7),
                         (mechanism, platform, count, "effective_overcommit", "ratio", at, 0.1),
                         (mechanism, platform, count, "ipis", "1", 7, 1)]
    return HEAD + "".join(",".join(map(str, row)) + ",5\n" for row in rows)


class PlotEffective(plotting.PlotTest):
    SCRIPT = "plot_effective.py"
    ARGUMENTS = ("--x", "vms.n.count", "--name", "a storm")

    def drawn(self, table, *arguments):
        self.check_drawn({"summary.csv": table}, ["effective_overcommit.png", "effective_overcommit.svg"], *arguments)
        with open(f"{self.root}/effective_overcommit.svg", encoding="utf-8") as file:
            return file.read()

    def test_panels_lines_and_bounds(self):
        svg = self.drawn(summary(), *self.ARGUMENTS)
        for text in ("free_flush", "x86: a storm", "Arm: a storm", "speedup over native_concurrent",
                     "system time of the VM (s)", "8×"):
            self.assertIn(f"<!-- {text} -->", svg)

    def test_bad_input(self):
        for table, arguments, said in (
                (summary(), ("--name", "a"), "no column vms.neighbour.count"),
                (summary(), (*self.ARGUMENTS, "--name", "b"), "--name is given 2 times for 1 folders"),
                (summary((0, 2)), self.ARGUMENTS, "a point has no effective overcommit of the baseline"),
                (summary().replace("system_time", "user_time"), self.ARGUMENTS, "no rows of the metric system_time"),
                (summary().replace(",0.5,", ",half,"), self.ARGUMENTS, "is not a number")):
            self.check_refused(said, {"summary.csv": table}, "effective_overcommit.png", *arguments)
            self.assertIn(said, self.plot_here(*arguments)[1])


if __name__ == "__main__":
    unittest.main()
