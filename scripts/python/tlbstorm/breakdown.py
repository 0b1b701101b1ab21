# SPDX-License-Identifier: Apache-2.0
"""Draws where the time of a shootdown went, from DIR/critical_path.csv into DIR/critical_path.png and .svg: a bar
a mechanism, stacked of the parts of its path, as microseconds and as shares, a row of panels for each point.

Points are the values of every column beside mechanism and part that --keep leaves.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import os

from tlbstorm import plotting

FIXED = ("mechanism", "part", "unit", "mean", "share", "shootdowns")
NAME = "critical_path"
# In the order of the path; docs/output.md says what each is. A part that a newer tlbstorm writes is grey.
PARTS = {"lock": "#393b79", "local": "#8c564b", "send": "#1f77b4", "hypervisor": "#2ca02c",
         "transport": "#17becf", "not_running": "#d62728", "irq_off": "#e377c2", "exit": "#ff7f0e",
         "handler": "#9467bd", "flush": "#bcbd22", "ack": "#637939", "initiator_off": "#7b241c"}
OTHER = "#999999"
SHOWN = 0.0005 # of a bar; less is not in the legend


def read(pandas, options):
    """Rows of the parts and of the totals, with mean and share as numbers; and the columns of points."""
    path = os.path.join(options.folder, "critical_path.csv")
    table = plotting.read_table(pandas, path, FIXED, dtype=str, keep_default_na=False)
    table = plotting.keep(table, path, options.keep, FIXED)
    if table.empty:
        raise plotting.InputError(f"{path}: no rows")
    if set(table["unit"]) != {"us"}:
        raise plotting.InputError(f"{path}: units are {', '.join(sorted(set(table['unit'])))}, not us")
    for key in ("mean", "share"):
        table[key] = [plotting.number(path, v) for v in table[key]]
    keys = [c for c in table.columns if c not in FIXED]
    if table.duplicated([*keys, "mechanism", "part"]).any():
        raise plotting.InputError(f"{path}: a part appears twice")
    if (table[table["part"] == "total"].groupby([*keys, "mechanism"]).size().size
            != table.groupby([*keys, "mechanism"]).size().size):
        raise plotting.InputError(f"{path}: a mechanism has no total")
    return table, keys


def draw_bars(axes, rows, mechanisms, column):
    """Returns the parts that can be seen."""
    seen = {}
    left = dict.fromkeys(mechanisms, 0.0)
    known = [p for p in PARTS if p in set(rows["part"])]
    for part in known + sorted(set(rows["part"]) - set(PARTS) - {"total"}):
        values = rows[rows["part"] == part].set_index("mechanism")[column]
        widths = [values.get(m, 0.0) for m in mechanisms]
        bars = axes.barh(range(len(mechanisms)), widths, left=[left[m] for m in mechanisms],
                         height=0.7, color=PARTS.get(part, OTHER))
        for m, width in zip(mechanisms, widths):
            left[m] += width
        shares = rows[rows["part"] == part]["share"]
        if shares.max() > SHOWN:
            seen[part] = bars
    axes.set_ylim(len(mechanisms) - 0.5, -0.5)
    axes.grid(True, axis="x", **plotting.GRID)
    axes.set_axisbelow(True)
    return seen


def draw(pyplot, table, keys, title):
    """The mechanisms of a point are in the table's order."""
    points = list(table.groupby(keys, sort=False)) if keys else [((), table)]
    heights = [0.9 + 0.3 * rows["mechanism"].nunique() for _, rows in points]
    figure, grid = pyplot.subplots(len(points), 2, squeeze=False, layout="constrained",
                                   figsize=(12, 0.5 + sum(heights)),
                                   gridspec_kw={"height_ratios": heights})
    seen = {}
    for (values, rows), (times, shares) in zip(points, grid):
        mechanisms = list(dict.fromkeys(rows["mechanism"]))
        totals = rows[rows["part"] == "total"].set_index("mechanism")["mean"]
        seen |= draw_bars(times, rows, mechanisms, "mean")
        draw_bars(shares, rows.assign(share=100 * rows["share"]), mechanisms, "share")
        times.set_yticks(range(len(mechanisms)), mechanisms)
        times.set_xlim(0, 1.18 * max(totals.max(), 1e-9))
        for place, mechanism in enumerate(mechanisms):
            times.text(totals[mechanism] + 0.01 * times.get_xlim()[1], place,
                       plotting.digits(totals[mechanism]), va="center", fontsize=8)
        shares.set_yticks(range(len(mechanisms)), [""] * len(mechanisms))
        shares.set_xlim(0, 100)
        name = ", ".join(v if k == "platform" else f"{k} {v}" for k, v in zip(keys, values))
        times.set_title(name, fontsize=10, loc="left")
    grid[-1][0].set_xlabel("mean of a shootdown (µs)")
    grid[-1][1].set_xlabel("share (%)")
    order = [p for p in PARTS if p in seen] + sorted(set(seen) - set(PARTS))
    grid[0][1].legend([seen[p] for p in order], order, loc="upper left", bbox_to_anchor=(1.01, 1),
                      frameon=False)
    figure.suptitle(title or "Where the time of a shootdown went")
    return figure


def work(options):
    pyplot, pandas = plotting.load("pandas")
    table, keys = read(pandas, options)
    plotting.save(draw(pyplot, table, keys, options.title), options.folder, NAME)


def main(script):
    parser = plotting.parser(__doc__, "result folder with critical_path.csv")
    plotting.add_keep(parser)
    parser.add_argument("--title")
    return plotting.run(script, work, parser.parse_args())
