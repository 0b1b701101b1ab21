# SPDX-License-Identifier: Apache-2.0
"""What the scripts that draw figures share: their arguments and exit codes, reading tables, writing
files, and details of layout."""

import argparse
import contextlib
import csv
import difflib
import importlib
import os
import re
import sys

DRAWN, WRONG_INPUT, NOT_POSSIBLE = 0, 2, 3
GRID = {"linewidth": 0.4, "alpha": 0.6}
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#7f7f7f")
COLUMN_INCHES = 3.4 # one of two columns of a paper


class InputError(Exception):
    """The input is missing or wrong."""


class PackageError(Exception):
    """A Python package is missing."""


class CommandParser(argparse.ArgumentParser):
    """What is wrong is told in one line, with the nearest of the choices."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message):
        match = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        near = difflib.get_close_matches(match[1], re.findall("'([^']*)'", match[2]), 1) if match else []
        print(f"{self.prog}: {message}" + (f"; did you mean '{near[0]}'?" if near else ""), file=sys.stderr)
        sys.exit(WRONG_INPUT)


def parser(doc, folder="result folder with summary.csv", nargs=None):
    """The description is the first paragraph of doc; the only argument is the folder, or nargs of them."""
    result = argparse.ArgumentParser(description=doc.split("\n\n", maxsplit=1)[0])
    result.add_argument("folder", metavar="DIR", help=folder, nargs=nargs)
    return result


def modules(*names):
    """The modules of these names."""
    packages = " and ".join(f"python3-{name.split('.')[0]}" for name in names)
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise PackageError(f"{error}. Install {packages} (scripts/setup does) and use "
                           "/usr/bin/python3.") from error


def load(*names):
    """pyplot, which draws without a display, and the modules of these names."""
    matplotlib, *_ = modules("matplotlib", *names)
    matplotlib.use("Agg")
    return modules("matplotlib.pyplot", *names)


def run(script, work, *arguments, told=(OSError,)):
    """Exit code of the work. What goes wrong is told in one line; told: of errors in writing."""
    try:
        work(*arguments)
        return DRAWN
    except (InputError, PackageError) + told as error:
        print(f"{os.path.basename(script)}: {error}", file=sys.stderr)
        return WRONG_INPUT if isinstance(error, InputError) else NOT_POSSIBLE


@contextlib.contextmanager
def reading(path):
    """Errors of what is done within become errors of the input."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path} is not there: run the experiment first") from error
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def check_columns(path, columns, keys):
    for key in keys:
        if key not in columns:
            raise InputError(f"{path}: no column {key}")


def number(path, text, empty=None):
    if text == "" and empty is not None:
        return empty
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {text!r} is not a number") from error


def read_table(pandas, path, keys, **options):
    """The table as pandas reads it with these options; it has the columns of keys."""
    with reading(path):
        table = pandas.read_csv(path, **options)
    check_columns(path, table.columns, keys)
    return table


def add_keep(arguments):
    arguments.add_argument("--keep", action="append", default=[], metavar="KEY=VALUE[,VALUE]",
                           help="only these rows; may be repeated")


def keep(table, path, wanted, fixed):
    """The rows that have one of the values of each KEY=VALUE[,VALUE] wanted; fixed: columns that are no keys."""
    for text in wanted:
        key, equals, value = text.partition("=")
        if not equals or key not in table.columns:
            raise InputError(f"--keep {text}: no KEY=VALUE of {path}'s columns "
                             f"{', '.join(c for c in table.columns if c not in fixed)}")
        values = value.split(",")
        unknown = [v for v in values if v not in set(table[key])]
        if unknown:
            raise InputError(f"--keep {text}: {key} has no value {unknown[0]}; it has "
                             f"{', '.join(sorted(set(table[key])))}")
        table = table[table[key].isin(values)]
    return table


def plain(value):
    """As a configuration has it: 4 for 4.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def keep_values(table, path, wanted):
    """As keep, of a table whose columns may be numbers: 4 is 4.0."""
    texts = table.assign(**{c: [plain(v) for v in table[c]] for c in table.columns})
    return table.loc[keep(texts, path, wanted, ()).index]


def digits(value):
    """For people: three digits, and thousands set apart."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"


def column_width(figure):
    """Makes the figure as wide as a column of a paper: small letters, the legend below."""
    width, height = figure.get_size_inches()
    marked = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels())}
    for axes in figure.axes:
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()):
            text.set_fontsize(7)
        legend = axes.get_legend()
        if legend:
            labels = [text.get_text() for text in legend.get_texts()]
            handles = [marked.get(label, handle) for label, handle in zip(labels, legend.legendHandles)]
            axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.24), fontsize=6.5,
                        ncols=1 if len(figure.axes) > 1 else 2, frameon=False)
    figure.suptitle("")
    figure.set_size_inches(COLUMN_INCHES, min(height * max(COLUMN_INCHES / width, 0.8), 9))


def to_numbers(pandas, table, keys):
    """What is not a number becomes NaN, but 0 in ci95: a single repetition has none."""
    for key in keys:
        table[key] = pandas.to_numeric(table[key], errors="coerce")
    table["ci95"] = table["ci95"].fillna(0)


def check_points(path, table, drawn, metrics, point):
    """No column but those drawn has several values, each metric has rows, and no point, as these
    columns name it, appears twice."""
    others = [c for c in table.columns if c not in drawn and table[c].nunique() > 1]
    if others:
        raise InputError(f"{path}: also sweeps {', '.join(others)}; this figure shows one value")
    for metric in metrics:
        if metric not in set(table["metric"]):
            raise InputError(f"{path}: no rows of the metric {metric}")
    if table.duplicated(list(point)).any():
        raise InputError(f"{path}: a point appears twice")


@contextlib.contextmanager
def whole(path):
    """The name to write to, so that the file appears at path whole or not at all."""
    yield path + ".tmp"
    os.replace(path + ".tmp", path)
    print(path)


def write_csv(path, columns, rows):
    with whole(path) as name, open(name, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def save(figure, folder, name, salt=None, dpi=130):
    """As name.png and name.svg. The same input gives the same bytes; the ids in the .svg are made
    from the salt, else from the name."""
    import matplotlib
    matplotlib.rcParams["svg.hashsalt"] = salt or name
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        with whole(os.path.join(folder, f"{name}.{suffix}")) as path:
            figure.savefig(path, format=suffix, dpi=dpi, metadata=metadata)


def list_down(axes, names):
    """One place for each name, from above, every other one shaded."""
    for place in range(0, len(names), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#000000", alpha=0.045, linewidth=0, zorder=0)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)


def leave_foot(figure, share):
    """Leaves this share of the height to the legend."""
    figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))
