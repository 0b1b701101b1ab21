#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws completion time, mean shootdown latency and speedup of every mechanism against overcommit,
a row of panels for each platform, from DIR/summary.csv into DIR/overcommit_speedup.png and .svg.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import os
import sys
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from tlbstorm import plotting

# Times that are drawn where the table has them, in this order.
TIME_PANELS = (("completion_time", "completion time"),
               ("shootdown_mean", "mean shootdown latency"))
KEYS = ("mechanism", "metric", "unit", "mean", "ci95", "n")
SWEPT = ("platform", "run.vms")
NAME = "overcommit_speedup"
PLATFORM_TITLES = {"x86": "x86", "arm": "Arm"}

# Every mechanism keeps its colour and marker in every figure; those not listed take theirs from
# their name.
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#17becf",
           "#bcbd22", "#393b79", "#e6550d", "#637939")
MARKERS = "os^Dv<>PX*hp"
KNOWN = ("native_concurrent", "kvm_pv", "hyperv", "kvm_pv_ipi", "hyperv_2017", "native_sequential",
         "tlbi_broadcast", "tlbi_range", "tlbi_local", "vm_domain", "stage2_full", "stage2_range",
         "early_ack", "kvm_pv_yield", "kvm_pv_update_gen", "xen", "invlpgb", "rar", "latr",
         "stage2_page")
TIME_UNITS = {"ps": 1e-12, "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


def style(mechanism):
    """The free_flush bound is black and dashed; the others differ in colour, or in marker and dashes."""
    if mechanism == "free_flush":
        return {"color": "black", "marker": ".", "linestyle": "--"}
    if mechanism in KNOWN:
        index = KNOWN.index(mechanism)
    else:
        index = zlib.crc32(mechanism.encode())
    turn = index // len(COLOURS)
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[(index + 5 * turn) % 12],
            "linestyle": "-" if turn % 2 == 0 else "-."}


def read(pandas, path):
    table = plotting.read_table(pandas, path, KEYS + SWEPT)
    drawn = ["speedup"] + [metric for metric, _ in TIME_PANELS]
    table = table[table["metric"].isin(drawn)].copy()
    plotting.to_numbers(pandas, table, ("mean", "ci95", "run.vms"))
    if table[["mean", "run.vms"]].isna().any(axis=None):
        raise plotting.InputError(f"{path}: a mean or run.vms is not a number")
    plotting.check_points(path, table, KEYS + SWEPT, ("completion_time", "speedup"),
                          SWEPT + ("mechanism", "metric"))
    return table


def readable_time(rows):
    """The rows in the largest unit that keeps the largest value at 1 or more."""
    units = set(rows["unit"])
    if len(units) != 1 or not units <= set(TIME_UNITS):
        return rows, "/".join(sorted(map(str, units)))
    seconds = TIME_UNITS[units.pop()]
    largest = rows["mean"].max() * seconds
    unit = next((u for u in ("s", "ms", "µs", "ns") if largest >= TIME_UNITS[u]), "ps")
    factor = seconds / TIME_UNITS[unit]
    return rows.assign(mean=rows["mean"] * factor, ci95=rows["ci95"] * factor), unit


def baseline_of(rows):
    """The mechanism whose speedup is 1 by definition, or that alone has none."""
    speedups = rows[rows["metric"] == "speedup"]
    named = [m for m, g in speedups.groupby("mechanism") if (g["mean"] == 1).all() and
             (g["ci95"] == 0).all()]
    if not named:
        named = sorted(set(rows["mechanism"]) - set(speedups["mechanism"]))
    return named[0] if len(named) == 1 else "the baseline"


def draw_panel(axes, ticker, rows, order):
    """One line a mechanism. Lines are set apart sideways a little, so that error bars show."""
    lines = {}
    counts = sorted(rows["run.vms"].unique())
    for place, mechanism in enumerate(order):
        points = rows[rows["mechanism"] == mechanism].sort_values("run.vms")
        if points.empty:
            continue
        shift = 2 ** (0.02 * (place - (len(order) - 1) / 2))
        lines[mechanism] = axes.errorbar(
            points["run.vms"] * shift, points["mean"], yerr=points["ci95"], capsize=2.5,
            markersize=5, linewidth=1.3, elinewidth=1, **style(mechanism))
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [f"{c:g}×" for c in counts])
    axes.minorticks_off()
    axes.set_xlabel("overcommit (vCPUs per physical CPU)")
    axes.grid(True, which="both", **plotting.GRID)
    lowest, highest = rows["mean"].min(), rows["mean"].max()
    if lowest > 0 and highest / lowest > 10:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    else:
        axes.set_ylim(bottom=0)
    return lines


def draw(pyplot, ticker, table):
    platforms = sorted(table["platform"].unique(), key=lambda p: (p != "x86", p))
    panels = [(metric, label) for metric, label in TIME_PANELS if metric in set(table["metric"])]
    figure, grid = pyplot.subplots(len(platforms), len(panels) + 1, squeeze=False,
                                   layout="constrained",
                                   figsize=(2 + 5 * (len(panels) + 1), 0.6 + 4.2 * len(platforms)))
    for platform, (*time_grid, speedup_axes) in zip(platforms, grid):
        rows = table[table["platform"] == platform]
        order = sorted(rows["mechanism"].unique())
        title = PLATFORM_TITLES.get(platform, str(platform))
        lines = {}
        for time_axes, (metric, label) in zip(time_grid, panels):
            times, unit = readable_time(rows[rows["metric"] == metric])
            if not times.empty:
                lines = {**draw_panel(time_axes, ticker, times, order), **lines}
            time_axes.set_title(f"{title}: {label}")
            time_axes.set_ylabel(f"{label} ({unit})")
        speedups = rows[rows["metric"] == "speedup"]
        if not speedups.empty:
            lines = {**draw_panel(speedup_axes, ticker, speedups, order), **lines}
        speedup_axes.axhline(1, color="grey", linewidth=0.8, zorder=1)
        speedup_axes.set_title(f"{title}: speedup over {baseline_of(rows)}")
        speedup_axes.set_ylabel("speedup (ratio)")
        speedup_axes.legend([lines[m] for m in order if m in lines],
                            [m for m in order if m in lines],
                            loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    runs = table["n"].dropna().unique()
    repeats = f", n = {runs[0]:g}" if len(runs) == 1 else ""
    figure.suptitle(f"mmap storm under overcommit (mean, bars: 95% confidence interval{repeats})")
    return figure


def work(folder):
    pyplot, pandas, ticker = plotting.load("pandas", "matplotlib.ticker")
    table = read(pandas, os.path.join(folder, "summary.csv"))
    plotting.save(draw(pyplot, ticker, table), folder, NAME)


def main():
    return plotting.run(__file__, work, plotting.parser(__doc__).parse_args().folder)


if __name__ == "__main__":
    sys.exit(main())
