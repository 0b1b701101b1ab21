# SPDX-License-Identifier: Apache-2.0
"""Which share of the shootdowns took no longer than a time: a line a mechanism, from the distributions of
all seeds together. Buckets are about 3 % wide."""

from tlbstorm import plotting

COLOURS = plotting.COLOURS
PANELS_ACROSS = 2


def steps(table):
    """(time in us, share in %) at the upper end of each bucket."""
    counts = table.groupby("high")["count"].sum().sort_index()
    total = counts.sum()
    return [high * 1e-6 for high in counts.index], list(100 * counts.cumsum() / total), int(total)


def draw(results, options):
    pyplot, _ = plotting.load("pandas")
    table = results.histogram("guest", "shootdown_ps")
    table = plotting.keep_values(table, results.folder, options.keep)
    points = list(results.points(table, drop_single=True))
    across = min(len(points), PANELS_ACROSS)
    down = -(-len(points) // across)
    figure, grid = pyplot.subplots(down, across, squeeze=False, sharey=True, layout="constrained",
                                   figsize=(1 + 4.6 * across, 0.6 + 3.6 * down))
    for axes in grid.flat[len(points):]:
        axes.set_visible(False)
    names = list(dict.fromkeys(table["mechanism"]))
    for (title, rows), axes in zip(points, grid.flat):
        for number, name in enumerate(names):
            own = rows[rows["mechanism"] == name]
            if own.empty or own["count"].sum() == 0:
                continue
            times, shares, total = steps(own)
            axes.step([times[0], *times], [0, *shares], where="post", linewidth=1.5,
                      color=COLOURS[number % len(COLOURS)], linestyle=("-", "--", "-.", ":")[number % 4],
                      label=f"{name} (n = {total})")
        axes.set_xscale("log")
        axes.set_ylim(0, 102)
        for share in (50, 99):
            axes.axhline(share, color="#555555", linewidth=0.6, linestyle=":")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("latency (µs)")
        axes.grid(True, **plotting.GRID)
        axes.legend(fontsize=7, loc="lower right", framealpha=0.9)
    for row in grid:
        row[0].set_ylabel("shootdowns that took no longer (%)")
    figure.suptitle(options.title or "Latency of a shootdown at its initiator")
    return figure
