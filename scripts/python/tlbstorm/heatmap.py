# SPDX-License-Identifier: Apache-2.0
"""A metric over two swept keys: a cell a pair of values, a panel a mechanism. Cells whose 95 % interval
reaches 1 (of ratios) are written in grey: nothing can be told there."""

from tlbstorm import lines, plotting


def order(values):
    """As numbers if all are, else as they came."""
    values = list(dict.fromkeys(values))
    try:
        return sorted(values, key=float)
    except ValueError:
        return values


def axes_keys(table, keys, options, folder):
    several = [key for key in keys if table[key].nunique() > 1]
    chosen = [options.x, options.y]
    for place, key in enumerate(chosen):
        if key and key not in table.columns:
            raise plotting.InputError(f"--{'xy'[place]} {key}: {folder} sweeps {', '.join(keys) or 'nothing'}")
        if not key:
            free = [k for k in several if k not in chosen]
            if not free:
                raise plotting.InputError(f"{folder} does not sweep two keys: a heatmap needs them")
            chosen[place] = free[0]
    return chosen


def draw_panel(axes, rows, keys, norm, labels):
    x, y = keys
    xs, ys = order(rows[x]), order(rows[y])
    cells = {(a, b): (float(m), float(c or 0)) for a, b, m, c in
             zip(rows[x], rows[y], rows["mean"], rows["ci95"])}
    image = axes.imshow([[cells.get((a, b), (float("nan"), 0))[0] for a in xs] for b in ys],
                        origin="lower", aspect="auto", cmap="cividis", norm=norm)
    ratio = set(rows["unit"]) == {"ratio"}
    for i, a in enumerate(xs):
        for j, b in enumerate(ys):
            if (a, b) not in cells:
                continue
            mean, half = cells[a, b]
            dark = norm(mean) < 0.5
            unsure = ratio and abs(mean - 1) <= half
            axes.text(i, j, f"{mean:.3g}", ha="center", va="center", fontsize=8,
                      style="italic" if unsure else "normal",
                      color=("#bbbbbb" if dark else "#666666") if unsure else "white" if dark else "black")
    axes.set_xticks(range(len(xs)), xs, fontsize=8)
    axes.set_yticks(range(len(ys)), ys, fontsize=8)
    axes.set_xlabel(labels.get(x, x))
    axes.set_ylabel(labels.get(y, y))
    return image


def draw(results, options, metric, with_overcommit, labels):
    pyplot, pandas, colours = plotting.load("pandas", "matplotlib.colors")
    path = results.path("summary.csv")
    table = plotting.read_table(pandas, path, lines.FIXED, dtype=str, keep_default_na=False)
    table = plotting.keep(table, path, options.keep, lines.FIXED)
    table, keys = with_overcommit(table, list(results.swept), options)
    subject = table.columns[0]
    drawn = axes_keys(table, keys, options, results.folder)
    panel = options.panel or subject
    plotting.check_points(path, table, [*drawn, panel, *lines.FIXED], [metric], [*drawn, panel, "metric"])
    rows = table[table["metric"] == metric]
    if metric == "speedup":
        rows = rows[rows[subject] != results.baseline]
    if rows.empty:
        raise plotting.InputError(f"{path}: only the baseline has {metric}")
    names = list(dict.fromkeys(rows[panel]))
    values = [float(v) for v in rows["mean"]]
    spread = min(values) > 0 and max(values) / min(values) > 10
    norm = (colours.LogNorm if spread else colours.Normalize)(min(values), max(values))
    figure, grid = pyplot.subplots(1, len(names), squeeze=False, layout="constrained",
                                   figsize=(1.8 + 3.6 * len(names), 3.8))
    for name, axes in zip(names, grid[0]):
        image = draw_panel(axes, rows[rows[panel] == name], drawn, norm, labels)
        axes.set_title(name, fontsize=10)
    unit = rows["unit"].iloc[0]
    what = f"speedup over {results.baseline}" if metric == "speedup" else metric.replace("_", " ")
    figure.colorbar(image, ax=list(grid[0]), label=what + ("" if unit in ("1", "ratio") else f" ({unit})"))
    if options.title:
        figure.suptitle(options.title)
    return figure
