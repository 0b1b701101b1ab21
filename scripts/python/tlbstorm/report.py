# SPDX-License-Identifier: Apache-2.0
"""Writes one self-contained HTML page of a folder of results: tlbstorm report DIR [-o FILE].

The page needs no network and no other file: the question and the verdict, warnings, a table with intervals,
figures to hover, the slowest shootdowns with the parts of their critical path, and the configuration. The
same results give the same bytes.

Exit codes: 0 written, 2 the input is missing or wrong, 3 a Python package is missing."""

import html
import json
import math
import os

from tlbstorm import breakdown, plotting, slowest
from tlbstorm.plot import LABELS, numeric_keys, with_overcommit
from tlbstorm.results import load

SLOWEST = 10
CDF_POINTS = 200 # a line; more cannot be seen
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
COLUMNS = (("completion_time", "completion"), ("record_rate", "records/s a VM"), ("system_time", "system"),
           ("shootdowns", "shootdowns"), ("ipis", "IPIs"), ("vm_exits", "VM exits"), ("shootdown_p50", "p50"),
           ("shootdown_p99", "p99"), ("shootdown_max", "max"), ("speedup", "speedup"))
TIMES = {"s": 1.0, "us": 1e-6}
LINES = (("speedup", "speedup over the baseline"), ("completion_time", "completion time"),
         ("record_rate", "records a second"), ("system_time", "system time"))


def text(value):
    return html.escape(str(value))


def time_text(seconds):
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return "0" if seconds == 0 else f"{seconds * 1e12:.3g} ps"


def value_text(mean, half, unit):
    """The half width in per cent, where it can be seen."""
    scale = TIMES.get(unit)
    shown = time_text(mean * scale) if scale is not None else f"{mean:.3f}" if unit == "ratio" else \
        f"{mean:,.0f}" if mean >= 1000 else f"{mean:.4g}"
    per_cent = 100 * half / mean if mean > 0 else 0
    return shown + (f" ± {per_cent:.1f} %" if per_cent >= 0.05 else "")


def rows_of(results):
    """[(title, {mechanism: {metric: (mean, half, unit)}})] in the order of the summary."""
    subject = results.summary.columns[0]
    rows = []
    for title, own in results.points(results.summary):
        cells = {}
        for name, metric, unit, mean, half in zip(own[subject], own["metric"], own["unit"], own["mean"], own["ci95"]):
            cells.setdefault(str(name), {})[metric] = (mean, 0.0 if math.isnan(half) else half, unit)
        rows.append((title, cells))
    return rows


def machine_table(rows):
    shown = [(m, label) for m, label in COLUMNS
             if any(cells[name].get(m, (0,))[0] for _, cells in rows for name in cells)]
    parts = ["<table><thead><tr><th>mechanism</th>", *(f"<th>{text(label)}</th>" for _, label in shown), "</tr></thead>"]
    for title, cells in rows:
        parts.append(f'<tbody><tr class="row"><th colspan="{len(shown) + 1}">{text(title)}</th></tr>')
        for name, metrics in cells.items():
            parts.append(f"<tr><td>{text(name)}</td>")
            parts += [f"<td>{text(value_text(*metrics[m])) if m in metrics else ''}</td>" for m, _ in shown]
            parts.append("</tr>")
        parts.append("</tbody>")
    return "".join([*parts, "</table>"])


def study_table(rows):
    metrics = list(dict.fromkeys(m for _, cells in rows for metric in cells.values() for m in metric))
    parts = ["<table><thead><tr><th></th>", *(f"<th>{text(m.replace('_', ' '))}</th>" for m in metrics), "</tr></thead><tbody>"]
    for title, cells in rows:
        for values in cells.values():
            parts.append(f"<tr><td>{text(title)}</td>")
            parts += [f"<td>{text(value_text(*values[m])) if m in values else ''}</td>" for m in metrics]
            parts.append("</tr>")
    return "".join([*parts, "</tbody></table>"])


def line_figures(results):
    """Of each metric and platform a figure over the first swept number, lines a mechanism and the other
    swept values."""
    path = results.path("summary.csv")
    _, pandas = plotting.load("pandas")
    table = plotting.read_table(pandas, path, ("metric", "mean", "ci95"), dtype=str, keep_default_na=False)
    table, keys = with_overcommit(table, list(results.swept))
    numbers = numeric_keys(table, keys)
    if not numbers:
        return []
    x, subject = numbers[0], table.columns[0]
    others = [k for k in keys if k != x and table[k].nunique() > 1]
    figures = []
    for metric, label in (LINES if not results.study else [(m, m.replace("_", " ")) for m in
                                                            dict.fromkeys(table["metric"])][:6]):
        rows = table[table["metric"] == metric]
        if rows.empty or all(float(v) == 0 for v in rows["mean"]):
            continue
        for platform in dict.fromkeys(rows["platform"]):
            own = rows[rows["platform"] == platform]
            figures.append({"title": f"{platform}: {label}", "x": LABELS.get(x, x), "unit": own["unit"].iloc[0],
                            **series_of(own, x, [subject, *others])})
    return figures


def series_of(rows, x, names):
    places = sorted({float(v) for v in rows[x]})
    series = []
    for values, own in rows.groupby(names if len(names) > 1 else names[0], sort=False):
        values = values if isinstance(values, tuple) else (values,)
        at = {float(a): (float(m), float(c or 0)) for a, m, c in zip(own[x], own["mean"], own["ci95"])}
        series.append({"name": ", ".join([values[0], *(f"{k} {v}" for k, v in zip(names[1:], values[1:]))]),
                       "mean": [at[p][0] if p in at else None for p in places],
                       "ci95": [at[p][1] if p in at else None for p in places]})
    return {"at": places, "series": series}


def cdf_figures(results):
    """A figure a platform and combination of swept values: share of shootdowns below a latency."""
    try:
        table = results.histogram("guest", "shootdown_ps")
    except plotting.InputError:
        return []
    figures = []
    for title, rows in results.points(table):
        at = sorted(set(rows["high"]))
        step = max(1, len(at) // CDF_POINTS)
        at = [*at[::step], *([at[-1]] if (len(at) - 1) % step else [])]
        series = []
        for name, own in rows.groupby("mechanism", sort=False):
            counts = own.groupby("high")["count"].sum().sort_index()
            if counts.sum() == 0:
                continue
            below = [100.0 * counts[counts.index <= place].sum() / counts.sum() for place in at]
            series.append({"name": name, "mean": [round(float(b), 4) for b in below], "ci95": None})
        figures.append({"title": title, "x": "latency (µs)", "unit": "%", "at": [a * 1e-6 for a in at], "series": series})
    return figures


def bar(parts, total, width):
    """One stacked bar, of (part, ps)."""
    at, out = 0.0, []
    for part, ps in parts:
        if ps <= 0:
            continue
        size = width * ps / total if total else 0
        out.append(f'<rect x="{at:.2f}" width="{size:.2f}" height="16" fill="{breakdown.PARTS.get(part, breakdown.OTHER)}">'
                   f"<title>{text(part)}: {text(time_text(ps * 1e-12))}</title></rect>")
        at += size
    return f'<svg width="{width}" height="16" viewBox="0 0 {width} 16" role="img">{"".join(out)}</svg>'


def legend(parts):
    return '<p class="legend">' + " ".join(
        f'<span><i style="background:{breakdown.PARTS.get(p, breakdown.OTHER)}"></i>{text(p)}</span>' for p in parts) + "</p>"


def breakdown_html(results):
    """Mean critical path of every mechanism of every row, to one scale a row."""
    table = results.critical_path
    if table.empty:
        return ""
    order = list(breakdown.PARTS)
    out, seen = [], set()
    for title, rows in results.points(table):
        sums = {}
        for name, own in rows.groupby("mechanism", sort=False):
            count = own.groupby("part")["shootdowns"].sum()
            total = own.groupby("part")["total_ps"].sum()
            sums[name] = {p: total[p] / count[p] if count[p] else 0.0 for p in total.index if p != "total"}
        widest = max((sum(parts.values()) for parts in sums.values()), default=0)
        out.append(f'<tr class="row"><th colspan="3">{text(title)}</th></tr>')
        for name, parts in sums.items():
            seen |= {p for p, ps in parts.items() if ps > 0}
            ordered = sorted(parts.items(), key=lambda entry: (order.index(entry[0]) if entry[0] in order else 99, entry[0]))
            total = sum(parts.values())
            out.append(f"<tr><td>{text(name)}</td><td>{text(time_text(total * 1e-12))}</td>"
                       f'<td class="bar">{bar(ordered, total, 560 * total / widest if widest else 0)}</td></tr>')
    return legend([p for p in order if p in seen]) + f'<table>{"".join(out)}</table>'


def slowest_html(results):
    entries = slowest.of_all(results, SLOWEST)
    if not entries:
        return ""
    parts = slowest.parts_of(entries[0][1].index)
    names = [p[:-len(slowest.PARTS_END)] for p in parts]
    longest = max(int(row["total_ps"]) for _, row in entries)
    out = ["<table><thead><tr><th>latency</th><th>run</th><th>shootdown</th><th>VM</th><th>initiator</th><th>targets</th>"
           "<th>last to answer</th><th>began at</th><th>where the time went</th></tr></thead>"]
    for run, row in entries:
        last = row["last_target"]
        cells = [time_text(row["total_ps"] * 1e-12), run["folder"], int(row["number"]), int(row["guest"]), f"vCPU {int(row['initiator'])}",
                 int(row["targets"]), f"vCPU {int(last)}" if last == last else "", time_text(row["started_ps"] * 1e-12)]
        values = [(name, int(row[p])) for name, p in zip(names, parts)]
        out.append("<tr>" + "".join(f"<td>{text(c)}</td>" for c in cells) +
                   f'<td class="bar">{bar(values, row["total_ps"], 360 * row["total_ps"] / longest)}</td></tr>')
    return legend(names) + "".join(out) + "</table>"


def verdict_html(results):
    verdicts, warnings = [], []
    for line in results.verdict.splitlines():
        if line.startswith("warning: "):
            warnings.append(line[len("warning: "):])
        elif line.startswith("Verdict, "):
            verdicts.append((line[len("Verdict, "):].rstrip(":"), []))
        elif verdicts:
            name, _, said = line.strip().partition(": ")
            verdicts[-1][1].append((name, said.strip()))
    out = []
    for title, answers in verdicts:
        out.append(f"<h3>{text(title)}</h3><dl>" + "".join(f"<dt>{text(n)}</dt><dd>{text(s)}</dd>" for n, s in answers) + "</dl>")
    if not results.failures.empty:
        warnings.append(f"{len(results.failures)} runs failed and are in no figure (failures.csv)")
    return "".join(out), "".join(f"<li>{text(w)}</li>" for w in warnings)


def configuration_html(results):
    """The resolved configuration of the first run of each platform."""
    out, seen = [], set()
    for run, folder in results.run_folders():
        path = os.path.join(folder, "config.resolved.yaml")
        if run["platform"] in seen or not os.path.exists(path):
            continue
        seen.add(run["platform"])
        with plotting.reading(path), open(path, encoding="utf-8") as file:
            out.append(f"<details><summary>{text(run['platform'])}: every parameter of {text(run['folder'])}</summary>"
                       f"<pre>{text(file.read())}</pre></details>")
    return "".join(out)


def data_file(name):
    with open(os.path.join(DATA, name), encoding="utf-8") as file:
        return file.read()


def script(content):
    """Nothing within may end the element."""
    return "<script>" + content.replace("</script", "<\\/script") + "</script>"


def section(title, content):
    return f"<section><h2>{text(title)}</h2>{content}</section>" if content else ""


def page(results):
    figures = {"lines": line_figures(results), "cdf": [] if results.study else cdf_figures(results)}
    rows = rows_of(results)
    verdict, warnings = ("", "") if results.study else verdict_html(results)
    seeds = results.runs["seed"].nunique() if "seed" in results.runs else 0
    question = f"{len(results.runs)} runs, {seeds} seed{'s' if seeds != 1 else ''}"
    if results.swept:
        question += "; swept: " + ", ".join(results.swept)
    if results.baseline:
        question += f"; baseline: {results.baseline}"
    body = "".join([
        f"<header><h1>{text(results.title or results.name)}</h1><p>{text(results.name)}: {text(question)}</p></header>",
        section("Verdict", verdict),
        section("What speaks against it", f'<ul class="warnings">{warnings}</ul>' if warnings else ""),
        section("Results", "<p>Means over the seeds, ± half the 95 % interval.</p>" +
                (study_table(rows) if results.study else machine_table(rows))),
        section("Figures", '<div id="lines"></div>' if figures["lines"] else ""),
        section("Where the time of a shootdown went", "" if results.study else breakdown_html(results)),
        section("Latency of a shootdown: share that took no longer", '<div id="cdf"></div>' if figures["cdf"] else ""),
        section("The slowest shootdowns", "" if results.study else slowest_html(results)),
        section("Configuration", configuration_html(results)),
    ])
    data = json.dumps(figures, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'; '
            'script-src \'unsafe-inline\'"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{text(results.title or results.name)}</title>"
            f"<style>{data_file('uPlot.min.css')}{data_file('report.css')}</style></head><body>{body}"
            f'{script(data_file("uPlot.iife.min.js"))}<script type="application/json" id="data">{data}</script>'
            f'{script(data_file("report.js"))}</body></html>\n')


def work(options):
    results = load(options.folder)
    output = options.output or results.path("report.html")
    content = page(results)
    with plotting.whole(output) as name, open(name, "w", encoding="utf-8") as file:
        file.write(content)


def main(script_name, arguments=None):
    parser = plotting.CommandParser(prog=script_name, description=__doc__)
    parser.add_argument("folder", metavar="DIR", help="folder of results")
    parser.add_argument("-o", "--output", metavar="FILE", help="the page (DIR/report.html)")
    return plotting.run(script_name, work, parser.parse_args(arguments))
