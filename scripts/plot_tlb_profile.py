#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws page walks and walk cycles of an access for every machine, native against nested and base
against larger pages, a row of panels for each access pattern, from DIR/summary.csv into
DIR/tlb_profile.png and .svg.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from tlbstorm import plotting

NAME = "tlb_profile"
REGIME, PAGE, PATTERN = "tlb_profile.regime", "tlb_profile.page", "workload.pattern"
KEYS = ("study", "metric", "unit", "mean", "ci95", "n")
SWEPT = ("platform", REGIME, PAGE)
# Metric, title, label of the axis, factor to its unit.
PANELS = (("walk_ratio", "page walks", "walks per 100 accesses", 100),
          ("walk_cycles_per_access", "walk cycles", "cycles per access", 1))
PAGES = ("base", "contiguous", "large", "giant")
COLOURS = {"base": "#1f77b4", "contiguous": "#2ca02c", "large": "#d95f02", "giant": "#7b3294"}
# Nested is open and larger, so that both show where they are equal.
MARKS = {"native": {"marker": "o", "markersize": 5.5},
         "nested": {"marker": "D", "markersize": 8.5, "markerfacecolor": "none"}}


def read(pandas, path):
    table = plotting.read_table(pandas, path, KEYS + SWEPT, keep_default_na=False)
    if PATTERN not in table.columns:
        table[PATTERN] = ""
    metrics = [panel[0] for panel in PANELS]
    table = table[table["metric"].isin(metrics)].copy()
    plotting.to_numbers(pandas, table, ("mean", "ci95"))
    if table["mean"].isna().any():
        raise plotting.InputError(f"{path}: a mean is not a number")
    for key, known in ((REGIME, MARKS), (PAGE, COLOURS)):
        unknown = sorted(set(table[key]) - set(known))
        if unknown:
            raise plotting.InputError(
                f"{path}: {key} is {unknown[0]!r}, which this figure does not know")
    plotting.check_points(path, table, KEYS + SWEPT + (PATTERN,), metrics,
                          SWEPT + (PATTERN, "metric"))
    return table


def draw_panel(axes, rows, platforms, pages):
    """A line a machine and page size, from native to nested."""
    for index, page in enumerate(pages):
        shift = 0.5 * ((index + 0.5) / len(pages) - 0.5)
        of_page = rows[rows[PAGE] == page]
        spans = of_page.groupby("platform")["mean"].agg(["min", "max"])
        for platform, span in spans.iterrows():
            axes.plot([span["min"], span["max"]], [platforms.index(platform) + shift] * 2,
                      color=COLOURS[page], linewidth=1.6, alpha=0.5, zorder=1)
        for regime, mark in MARKS.items():
            points = of_page[of_page[REGIME] == regime]
            places = [platforms.index(p) + shift for p in points["platform"]]
            axes.errorbar(points["mean"], places, xerr=points["ci95"], linestyle="none",
                          color=COLOURS[page], capsize=2, elinewidth=1, markeredgewidth=1.4, **mark)
    plotting.list_down(axes, platforms)
    most = (rows["mean"] + rows["ci95"]).max()
    axes.set_xlim((-0.03 * most, 1.04 * most) if most > 0 else (-0.03, 1)) # whole marks at 0
    axes.grid(True, axis="x", **plotting.GRID)


def legend_of(figure, lines, pages, regimes):
    handles = [lines.Line2D([], [], color=COLOURS[page], linewidth=4, alpha=0.8) for page in pages]
    handles += [lines.Line2D([], [], color="black", linestyle="none", markeredgewidth=1.4,
                             **MARKS[regime]) for regime in regimes]
    figure.legend(handles, [f"{page} pages" for page in pages] + regimes,
                  loc="lower center", ncols=len(handles), frameon=False)


def draw(pyplot, lines, table):
    platforms = list(dict.fromkeys(table["platform"]))
    patterns = list(dict.fromkeys(table[PATTERN]))
    pages = [page for page in PAGES if page in set(table[PAGE])]
    regimes = [regime for regime in MARKS if regime in set(table[REGIME])]
    height = 1.3 + len(patterns) * (1 + 0.16 * len(platforms) * (len(pages) + 0.4))
    figure, grid = pyplot.subplots(len(patterns), len(PANELS), squeeze=False, sharey=True,
                                   layout="constrained", figsize=(11.5, height))
    for pattern, row in zip(patterns, grid):
        for (metric, title, label, factor), axes in zip(PANELS, row):
            rows = table[(table[PATTERN] == pattern) & (table["metric"] == metric)]
            rows = rows.assign(mean=rows["mean"] * factor, ci95=rows["ci95"] * factor)
            draw_panel(axes, rows, platforms, pages)
            axes.set_title(f"{pattern}: {title}" if pattern else title)
            axes.set_xlabel(label)
    legend_of(figure, lines, pages, regimes)
    plotting.leave_foot(figure, 0.35 / height)
    runs = table["n"].unique()
    repeats = f", n = {runs[0]}" if len(runs) == 1 else ""
    figure.suptitle(f"Translation on one core (mean, bars: 95% confidence interval{repeats})")
    return figure


def work(folder):
    pyplot, pandas, lines = plotting.load("pandas", "matplotlib.lines")
    table = read(pandas, os.path.join(folder, "summary.csv"))
    plotting.save(draw(pyplot, lines, table), folder, NAME)


def main():
    return plotting.run(__file__, work, plotting.parser(__doc__).parse_args().folder)


if __name__ == "__main__":
    sys.exit(main())
