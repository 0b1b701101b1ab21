// SPDX-License-Identifier: Apache-2.0
// Draws the figures of a report with uPlot, from the JSON of the element #data.
"use strict";
(() => {
    const colours = ["#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#17becf", "#7f7f7f"];
    const dashes = [[], [6, 3], [8, 3, 2, 3], [2, 3]];
    const short = value => value == null ? "" : Number(value.toPrecision(4)).toLocaleString("en");

    // Times in the largest unit that keeps the largest value at 1 or more.
    function scaled(figure) {
        const base = { s: 1, us: 1e-6 }[figure.unit];
        if (base === undefined)
            return { factor: 1, unit: figure.unit === "1" || figure.unit === "ratio" ? "" : figure.unit };
        const largest = base * Math.max(...figure.series.flatMap(s => s.mean.filter(v => v != null)), 0);
        const [unit, size] = [["s", 1], ["ms", 1e-3], ["µs", 1e-6], ["ns", 1e-9]].find(u => largest >= u[1]) || ["ns", 1e-9];
        return { factor: base / size, unit };
    }

    // Wide spreads are read on a logarithmic axis only.
    function isWide(values) {
        const positive = values.filter(v => v != null && v > 0);
        return positive.length > 0 && positive.length === values.filter(v => v != null).length &&
            Math.max(...positive) / Math.min(...positive) > 20;
    }

    function bars(plot, figure, factor) {
        const context = plot.ctx;
        figure.series.forEach((series, i) => {
            if (!series.ci95 || !plot.series[i + 1].show)
                return;
            context.save();
            context.strokeStyle = colours[i % colours.length];
            context.lineWidth = devicePixelRatio;
            figure.at.forEach((x, p) => {
                if (series.mean[p] == null || !series.ci95[p])
                    return;
                const at = plot.valToPos(x, "x", true);
                const low = Math.max(series.mean[p] - series.ci95[p], plot.scales.y.distr === 3 ? plot.scales.y.min / factor : -Infinity);
                context.beginPath();
                context.moveTo(at, plot.valToPos(low * factor, "y", true));
                context.lineTo(at, plot.valToPos((series.mean[p] + series.ci95[p]) * factor, "y", true));
                context.stroke();
            });
            context.restore();
        });
    }

    function draw(parent, figure, cumulative) {
        const { factor, unit } = scaled(figure);
        const means = figure.series.flatMap(s => s.mean);
        const logX = isWide(figure.at) || (cumulative && figure.at[0] > 0), logY = !cumulative && isWide(means);
        const options = {
            width: Math.min(540, Math.max(320, parent.clientWidth - 10)), height: 300, title: figure.title,
            scales: { x: { time: false, distr: logX ? 3 : 1 },
                      y: { distr: logY ? 3 : 1, range: logY ? undefined : (u, low, high) => [0, cumulative ? 102 : (high * 1.08 || 1)] } },
            axes: [{ label: figure.x, values: (u, ticks) => ticks.map(short) },
                   { label: unit, size: 64, values: (u, ticks) => ticks.map(short) }],
            series: [{ label: figure.x, value: (u, v) => short(v) },
                     ...figure.series.map((s, i) => ({
                         label: s.name, stroke: colours[i % colours.length], width: 1.6, dash: dashes[i % dashes.length],
                         points: { show: !cumulative, size: 6 }, paths: cumulative ? uPlot.paths.stepped({ align: 1 }) : undefined,
                         spanGaps: true,
                         value: (u, v, k, p) => v == null ? "–" : short(v) + (s.ci95 && p != null && s.ci95[p] ? " ± " + short(s.ci95[p] * factor) : "") }))],
            hooks: { draw: [plot => bars(plot, figure, factor)] },
        };
        const element = document.createElement("div");
        parent.appendChild(element);
        new uPlot(options, [figure.at, ...figure.series.map(s => s.mean.map(v => v == null ? null : v * factor))], element);
    }

    const data = JSON.parse(document.getElementById("data").textContent);
    for (const kind of ["lines", "cdf"]) {
        const parent = document.getElementById(kind);
        if (!parent)
            continue;
        parent.className = "figures";
        for (const figure of data[kind])
            if (figure.series.length > 0)
                draw(parent, figure, kind === "cdf");
    }
})();
