# SPDX-License-Identifier: Apache-2.0
"""Draws a metric of a sweep's summary.csv against one of its keys: a line a mechanism (or another key), a panel
for each value of a second one.

A key whose values are all words makes one place for each of them, without lines between.

With --over NAME each line is divided by that of the series NAME. Every other key must have one value
among the rows that --keep leaves. Intervals are those of summary.csv: 95 % over the seeds.

--published FILE draws figures of others beside these, hollow: --published-x names the column of FILE that is x, and
each --published-line SERIES=COLUMN one that belongs to a line. Empty fields are left out.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import csv
import os

from tlbstorm import plotting

FIXED = ("metric", "unit", "mean", "ci95", "n")
AT = "place on the x axis"
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
COLOURS = plotting.COLOURS


def points_of(table, path, options):
    """Rows of the metric among those that are kept; x as a number, in seconds where it is a time."""
    drawn = [k for k in dict.fromkeys((options.x, options.series, options.panel)) if k]
    plotting.check_points(path, table, [*drawn, *FIXED], [options.metric], [*drawn, "metric"])
    table = table[table["metric"] == options.metric].copy()
    options.words = words_of(table[options.x])
    if options.words:
        options.places = [options.words.index(v) for v in table[options.x]]
    for key in ("mean", "ci95"):
        table[key] = [plotting.number(path, v, 0.0 if key == "ci95" else None) for v in table[key]]
    table[AT] = options.places if options.words else [plotting.number(path, v) for v in table[options.x]]
    return table


def words_of(values):
    """Each once, in their order; none if one of them is a number."""
    for value in values:
        try:
            float(value)
        except ValueError:
            continue
        return []
    return list(dict.fromkeys(values))


def divide(table, options):
    """Every series over the one of options.over, at the same x and panel."""
    base = table[table[options.series] == options.over]
    if base.empty:
        raise plotting.InputError(f"--over {options.over}: {options.series} has no such value; it "
                                  f"has {', '.join(sorted(set(table[options.series])))}")
    keys = [AT] + ([options.panel] if options.panel else [])
    of = base.set_index(keys)["mean"]
    where = table[keys].itertuples(index=False, name=None)
    of_base = [of.get(k if len(keys) > 1 else k[0], float("nan")) for k in where]
    table["ci95"] = table["ci95"] / of_base
    table["mean"] = table["mean"] / of_base
    return table[table[options.series] != options.over]


def published_points(options):
    """(x, y) for each line that has any."""
    if not options.published:
        return {}
    if not options.published_x or not options.published_line:
        raise plotting.InputError("--published wants --published-x and --published-line")
    with plotting.reading(options.published):
        with open(options.published, encoding="utf-8") as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    plotting.check_columns(options.published, rows[0] if rows else (), [options.published_x])
    points = {}
    for text in options.published_line:
        name, _, column = text.partition("=")
        plotting.check_columns(options.published, rows[0], [column])
        points[name] = [(plotting.number(options.published, row[options.published_x]),
                         plotting.number(options.published, row[column]))
                        for row in rows if row[column] != ""]
    return points


def draw_published(axes, points, names, scale):
    for number, name in enumerate(names):
        if name in points:
            axes.plot([x for x, _ in points[name]], [y / scale for _, y in points[name]],
                      marker="os^Dv<>P"[number % 8], markersize=8, linestyle="none",
                      markerfacecolor="none", color=COLOURS[number % len(COLOURS)],
                      label=f"{name}, published")


def axis_label(options, unit):
    what = options.label or options.metric.replace("_", " ")
    if options.over:
        return f"{what} over that of {options.over}"
    return f"{what} ({options.unit or unit})" if unit != "1" else what


def set_apart(places, number, n, options):
    """Lines that lie on each other are seen side by side."""
    if not options.set_apart or options.words:
        return places
    return places * 2 ** (0.025 * (number - (n - 1) / 2))


def draw_panel(axes, table, options, names, scale):
    for number, name in enumerate(names):
        rows = table[table[options.series] == name].sort_values(AT)
        if rows.empty:
            continue
        axes.errorbar(set_apart(rows[AT], number, len(names), options), rows["mean"] / scale, yerr=rows["ci95"] / scale,
                      marker="os^Dv<>P"[number % 8], markersize=5, linewidth=1.4, capsize=2,
                      linestyle="none" if options.words else ("-", "--", "-.")[number % 3],
                      color=COLOURS[number % len(COLOURS)], label=name)
    xs = sorted(set(table[AT]))
    slanted = {"rotation": 20, "horizontalalignment": "right", "rotation_mode": "anchor"}
    if options.words:
        axes.set_xticks(range(len(options.words)), options.words, fontsize=8, **slanted)
        axes.margins(x=0.15)
    elif not options.linear_x and xs[0] > 0:
        labels = [f"{x:.12g}" for x in xs]
        axes.set_xscale("log", base=2)
        axes.set_xticks(xs, labels, fontsize=8, **(slanted if max(map(len, labels)) > 5 else {}))
        axes.minorticks_off()
    if options.log_y:
        axes.set_yscale("log")
    if options.over:
        axes.axhline(1, color="#555555", linewidth=0.8)
    axes.set_xlabel(options.x_label or options.x)
    axes.grid(True, **plotting.GRID)


def draw(pyplot, table, options):
    published = published_points(options)
    unit = table["unit"].iloc[0]
    scale = 1.0
    if not options.over and options.unit:
        if unit != "s":
            raise plotting.InputError(f"--unit {options.unit}: {options.metric} is in {unit}")
        scale = UNITS[options.unit]
    panels = sorted(set(table[options.panel]), key=lambda v: (len(v), v)) if options.panel else [None]
    names = sorted(set(table[options.series]), key=lambda v: (len(v), v)
                   if v.replace(".", "").isdigit() else (0, v))
    unknown = [name for name in published if name not in names]
    if unknown:
        raise plotting.InputError(f"--published-line {unknown[0]}: there is no such line")
    figure, grid = pyplot.subplots(1, len(panels), squeeze=False, sharey=options.panel != "platform",
                                   layout="constrained",
                                   figsize=(2.6 + 4.2 * len(panels), 4.2))
    for panel, axes in zip(panels, grid[0]):
        rows = table if panel is None else table[table[options.panel] == panel]
        draw_panel(axes, rows, options, names, scale)
        draw_published(axes, published, names, scale)
        if panel is not None:
            axes.set_title(panel if options.panel in ("platform", "mechanism")
                           else f"{options.panel} {panel}", fontsize=10)
    for axes in grid[0] if not options.log_y else (): # not before all are drawn: it fixes the other end, too
        axes.set_ylim(bottom=0)
    grid[0][0].set_ylabel(axis_label(options, unit))
    known = {label: handle for axes in grid[0]
             for handle, label in zip(*axes.get_legend_handles_labels())}
    title = None if options.series in ("mechanism", "platform") else options.series
    shown = [n for name in names for n in (name, f"{name}, published") if n in known]
    grid[0][-1].legend([known[n] for n in shown], shown, title=title,
                       loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    if options.title:
        figure.suptitle(options.title)
    return figure


def draw_table(pyplot, table, path, options):
    """table: of a summary.csv, with what is to be drawn and nothing else."""
    table = points_of(table, path, options)
    if options.over:
        table = divide(table, options)
        if table.empty:
            raise plotting.InputError(f"--over {options.over}: nothing else is left to draw")
    return draw(pyplot, table, options)


def work(options):
    pyplot, pandas = plotting.load("pandas")
    path = os.path.join(options.folder, "summary.csv")
    drawn = [k for k in (options.x, options.series, options.panel) if k]
    table = plotting.read_table(pandas, path, [*drawn, *FIXED], dtype=str, keep_default_na=False)
    table = plotting.keep(table, path, options.keep, FIXED)
    plotting.save(draw_table(pyplot, table, path, options), options.folder, options.name or options.metric)


def main(script):
    parser = plotting.parser(__doc__)
    parser.add_argument("--x", required=True, metavar="KEY", help="swept key of the x axis")
    parser.add_argument("--metric", required=True, help="metric of summary.csv")
    parser.add_argument("--series", default="mechanism", metavar="KEY",
                        help="a line for each of its values (default: mechanism)")
    parser.add_argument("--panel", metavar="KEY", help="a panel for each of its values")
    parser.add_argument("--over", metavar="NAME", help="divide by the line of this name")
    plotting.add_keep(parser)
    parser.add_argument("--unit", choices=sorted(UNITS), help="unit of a metric in seconds")
    parser.add_argument("--label", help="what the metric is, for the y axis")
    parser.add_argument("--x-label", help="what the key is, for the x axis")
    parser.add_argument("--linear-x", action="store_true")
    parser.add_argument("--log-y", action="store_true")
    parser.add_argument("--published", metavar="FILE", help="CSV of published figures")
    parser.add_argument("--published-x", metavar="COLUMN", help="its column that is x")
    parser.add_argument("--published-line", action="append", default=[], metavar="SERIES=COLUMN",
                        help="its column that belongs to a line; may be repeated")
    parser.add_argument("--set-apart", action="store_true", help="lines a little, on a logarithmic axis")
    parser.add_argument("--title")
    parser.add_argument("--name", help="of the files (default: the metric)")
    return plotting.run(script, work, parser.parse_args())
