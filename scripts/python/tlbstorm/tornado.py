# SPDX-License-Identifier: Apache-2.0
"""Draws which assumed parameters results hang on, as a tornado: a panel a result, a bar a parameter and
mechanism, as long as its elasticity, and a line for its standard error over seeds; the ten longest beyond
twice their error.

DIR has a folder a result, NAME/seed=N, each as `tlbstorm run --sensitivity` leaves it. Writes DIR/sensitivity.png
and .svg; --summary a table of all elasticities with their standard errors; --kept, for `tlbstorm explain`, of each
result and parameter the mechanism that moves most. An elasticity is the change of the completion time in per cent
for one per cent of the parameter, from half of its value to twice."""

import csv
import glob
import os
import statistics

from tlbstorm import plotting

COLUMNS = ("parameter", "mechanism", "value", "low", "high", "elasticity", "skipped")
# Okabe and Ito's, which the colour-blind tell apart.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
SHOWN = 10


def read(folder, name):
    """{(parameter, mechanism): (value, low, high, elasticity, standard error, seeds)} of one result."""
    found = {}
    paths = sorted(glob.glob(os.path.join(glob.escape(folder), glob.escape(name), "seed=*", "sensitivity.csv")))
    if not paths:
        raise plotting.InputError(f"{folder}: no {name}/seed=*/sensitivity.csv")
    for path in paths:
        with plotting.reading(path), open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            plotting.check_columns(path, reader.fieldnames or (), COLUMNS)
            for row in reader:
                if not row["skipped"]:
                    own = found.setdefault((row["parameter"], row["mechanism"]), ([], row))
                    own[0].append(plotting.number(path, row["elasticity"]))
    result = {}
    for key, (values, row) in found.items():
        error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0
        result[key] = (row["value"], row["low"], row["high"], statistics.mean(values), error, len(values))
    return result


def titled(text):
    name, equals, title = text.partition("=")
    if not equals or not name or not title:
        raise plotting.InputError(f"--result {text}: no NAME=TITLE")
    return name, title


def summary_rows(results):
    for title, result in results.items():
        for (parameter, mechanism), (value, low, high, mean, error, seeds) in sorted(result.items()):
            yield title, parameter, mechanism, value, low, high, f"{mean:.4f}", f"{error:.4f}", seeds


def strongest(result, parameter):
    """The key of the mechanism that moves most."""
    return max((key for key in sorted(result) if key[0] == parameter), key=lambda key: abs(result[key][3]))


def kept_rows(results):
    for title, result in results.items():
        for parameter in sorted({key[0] for key in result}):
            key = strongest(result, parameter)
            _, low, high, mean, error, _ = result[key]
            yield title, parameter, key[1], low, high, f"{mean:.3f}", f"{error:.3f}"


def panel(axes, title, result):
    longest = {key[0]: result[strongest(result, key[0])] for key in result}
    seen = [p for p in sorted(longest) if abs(longest[p][3]) > 2 * longest[p][4]]
    parameters = sorted(seen, key=lambda p: -abs(longest[p][3]))[:SHOWN]
    mechanisms = sorted({key[1] for key in result})
    plotting.list_down(axes, parameters)
    height = 0.8 / len(mechanisms)
    for m, mechanism in enumerate(mechanisms):
        places = [p - 0.4 + (m + 0.5) * height for p in range(len(parameters))]
        bars = [result.get((p, mechanism), (0, 0, 0, 0, 0))[3:5] for p in parameters]
        axes.barh(places, [b[0] for b in bars], height * 0.9, xerr=[b[1] for b in bars], label=mechanism,
                  color=COLOURS[m % len(COLOURS)], error_kw={"elinewidth": 0.8, "ecolor": "#333333"}, zorder=2)
    axes.axvline(0, color="#000000", linewidth=0.8, zorder=3)
    axes.grid(axis="x", **plotting.GRID)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("change of the completion time, % for 1 % of the parameter", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=8, frameon=False)


def work(options):
    results = {title: read(options.folder, name) for name, title in map(titled, options.result)}
    if options.summary:
        plotting.write_csv(options.summary, ("result", "parameter", "mechanism", "value", "low", "high", "elasticity",
                                             "standard_error", "seeds"), summary_rows(results))
    if options.kept:
        plotting.write_csv(options.kept, ("result", "parameter", "mechanism", "low", "high", "elasticity",
                                          "standard_error"), kept_rows(results))
    pyplot, = plotting.load()
    figure, axes = pyplot.subplots(len(results), 1, figsize=(7.5, 3.4 * len(results)), layout="constrained",
                                   squeeze=False)
    for own, (title, result) in zip(axes[:, 0], results.items()):
        panel(own, title, result)
    plotting.save(figure, options.folder, "sensitivity")
    pyplot.close(figure)


def main(script, arguments=None):
    parser = plotting.parser(__doc__, folder="folder with NAME/seed=*/sensitivity.csv")
    parser.add_argument("--result", action="append", required=True, metavar="NAME=TITLE",
                        help="a folder of DIR, and what it is the sensitivity of; may be repeated")
    parser.add_argument("--summary", metavar="FILE", help="write all elasticities into FILE")
    parser.add_argument("--kept", metavar="FILE", help="write what `tlbstorm explain` shows into FILE")
    return plotting.run(script, work, parser.parse_args(arguments))
