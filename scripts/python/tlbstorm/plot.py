# SPDX-License-Identifier: Apache-2.0
"""Draws a figure of a folder of results: tlbstorm plot DIR --kind KIND.

    speedup      of each mechanism over the baseline, with 95 % intervals
    system-time  of all guests
    scaling      completion time, or another --metric, against a size, both axes logarithmic
    latency-cdf  share of shootdowns that took no longer
    breakdown    where the time of a shootdown went
    heatmap      a --metric over two swept keys
    noc          latency of packets against load, of a study of the interconnect
    timeline     what the CPUs did around the slowest shootdown of a run with --timeline

--x names the swept key of the x axis (the first that is a number), and --panel that of the panels (the first
other one); rows of what is left over are chosen with --keep KEY=VALUE. Where VMs are swept, x is
vCPUs per pCPU, which is computed.

Exit codes: 0 drawn, 2 the input is missing or wrong, 3 a Python package is missing."""

import os

from tlbstorm import breakdown, cdf, heatmap, lines, plotting, timeline
from tlbstorm.results import load

OVERCOMMIT = "vcpus_per_pcpu"
LABELS = {OVERCOMMIT: "vCPUs per pCPU", "run.vcpus": "vCPUs of a VM", "run.vms": "VMs",
          "workload.threads": "threads", "noc_traffic.load_ppm": "offered load (flits per node and 10⁶ cycles)"}
KIND_METRICS = {"speedup": "speedup", "system-time": "system_time", "scaling": "completion_time",
                "heatmap": "speedup", "noc": "packet_latency"}
TITLES = {"speedup": "Speedup over {baseline}", "system-time": "System time of all guests",
          "latency-cdf": "Latency of a shootdown at its initiator"}


def numeric_keys(table, keys):
    """Those of keys of which every value is a number, and that have several."""
    def is_number(value):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return [key for key in keys if table[key].nunique() > 1 and all(is_number(v) for v in table[key].unique())]


def with_overcommit(table, keys, options=None):
    """A row's vCPUs per pCPU in the place of run.vms, unless run.vms is asked for by name; and the keys."""
    asked = [getattr(options, name, None) for name in ("x", "y", "series", "panel")]
    if "run.vms" not in keys or "run.vms" in asked or OVERCOMMIT not in set(table["metric"]):
        return table, keys
    subject = table.columns[0]
    point = [subject, "platform", *keys]
    ratio = table[table["metric"] == OVERCOMMIT].set_index(point)["mean"]
    table = table.copy()
    table[OVERCOMMIT] = [ratio.get(k) for k in table[point].itertuples(index=False, name=None)]
    # Platforms with as many pCPUs each: the key says no more than the number.
    if table.groupby(["platform", "run.vms"])[OVERCOMMIT].nunique().max() > 1:
        return table.drop(columns=[OVERCOMMIT]), keys
    return table.drop(columns=["run.vms"]), [OVERCOMMIT if key == "run.vms" else key for key in keys]


def panel_key(table, keys, options):
    if options.panel:
        return options.panel
    several = [key for key in ("platform", *keys) if key != options.x and table[key].nunique() > 1]
    return several[0] if several else None


def check_key(table, results, key, option):
    if key and key not in table.columns:
        raise plotting.InputError(f"--{option} {key}: {results.folder} sweeps "
                                  f"{', '.join(results.swept) or 'nothing'}")


def draw_lines(results, options, metric):
    """Lines over a swept key; where none is a number, a place for each mechanism."""
    pyplot, pandas = plotting.load("pandas")
    path = results.path("summary.csv")
    table = plotting.read_table(pandas, path, lines.FIXED, dtype=str, keep_default_na=False)
    table = plotting.keep(table, path, options.keep, lines.FIXED)
    table, keys = with_overcommit(table, list(results.swept), options)
    subject = table.columns[0]
    check_key(table, results, options.x, "x")
    check_key(table, results, options.panel, "panel")
    numbers = numeric_keys(table, keys)
    series = options.series or subject
    check_key(table, results, series, "series")
    options.x = options.x or next((key for key in numbers if key != series), None) or \
        next((key for key in keys if key != series and table[key].nunique() > 1), subject)
    options.series = series
    options.panel = panel_key(table, [k for k in keys if k != series], options)
    options.metric, options.folder = metric, results.folder
    for name, value in (("over", None), ("published", None), ("published_line", []), ("published_x", None),
                        ("linear_x", False), ("set_apart", True), ("log_y", options.kind == "scaling" or options.log_y), ("unit", None),
                        ("label", None), ("x_label", LABELS.get(options.x, options.x))):
        setattr(options, name, value)
    options.log_y = options.log_y or wide(table, metric)
    options.title = options.title or TITLES.get(options.kind, "").format(baseline=results.baseline) or None
    return lines.draw_table(pyplot, table, path, options)


def wide(table, metric):
    """Values that a linear axis would press together."""
    means = [float(v) for v in table[table["metric"] == metric]["mean"]]
    return bool(means) and min(means) > 0 and max(means) / min(means) > 20


def draw(results, options):
    if options.kind == "breakdown":
        pyplot, pandas = plotting.load("pandas")
        options.folder = results.folder
        table, keys = breakdown.read(pandas, options)
        return breakdown.draw(pyplot, table, keys, options.title)
    if options.kind == "latency-cdf":
        return cdf.draw(results, options)
    if options.kind == "timeline":
        return timeline.draw(results, options)
    metric = options.metric or KIND_METRICS[options.kind]
    if options.kind == "heatmap":
        return heatmap.draw(results, options, metric, with_overcommit, LABELS)
    return draw_lines(results, options, metric)


def work(options):
    results = load(options.folder)
    if results.study and options.kind in ("speedup", "system-time", "latency-cdf", "breakdown", "timeline"):
        raise plotting.InputError(f"{options.folder}: of the study {results.study} there is no {options.kind}")
    output = options.output or options.folder
    if not os.path.isdir(output):
        raise plotting.InputError(f"-o {output}: there is no such folder")
    figure = draw(results, options)
    if options.width == "column":
        plotting.column_width(figure)
    plotting.save(figure, output, options.name or options.kind.replace("-", "_"))


def parser(script):
    result = plotting.CommandParser(prog=script, description=__doc__)
    result.add_argument("folder", metavar="DIR", help="folder of results")
    result.add_argument("--kind", required=True,
                        choices=("speedup", "system-time", "scaling", "latency-cdf", "breakdown", "heatmap", "noc",
                                 "timeline"))
    result.add_argument("--metric", help="of summary.csv")
    result.add_argument("--x", metavar="KEY", help="swept key of the x axis")
    result.add_argument("--y", metavar="KEY", help="heatmap: swept key of the y axis")
    result.add_argument("--series", metavar="KEY", help="a line for each of its values (mechanism)")
    result.add_argument("--panel", metavar="KEY", help="a panel for each of its values")
    plotting.add_keep(result)
    result.add_argument("--log-y", action="store_true")
    result.add_argument("--run", metavar="FOLDER", help="timeline: of this run (the first that has one)")
    result.add_argument("--window", metavar="TIME", help="timeline: so much of it, such as 200us")
    result.add_argument("--title")
    result.add_argument("--width", choices=("page", "column"), default="page",
                        help="column: as wide as one of two columns of a paper")
    result.add_argument("-o", "--output", metavar="DIR", help="where the figure goes (DIR)")
    result.add_argument("--name", help="of the files (the kind)")
    return result


def main(script, arguments=None):
    return plotting.run(script, work, parser(script).parse_args(arguments))
