# SPDX-License-Identifier: Apache-2.0
"""What the CPUs did around one shootdown: a row a CPU, slices coloured by what they are, arrows from the
initiator to its targets. Of a run with --timeline."""

import os

from tlbstorm import events, plotting, slowest

ROWS_MAX = 24
FLOWS_MAX = 200
COLOURS = {"thread": "#d9d9d9", "shootdown": "#d62728", "call function": "#9467bd", "timer": "#8c564b",
           "reschedule": "#7f7f7f", "runs": "#c7dcef"}
EXIT = "#ff7f0e"
HALTED = "#f4f1e8"
OTHER = "#17becf"


def colour_of(name, group):
    if name == "exit: halt":
        return "halted", HALTED
    if name.startswith("exit"):
        return "exit", EXIT
    if group == events.HOST:
        return "vCPU runs", COLOURS["runs"]
    return name, COLOURS.get(name, OTHER)


def run_of(results, options):
    kept = set(plotting.keep_values(results.runs[results.keys], results.folder, options.keep)["folder"])
    for row, folder in results.run_folders():
        if row["folder"] not in kept:
            continue
        if options.run in (None, row["folder"]) and os.path.exists(os.path.join(folder, "timeline.json.gz")):
            return row, folder
    raise plotting.InputError(f"{results.folder}: {'no run' if not options.run else options.run} has a "
                              "timeline.json.gz: run it with --timeline")


def tracks_of(window, shootdown):
    """The rows: the initiator, then the CPUs of its VM that did most, then pCPUs."""
    own = int(shootdown["guest"]) + 1
    busy = {}
    for group, track, begin, end, name, _ in window.slices:
        if group in (own, events.HOST) and name != "thread":
            busy[group, track] = busy.get((group, track), 0) + end - begin
    ends = {track for flow in window.flows for track in (flow[1], flow[3])}
    first = (own, int(shootdown["initiator"]))
    last = shootdown["last_target"]
    second = (own, int(last)) if last == last else first
    def rank(track):
        return (track != first, track != second, track[0] == events.HOST, track not in ends, -busy[track], track)
    order = sorted(set(busy) | {first, second}, key=lambda t: rank(t) if t in busy else (t != first, t != second))
    guests = [t for t in order if t[0] == own][:ROWS_MAX]
    return guests + sorted(t for t in order if t[0] == events.HOST)[:max(0, ROWS_MAX - len(guests))]


def name_of(track):
    return f"pCPU {track[1]}" if track[0] == events.HOST else f"vCPU {track[1]}"


def draw(results, options):
    pyplot, _ = plotting.load("pandas")
    run, folder = run_of(results, options)
    worst = slowest.of_run(results, run["folder"], 1)
    if worst.empty:
        raise plotting.InputError(f"{folder}: the run had no shootdown")
    shootdown = worst.iloc[0]
    started, total = shootdown["started_ps"] * 1e-6, shootdown["total_ps"] * 1e-6
    length = events.duration_us(options.window, "--window") if options.window else 1.5 * total
    window = events.Window(os.path.join(folder, "timeline.json.gz"), max(0, started - 0.1 * length),
                           started + 0.9 * length)
    tracks = tracks_of(window, shootdown)
    place = {track: number for number, track in enumerate(tracks)}
    figure, axes = pyplot.subplots(layout="constrained", figsize=(11, 1.4 + 0.3 * len(tracks)))
    shown = {}
    for group, track, begin, end, name, depth in window.slices:
        if (group, track) not in place:
            continue
        label, colour = colour_of(name, group)
        height = max(0.84 - 0.16 * depth, 0.3)
        bar = axes.broken_barh([(begin - started, end - begin)], (place[group, track] - height / 2, height),
                               facecolors=colour, edgecolor="white", linewidth=0.2)
        shown.setdefault(label, bar)
    for begin, source, end, target, _ in window.flows[:FLOWS_MAX]:
        if source in place and target in place and begin >= window.begin:
            axes.annotate("", xy=(end - started, place[target]), xytext=(begin - started, place[source]),
                          arrowprops={"arrowstyle": "->", "color": "#333333", "linewidth": 0.5, "alpha": 0.6})
    for at in (0, total):
        axes.axvline(at, color="#d62728", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(tracks)), [name_of(t) for t in tracks], fontsize=8)
    axes.set_ylim(len(tracks) - 0.5, -0.5)
    axes.set_xlim(window.begin - started, window.end - started)
    axes.set_xlabel("time since the shootdown began (µs)")
    axes.legend(list(shown.values()), list(shown), loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    axes.set_title(options.title or f"{run['mechanism']}, VM {int(shootdown['guest'])}: its slowest shootdown, "
                   f"{plotting.digits(total)} µs, {int(shootdown['targets'])} targets", fontsize=10)
    return figure
