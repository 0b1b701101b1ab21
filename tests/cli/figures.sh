#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `tlbstorm plot`, `tlbstorm report` and the Python package on real results: everything is drawn, the same
# bytes twice, and wrong input is told in one line.
source "$(dirname "$0")/lib.bash"
export MPLCONFIGDIR=$tmp

run 0 run "$smoke" -q --set run.vms=1,2 --set guest.flush_ceiling=1,33 --timeline -o r
run 0 run "$configs/experiments/noc-mesh-8x8.yaml" -q --set noc_traffic.load_ppm=50000,100000 --set repetitions=1 \
    --set noc_traffic.packet_flits=1 --set noc_traffic.warmup_cycles=200cycles --set noc_traffic.measured_cycles=500cycles -o n

# The program finds the package beside itself, and passes on what it is given.
run 0 plot r --kind speedup --keep guest.flush_ceiling=33 --name by_program
[ -s r/by_program.png ] && [ -s r/by_program.svg ] || fail "nothing was drawn"
run 2 plot r --kind speedupp
one_line "invalid choice: 'speedupp'.*did you mean 'speedup'"
run 2 plot r --kind heatmap --x run.vmss
one_line '--x run.vmss: r sweeps vcpus_per_pcpu, guest.flush_ceiling'
run 2 plot nowhere --kind speedup
one_line 'nowhere/points.json is not there'
run 2 plot r --kind timeline --window 5
one_line '--window 5: a time such as 200us is wanted'
run 2 plot r --kind speedup --keep run.vms=7
one_line 'has no value 7; it has 1, 2'
run 2 plot n --kind speedup
one_line 'of the study noc_traffic there is no speedup'
run 2 report nowhere
one_line 'nowhere/points.json is not there'
TLBSTORM_PYTHON=$tmp run 3 plot r --kind speedup
one_line 'the Python package of tlbstorm is not in .*TLBSTORM_PYTHON'

PYTHONPATH=$TS_SOURCE_DIR/scripts/python /usr/bin/python3 -B - <<'EOP' || fail "the package"
import contextlib
import hashlib
import io
import os
import re

import tlbstorm
from tlbstorm import plot, report

one = ["--keep", "guest.flush_ceiling=33"]
figures = [("r", "speedup", one, ["native_sequential", "vCPUs per pCPU"]),
           ("r", "system-time", [*one, "--width", "column"], ["system time (s)"]),
           ("r", "scaling", [*one, "--x", "vcpus_per_pcpu"], ["completion time (s)"]),
           ("r", "latency-cdf", [], ["latency (µs)"]),
           ("r", "breakdown", one, ["send", "share (%)"]),
           ("r", "heatmap", ["--metric", "shootdowns"], ["guest.flush_ceiling", "vCPUs per pCPU"]),
           ("r", "timeline", ["--keep", "mechanism=native_concurrent", "--keep", "run.vms=2"], ["vCPU runs", "time since the shootdown began (µs)"]),
           ("n", "noc", ["--series", "noc_traffic.router"], ["packet latency (cycles)"])]


def draw(folder, kind, more):
    with contextlib.redirect_stdout(io.StringIO()):
        assert plot.main("tlbstorm plot", [folder, "--kind", kind, *more]) == 0, kind
    name = kind.replace("-", "_")
    content = b"".join(open(f"{folder}/{name}.{end}", "rb").read() for end in ("png", "svg"))
    return hashlib.sha256(content).digest(), open(f"{folder}/{name}.svg", encoding="utf-8").read()


for folder, kind, more, texts in figures:
    first, svg = draw(folder, kind, more)
    assert first == draw(folder, kind, more)[0], f"{kind} differs from itself"
    for text in texts:
        assert f"<!-- {text} -->" in svg, (kind, text, re.findall("<!-- (.*?) -->", svg))

# The tables say what the files do.
results = tlbstorm.load("r")
assert results.baseline == "native_sequential" and results.swept == ["run.vms", "guest.flush_ceiling"]
assert len(results.runs) == 16 and results.columns.loc["system_time", "unit"] == "s"
mean = results.runs.groupby(["mechanism", "run.vms", "guest.flush_ceiling"])["completion_time"].mean()
summary = results.summary.query("metric == 'completion_time'").set_index(["mechanism", "run.vms", "guest.flush_ceiling"])
for key, row in summary.iterrows():
    assert abs(mean[key] - row["mean"]) < 1e-9 * row["mean"], key
folder = results.runs["folder"][0]
shootdowns = results.shootdowns(folder)
assert len(shootdowns) == results.runs["shootdowns"][0]
parts = results.critical_path.query("folder == @folder").set_index("part")["total_ps"]
assert parts.sum() == shootdowns["total_ps"].sum() and parts["flush"] == shootdowns["flush_ps"].sum()
histogram = results.histogram("guest", "shootdown_ps", folder=folder)
assert histogram["count"].sum() == len(shootdowns)
assert results.stats(folder).loc[("result", "shootdowns"), "value"] == len(shootdowns)

# What the documentation shows runs, on these results.
with open(os.environ["TS_SOURCE_DIR"] + "/docs/python.md", encoding="utf-8") as file:
    example = re.search(r"^```python\n(.*?)^```$", file.read(), re.M | re.S)[1]
said = io.StringIO()
with contextlib.redirect_stdout(said):
    exec(example.replace("out/mmapstorm-overcommit", "r").replace("kvm_pv", "native_concurrent"), {})
assert "native_concurrent" in said.getvalue() and "total_ps" in said.getvalue(), said.getvalue()

# One page that needs nothing from outside, and says what the program said.
pages = []
for _ in range(2):
    with contextlib.redirect_stdout(io.StringIO()):
        assert report.main("tlbstorm report", ["r"]) == 0
    pages.append(open("r/report.html", encoding="utf-8").read())
assert pages[0] == pages[1]
page = pages[0]
for line in results.verdict.splitlines():
    words = line.partition("(")[0].partition(": ")[2].split(";")[0].strip()
    assert words in page, words
assert "2 seeds give wide intervals" in page and "The slowest shootdowns" in page
assert not re.findall(r'(?:src|href)=|url\(|@import|fetch\(|XMLHttpRequest', page)
assert page.count("<script") == page.count("</script>") == 3
with contextlib.redirect_stdout(io.StringIO()):
    assert report.main("tlbstorm report", ["n", "-o", "n.html"]) == 0
assert "packet latency" in open("n.html", encoding="utf-8").read()
assert not [name for name in os.listdir("r") if name.endswith(".tmp")]
EOP
finish
