# SPDX-License-Identifier: Apache-2.0
"""scripts/plot_sweep.py: what is drawn of a sweep, and bad input."""

import re
import unittest

import plotting

HEAD = "mechanism,platform,workload.pages,workload.touchers,metric,unit,mean,ci95,n\n"
SWEEP = HEAD + "".join(
    f"{mechanism},{platform},{pages},1,{metric},{unit},{scale * int(pages)},{ci},3\n"
    for mechanism, scale in (("latr", 1e-6), ("native_concurrent", 3e-6))
    for platform in ("one", "two") for pages in ("1", "2", "64")
    for metric, unit, ci in (("munmap_mean", "s", "1e-7"), ("ipis", "1", "")))
PUBLISHED = "# from nowhere\npages,small,large_one\n1,,\n2,5e-4,\n64,4e-4,1\n"
ARGUMENTS = ("--x", "workload.pages", "--metric", "munmap_mean", "--panel", "platform")


class PlotSweep(plotting.PlotTest):
    SCRIPT = "plot_sweep.py"

    def drawn(self, *arguments, tables=None, name="munmap_mean"):
        self.check_drawn(tables or {"summary.csv": SWEEP}, [f"{name}.png", f"{name}.svg"],
                         *arguments)
        with open(f"{self.root}/{name}.svg", encoding="utf-8") as file:
            return file.read()

    def test_a_line_a_mechanism_and_a_panel_a_platform(self):
        svg = self.drawn(*ARGUMENTS, "--unit", "us")
        for text in ("latr", "native_concurrent", "one", "two", "munmap mean (us)"):
            self.assertIn(f"<!-- {text} -->", svg)

    def test_over_a_line(self):
        svg = self.drawn(*ARGUMENTS, "--over", "native_concurrent", "--title", "T")
        self.assertIn("<!-- latr -->", svg)
        self.assertNotIn("<!-- native_concurrent -->", svg)
        self.assertIn("<!-- munmap mean over that of native_concurrent -->", svg)

    def test_keeps_and_names(self):
        svg = self.drawn("--x", "workload.pages", "--metric", "ipis", "--keep", "platform=one",
                         "--keep", "mechanism=latr", "--label", "interrupts", "--name", "f",
                         "--log-y", name="f")
        self.assertIn("<!-- interrupts -->", svg)
        self.assertNotIn("<!-- native_concurrent -->", svg)

    def test_the_axis_reaches_the_largest_of_all_panels(self):
        rows = [line.split(",") for line in SWEEP.splitlines()]
        for row in rows:
            if row[1] == "two" and row[4] == "munmap_mean": # the second panel
                row[6] = str(float(row[6]) * 1000)
        svg = self.drawn(*ARGUMENTS, "--unit", "us",
                         tables={"summary.csv": "\n".join(",".join(row) for row in rows) + "\n"})
        ticks = [float(text) for text in re.findall(r"<!-- (\d+) -->", svg)]
        self.assertGreater(max(ticks), 100000) # the largest is 192,000

    def test_words_have_a_place_each(self):
        svg = self.drawn("--x", "platform", "--metric", "ipis", "--keep", "workload.pages=1",
                         name="ipis")
        for text in ("one", "two", "latr"):
            self.assertIn(f"<!-- {text} -->", svg)

    def test_published_figures_are_beside_their_lines(self):
        svg = self.drawn(*ARGUMENTS, "--unit", "us", "--published", f"{self.root}/p.csv",
                         "--published-x", "pages", "--published-line", "latr=small",
                         tables={"summary.csv": SWEEP, "p.csv": PUBLISHED})
        self.assertIn("<!-- latr, published -->", svg)
        self.assertNotIn("<!-- native_concurrent, published -->", svg)
        ticks = [float(text) for text in re.findall(r"<!-- (\d+) -->", svg)]
        self.assertGreaterEqual(max(ticks), 400) # 500 us; what is simulated ends at 192

    def test_bad_published_figures(self):
        good = {"summary.csv": SWEEP, "p.csv": PUBLISHED}
        file = ("--published", f"{self.root}/p.csv")
        line = ("--published-line", "latr=small")
        for what, tables, arguments in (
                ("no file", {"summary.csv": SWEEP}, (*file, "--published-x", "pages", *line)),
                ("no x", good, (*file, *line)),
                ("no line", good, (*file, "--published-x", "pages")),
                ("no such x", good, (*file, "--published-x", "page", *line)),
                ("no such column", good, (*file, "--published-x", "pages", "--published-line",
                                          "latr=large")),
                ("no such line", good, (*file, "--published-x", "pages", "--published-line",
                                        "kvm_pv=small")),
                ("no number", {**good, "p.csv": PUBLISHED.replace("5e-4", "few")},
                 (*file, "--published-x", "pages", *line))):
            self.check_refused(what, tables, "munmap_mean.png", *ARGUMENTS, *arguments)

    def test_bad_input(self):
        good = {"summary.csv": SWEEP}
        for what, tables, arguments in (
                ("no file", {}, ARGUMENTS),
                ("no such key", good, ("--x", "workload.page", "--metric", "ipis")),
                ("no such metric", good, (*ARGUMENTS[:3], "ipi", "--panel", "platform")),
                ("another key has several values", good, ARGUMENTS[:4]),
                ("not a number", {"summary.csv": SWEEP.replace(",64,1,munmap", ",huge,1,munmap")},
                 ARGUMENTS),
                ("keep without a value", good, (*ARGUMENTS, "--keep", "platform")),
                ("keep of no value", good, (*ARGUMENTS, "--keep", "platform=three")),
                ("over nothing", good, (*ARGUMENTS, "--over", "kvm_pv")),
                ("over all there is", good, (*ARGUMENTS, "--over", "latr", "--keep",
                                             "mechanism=latr")),
                ("unit of a count", good, (*ARGUMENTS[:3], "ipis", "--panel", "platform",
                                           "--unit", "us"))):
            self.check_refused(what, tables, "munmap_mean.png", *arguments)


if __name__ == "__main__":
    unittest.main()
