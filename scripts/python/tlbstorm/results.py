# SPDX-License-Identifier: Apache-2.0
"""What a folder of results holds. Nothing is read before it is asked for, and nothing is written."""

import contextlib
import functools
import json
import os
import sqlite3

from tlbstorm import plotting

RUN_KEYS = ("folder", "mechanism", "platform", "seed")


class Results:
    """A folder that `tlbstorm run`, `sweep` or `collect` wrote.

    name, title, baseline, study: as in the experiment; "" where there is none.
    swept: the keys that are swept, in order."""

    def __init__(self, folder):
        self.folder = os.fspath(folder)
        points = self._points()
        try:
            self.name, self.title = points["name"], points["title"]
            self.baseline, self.study = points["baseline"], points["study"]
            self.swept = [column["key"] for column in points["columns"]]
        except (KeyError, TypeError) as error:
            raise plotting.InputError(f"{self.path('points.json')}: no {error}") from error

    def __repr__(self):
        return f"<tlbstorm.Results {self.name!r} in {self.folder!r}>"

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def _points(self):
        path = self.path("points.json")
        with plotting.reading(path), open(path, encoding="utf-8") as file:
            return json.load(file)

    def _query(self, statement):
        path = self.path("results.sqlite")
        if not os.path.exists(path):
            raise plotting.InputError(f"{path} is not there: `tlbstorm collect {self.folder}` makes it")
        pandas, = plotting.modules("pandas")
        try:
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                return pandas.read_sql(statement, database)
        except (sqlite3.Error, pandas.errors.DatabaseError) as error:
            raise plotting.InputError(f"{path}: cannot be read: {error}") from error

    @functools.cached_property
    def runs(self):
        """A row a finished run: folder, mechanism (or study), platform, seed, each swept key and each
        metric, numbers in the units of `columns`."""
        return self._query("SELECT * FROM runs ORDER BY run")

    @functools.cached_property
    def columns(self):
        """name, kind (swept or metric), unit and meaning of the columns of runs."""
        return self._query("SELECT * FROM columns").set_index("name")

    @functools.cached_property
    def failures(self):
        """folder, exit_code, message, and the command that repeats it."""
        return self._query("SELECT * FROM failures")

    @functools.cached_property
    def critical_path(self):
        """A row a run and part: mean_us over the run's shootdowns, with the columns of `runs` that
        say which run it is."""
        pandas, = plotting.modules("pandas")
        parts = self._query("SELECT * FROM critical_path")
        keys = ["run", *self.keys]
        table = pandas.merge(self.runs[keys], parts, on="run")
        table["mean_us"] = (table["total_ps"] / table["shootdowns"].where(table["shootdowns"] > 0, 1)) * 1e-6
        return table

    @property
    def keys(self):
        """The columns that name a run."""
        return [key for key in (*RUN_KEYS, *self.swept) if key in self.runs.columns]

    @functools.cached_property
    def summary(self):
        """summary.csv: means over the seeds with the half width of their 95 % intervals."""
        pandas, = plotting.modules("pandas")
        table = plotting.read_table(pandas, self.path("summary.csv"),
                                    ("metric", "unit", "mean", "ci95", "n"))
        for key in ("mean", "ci95", "n"):
            table[key] = pandas.to_numeric(table[key], errors="coerce")
        return table

    @property
    def verdict(self):
        """verdict.txt, or "" where mechanisms are not compared."""
        try:
            with open(self.path("verdict.txt"), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def run_folders(self, **keep):
        """(row, folder) of the finished runs that have these values: run_folders(mechanism="kvm_pv")."""
        table = self.runs
        for key, value in keep.items():
            table = table[table[key] == value]
        for _, row in table.iterrows():
            yield row, self.path(row["folder"])

    def stats(self, folder):
        """stats.csv of one run, by (group, name)."""
        pandas, = plotting.modules("pandas")
        path = self.path(folder, "stats.csv")
        return plotting.read_table(pandas, path, ("group", "name", "unit", "value")).set_index(["group", "name"])

    def points(self, table, drop_single=False):
        """(title, rows) of a table that has the columns of points, for each platform and combination of
        swept values: "x86, run.vms = 4". drop_single: keys with one value go unnamed."""
        keys = ["platform", *self.swept]
        named = [key for key in keys if not drop_single or table[key].nunique() > 1]
        for values, rows in table.groupby(keys if len(keys) > 1 else keys[0], sort=False, dropna=False):
            values = dict(zip(keys, values if isinstance(values, tuple) else (values,)))
            yield ", ".join(values[k] if k == "platform" else f"{k} = {plotting.plain(values[k])}" for k in named), rows

    def histogram(self, group, name, **keep):
        """Buckets (low, high, count) of a distribution, with the columns that name its run; low and high
        are in ps where the statistic is a time."""
        pandas, = plotting.modules("pandas")
        tables = []
        for row, folder in self.run_folders(**keep):
            path = os.path.join(folder, "histograms.csv")
            table = plotting.read_table(pandas, path, ("group", "name", "low", "high", "count"))
            table = table[(table["group"] == group) & (table["name"] == name)][["low", "high", "count"]]
            tables.append(table.assign(**{key: row[key] for key in self.keys}))
        if not tables or all(table.empty for table in tables):
            raise plotting.InputError(f"{self.folder}: no run has a distribution {group}.{name}")
        return pandas.concat(tables, ignore_index=True)

    def shootdowns(self, folder, **options):
        """flushes.csv.zst of one run, a row a shootdown; options are those of pandas.read_csv."""
        pandas, _ = plotting.modules("pandas", "zstandard")
        path = self.path(folder, "flushes.csv.zst")
        with plotting.reading(path):
            return pandas.read_csv(path, compression="zstd", **options)


def load(folder):
    """The results in this folder. plotting.InputError, in one line, if there are none."""
    return Results(folder)
