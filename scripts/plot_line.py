#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what the study line_sharing has written to DIR/summary.csv: the latency between cores for
every machine, beside what was published for it (DIR/line_transfer.png and .svg, and the table with
errors DIR/published.csv), or the cost of contention against the number of CPUs
(DIR/line_contention.png and .svg), whichever is in there.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import csv
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "python"))

from tlbstorm import plotting

PATTERN, CPUS = "line_sharing.pattern", "line_sharing.cpus"
PLACES = (("smt_ns", "threads of a core"), ("cluster_ns", "same cluster"),
          ("neighbour_ns", "neighbouring cores"), ("socket_ns", "same socket"),
          ("other_cluster_ns", "other cluster"), ("other_socket_ns", "other socket"))
COLOURS = ("#7b3294", "#2ca02c", "#66a61e", "#1f77b4", "#d95f02", "#c51b7d")
# Pattern, metric, title, label.
PANELS = (("writers", "rmw_ns", "writers: from one operation to the next", "ns per locked operation"),
          ("writers", "move_ns", "writers: from one transfer to the next", "ns per transfer"),
          ("writers", "unfairness", "writers: luckiest to unluckiest CPU", "ratio of operations"),
          ("readers", "store_ns", "readers: a store", "ns until all copies are gone"),
          ("readers", "mean_read_ns", "readers: store to a reader", "ns, mean of the readers"),
          ("readers", "last_read_ns", "readers: store to the last reader", "ns"))
COLUMNS = ("machine", "metric", "model_ns", "published_low_ns", "published_high_ns", "error_percent",
           "kind", "confidence", "source")


def rows_of(path, keys):
    with plotting.reading(path), open(path, encoding="utf-8", newline="") as file:
        lines = [line for line in file if not line.startswith("#")]
    reader = csv.DictReader(lines)
    plotting.check_columns(path, reader.fieldnames or (), keys)
    rows = list(reader)
    if not rows:
        raise plotting.InputError(f"{path}: no rows")
    return rows


def read(path):
    """Means and intervals by (machine, pattern, CPUs, metric)."""
    values = {}
    for row in rows_of(path, ("study", "platform", "metric", "mean", "ci95")):
        if row["study"] != "line_sharing":
            raise plotting.InputError(
                f"{path}: results of the study {row['study']}, not of line_sharing")
        # Cpus beyond those that a table of transfers has are not swept.
        key = (row["platform"], row.get(PATTERN) or "", row.get(CPUS) or "", row["metric"])
        if key in values:
            raise plotting.InputError(f"{path}: a point appears twice")
        values[key] = (plotting.number(path, row["mean"]),
                       plotting.number(path, row["ci95"], 0.0))
    return values


def error_of(model, low, high):
    """Percent beyond the published range; 0 within it."""
    if low is not None and model < low:
        return 100 * (model / low - 1)
    if high is not None and model > high:
        return 100 * (model / high - 1)
    return 0.0


def compare(values, path):
    table = []
    for row in rows_of(path, ("machine", "metric", "low_ns", "high_ns", "kind", "confidence",
                              "source")):
        model = values.get((row["machine"], "", "", row["metric"]))
        if model is None or model[0] == 0: # not run, or no such pair of CPUs
            continue
        low = plotting.number(path, row["low_ns"]) if row["low_ns"] else None
        high = plotting.number(path, row["high_ns"]) if row["high_ns"] else None
        table.append((row["machine"], row["metric"], f"{model[0]:.1f}", row["low_ns"],
                      row["high_ns"], f"{error_of(model[0], low, high):.1f}", row["kind"],
                      row["confidence"], row["source"]))
    return table


def write_table(folder, table):
    plotting.write_csv(os.path.join(folder, "published.csv"), COLUMNS, table)
    for row in table:
        published = row[3] if row[3] == row[4] else f"{row[3]}-{row[4]}"
        print(f"  {row[0]:24} {row[1]:17} model {row[2]:>6} ns, published {published:>11} ns "
              f"({row[7]}), error {row[5]:>5} %")


def draw_transfer(pyplot, values, table):
    machines = list(dict.fromkeys(key[0] for key in values))
    height = 2 + 0.5 * len(machines)
    figure, axes = pyplot.subplots(layout="constrained", figsize=(10, height))
    step = 0.8 / len(PLACES)
    for index, ((metric, label), colour) in enumerate(zip(PLACES, COLOURS)):
        shift = (index + 0.5) * step - 0.4
        named = label
        for place, machine in enumerate(machines):
            mean, ci95 = values.get((machine, "", "", metric), (0, 0))
            if mean > 0:
                axes.barh(place + shift, mean, height=step * 0.9, xerr=ci95, color=colour,
                          label=named, error_kw={"elinewidth": 0.8})
                named = None
    named = "published: about, a range or a lower bound"
    for row in table:
        index = [metric for metric, _ in PLACES].index(row[1])
        place = machines.index(row[0]) + (index + 0.5) * step - 0.4
        low, high = (float(text) if text else None for text in row[3:5])
        axes.plot([low or high, high or low], [place] * 2, color="black", linewidth=1.4, zorder=3,
                  marker="|" if high else ">", markersize=8, label=named,
                  fillstyle="full" if row[7] == "verbatim" else "none")
        named = None
    plotting.list_down(axes, machines)
    axes.set_xlabel("ns, half a round trip of compare-and-swap")
    axes.grid(True, axis="x", **plotting.GRID)
    figure.legend(*axes.get_legend_handles_labels(), loc="lower center", ncols=4, frameon=False)
    plotting.leave_foot(figure, 0.6 / height)
    axes.set_title("A line from core to core (mean, bars: 95% confidence interval)")
    return figure


def draw_contention(pyplot, values):
    machines = list(dict.fromkeys(key[0] for key in values))
    figure, grid = pyplot.subplots(2, 3, layout="constrained", figsize=(14, 8))
    for (pattern, metric, title, label), axes in zip(PANELS, grid.flat):
        for machine in machines:
            points = sorted((int(plotting.number("summary.csv", key[2])), value)
                            for key, value in values.items()
                            if (key[0], key[1], key[3]) == (machine, pattern, metric))
            points = [(cpus, value) for cpus, value in points if value[0] > 0]
            axes.errorbar([p[0] for p in points], [p[1][0] for p in points],
                          yerr=[p[1][1] for p in points], marker="o", markersize=3.5, capsize=2,
                          linewidth=1.2, label=machine)
        axes.set_title(title)
        axes.set_ylabel(label)
        axes.set_xlabel(f"{pattern}")
        axes.set_ylim(bottom=0)
        axes.grid(True, **plotting.GRID)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(machines), frameon=False)
    plotting.leave_foot(figure, 0.05)
    figure.suptitle("One contended line (mean, bars: 95% confidence interval)")
    return figure


def work(folder, published):
    values = read(os.path.join(folder, "summary.csv"))
    transfer = {key: value for key, value in values.items() if key[1:3] == ("", "")
                and key[3] in [metric for metric, _ in PLACES]}
    contention = {key: value for key, value in values.items() if key[1] and key[2]}
    if not any(value[0] > 0 for value in (transfer or contention).values()):
        raise plotting.InputError(f"{folder}: no transfers and no contention in summary.csv")
    table = compare(transfer, published) if transfer else []
    if transfer:
        write_table(folder, table)
    (pyplot,) = plotting.load()
    if transfer:
        plotting.save(draw_transfer(pyplot, transfer, table), folder, "line_transfer", salt="line")
    else:
        plotting.save(draw_contention(pyplot, contention), folder, "line_contention", salt="line")


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = plotting.parser(__doc__)
    parser.add_argument("--published", metavar="FILE", help="table of published latencies",
                        default=os.path.join(root, "tests", "data", "line", "transfer.csv"))
    arguments = parser.parse_args()
    return plotting.run(__file__, work, arguments.folder, arguments.published)


if __name__ == "__main__":
    sys.exit(main())
