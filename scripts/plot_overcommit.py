#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws completion time, mean shootdown latency and speedup of every mechanism against overcommit,
a row of panels for each platform, from DIR/summary.csv into DIR/overcommit_speedup.png and .svg.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import argparse
import os
import sys
import zlib

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


class InputError(Exception):
    pass


def style(mechanism):
    """The ideal bound is black and dashed; the others differ in colour, or in marker and dashes."""
    if mechanism == "ideal":
        return {"color": "black", "marker": ".", "linestyle": "--"}
    if mechanism in KNOWN:
        index = KNOWN.index(mechanism)
    else:
        index = zlib.crc32(mechanism.encode())
    turn = index // len(COLOURS)
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[(index + 5 * turn) % 12],
            "linestyle": "-" if turn % 2 == 0 else "-."}


def read(pandas, path):
    try:
        table = pandas.read_csv(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} is not there: run the experiment first") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    for key in KEYS + SWEPT:
        if key not in table.columns:
            raise InputError(f"{path}: no column {key}")
    drawn = ["speedup"] + [metric for metric, _ in TIME_PANELS]
    table = table[table["metric"].isin(drawn)].copy()
    for key in ("mean", "ci95", "run.vms"):
        table[key] = pandas.to_numeric(table[key], errors="coerce")
    table["ci95"] = table["ci95"].fillna(0) # a single repetition has none
    if table[["mean", "run.vms"]].isna().any(axis=None):
        raise InputError(f"{path}: a mean or run.vms is not a number")
    others = [c for c in table.columns if c not in KEYS + SWEPT and table[c].nunique() > 1]
    if others:
        raise InputError(f"{path}: also sweeps {', '.join(others)}; this figure shows one value")
    for metric in ("completion_time", "speedup"):
        if metric not in set(table["metric"]):
            raise InputError(f"{path}: no rows of the metric {metric}")
    points = ["platform", "run.vms", "mechanism", "metric"]
    if table.duplicated(points).any():
        raise InputError(f"{path}: a point appears twice")
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
    axes.grid(True, which="both", linewidth=0.4, alpha=0.6)
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


def save(figure, folder):
    """Each file appears whole or not at all; the same input gives the same bytes."""
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        path = os.path.join(folder, f"{NAME}.{suffix}")
        figure.savefig(path + ".tmp", format=suffix, dpi=130, metadata=metadata)
        os.replace(path + ".tmp", path)
        print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("folder", metavar="DIR", help="result folder with summary.csv")
    folder = parser.parse_args().folder
    try:
        import matplotlib
        matplotlib.use("Agg")
        import matplotlib.pyplot as pyplot
        import pandas
        from matplotlib import ticker
    except ImportError as error:
        print(f"plot_overcommit.py: {error}. Install python3-matplotlib and python3-pandas "
              "(scripts/setup does) and use /usr/bin/python3.", file=sys.stderr)
        return 3
    matplotlib.rcParams["svg.hashsalt"] = NAME
    try:
        table = read(pandas, os.path.join(folder, "summary.csv"))
        save(draw(pyplot, ticker, table), folder)
    except InputError as error:
        print(f"plot_overcommit.py: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"plot_overcommit.py: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
