#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws speedup over the baseline and system time of every mechanism against the effective overcommit,
a column of panels for each result folder, into OUT/effective_overcommit.png and .svg.

Each DIR/summary.csv has the metrics log_speedup, system_time and effective_overcommit over one swept
parameter. A point stands where the baseline's effective overcommit was: vCPUs that run or wait, per
physical CPU, while anyone waits. The speedup is the geometric mean over the seeds, paired.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import math
import os
import sys

import plot_overcommit
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from tlbstorm import plotting

KEYS = ("mechanism", "platform", "metric", "unit", "mean", "ci95", "n")
METRICS = ("log_speedup", "system_time", "effective_overcommit")
NAME = "effective_overcommit"
TICKS = (1, 1.5, 2, 3, 4, 6, 8)
ROOM = 1.6 # an axis reaches so much beyond its means; longer bars leave it


def read(pandas, folder, swept):
    """The rows drawn, with the column x: the effective overcommit of the point under the baseline."""
    path = os.path.join(folder, "summary.csv")
    table = plotting.read_table(pandas, path, (*KEYS, swept))
    table = table[table["metric"].isin(METRICS)].copy()
    plotting.to_numbers(pandas, table, ("mean", "ci95", swept))
    if table[["mean", swept]].isna().any(axis=None):
        raise plotting.InputError(f"{path}: a mean or {swept} is not a number")
    plotting.check_points(path, table, (*KEYS, swept), METRICS, ("mechanism", "platform", "metric", swept))
    baseline = {}
    for platform, rows in table.groupby("platform"):
        baseline[platform] = plot_overcommit.baseline_of(
            rows.assign(metric=rows["metric"].replace("log_speedup", "speedup"),
                        mean=rows["mean"].where(rows["metric"] != "log_speedup", rows["mean"] + 1)))
    effective = table[table["metric"] == "effective_overcommit"]
    at = {(r["platform"], r[swept]): r["mean"] for _, r in effective.iterrows()
          if r["mechanism"] == baseline[r["platform"]]}
    table["x"] = [at.get((r["platform"], r[swept]), math.nan) for _, r in table.iterrows()]
    if table["x"].isna().any() or (table["x"] <= 0).any():
        raise plotting.InputError(f"{path}: a point has no effective overcommit of the baseline")
    return table, baseline


def draw_lines(axes, ticker, rows, order, ratio):
    """One line a mechanism: of ratios, exp of mean and interval; of times, mean and interval."""
    lines = {}
    seen = [math.exp(v) for v in rows["mean"]] if ratio else list(rows["mean"])
    for place, mechanism in enumerate(order):
        points = rows[rows["mechanism"] == mechanism].sort_values("x")
        if points.empty:
            continue
        mean, low, high = points["mean"], points["mean"] - points["ci95"], points["mean"] + points["ci95"]
        if ratio:
            mean, low, high = (v.map(math.exp) for v in (mean, low, high))
        else:
            low = low.clip(lower=mean / 1e3) # an axis of logarithms has no 0
        shift = 2 ** (0.012 * (place - (len(order) - 1) / 2))
        lines[mechanism] = axes.errorbar(
            points["x"] * shift, mean, yerr=[(mean - low).clip(lower=0), high - mean], capsize=2,
            markersize=4.5, linewidth=1.2, elinewidth=0.8, **plot_overcommit.style(mechanism))
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(0.8, rows["x"].min() * 0.9), max(8, rows["x"].max()) * 1.12)
    axes.set_xticks(TICKS, [f"{t:g}×" for t in TICKS])
    axes.minorticks_off()
    axes.set_yscale("log")
    axes.set_ylim(min(seen) / ROOM, max(seen) * ROOM)
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.grid(True, **plotting.GRID)
    return lines


def draw(pyplot, ticker, tables, names):
    platforms = sorted({p for table, _ in tables for p in table["platform"]}, key=lambda p: (p != "x86", p))
    figure, grid = pyplot.subplots(2 * len(platforms), len(tables), squeeze=False, layout="constrained",
                                   figsize=(2.2 + 4.4 * len(tables), 0.7 + 5.6 * len(platforms)))
    for row, platform in enumerate(platforms):
        title = plot_overcommit.PLATFORM_TITLES.get(platform, platform)
        lines, order = {}, sorted({m for t, _ in tables for m in t[t["platform"] == platform]["mechanism"]})
        for column, ((table, baseline), name) in enumerate(zip(tables, names)):
            rows = table[table["platform"] == platform]
            if rows.empty:
                grid[2 * row][column].set_axis_off()
                grid[2 * row + 1][column].set_axis_off()
                continue
            above, below = grid[2 * row][column], grid[2 * row + 1][column]
            lines |= draw_lines(above, ticker, rows[rows["metric"] == "log_speedup"], order, True)
            draw_lines(below, ticker, rows[rows["metric"] == "system_time"], order, False)
            above.axhline(1, color="grey", linewidth=0.8, zorder=1)
            above.set_title(f"{title}: {name}", fontsize=10)
            above.set_ylabel(f"speedup over {baseline[platform]}")
            below.set_ylabel("system time of the VM (s)")
            below.set_xlabel("effective overcommit (vCPUs that run or wait, per pCPU)")
        grid[2 * row][-1].legend([lines[m] for m in order if m in lines], [m for m in order if m in lines],
                                 loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    runs = {int(n) for table, _ in tables for n in table["n"].unique()}
    repeats = f", n = {runs.pop()}" if len(runs) == 1 else ""
    figure.suptitle("One VM beside others that compute: geometric mean of speedups, paired by seed; mean of "
                    f"times (bars: 95% confidence interval{repeats})")
    return figure


def work(options):
    pyplot, pandas, ticker = plotting.load("pandas", "matplotlib.ticker")
    names = options.name or [os.path.basename(os.path.normpath(folder)) for folder in options.folder]
    if len(names) != len(options.folder):
        raise plotting.InputError(f"--name is given {len(names)} times for {len(options.folder)} folders")
    tables = [read(pandas, folder, options.x) for folder in options.folder]
    plotting.save(draw(pyplot, ticker, tables, names), options.o or options.folder[0], NAME)


def main():
    parser = plotting.parser(__doc__, "result folders with summary.csv, a column of panels each", "+")
    parser.add_argument("-o", metavar="OUT", help="where to write; default: the first DIR")
    parser.add_argument("--x", default="vms.neighbour.count", metavar="KEY", help="the swept parameter")
    parser.add_argument("--name", action="append", metavar="TEXT", help="title of a folder's column, in order")
    return plotting.run(__file__, work, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
