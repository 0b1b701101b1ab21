#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The page of `tlbstorm report` in a real browser, without a network: every figure is drawn and nothing is
# refused. Skipped where chromium is not installed.
source "$(dirname "$0")/../cli/lib.bash"
command -v chromium >/dev/null || exit 77
export HOME=$tmp MPLCONFIGDIR=$tmp

run 0 run "$smoke" -q --set run.vms=1,2 -o r
run 0 report r
chromium --headless=new --no-sandbox --disable-gpu --host-resolver-rules='MAP * ~NOTFOUND' --window-size=1240,3000 \
    --virtual-time-budget=5000 --enable-logging=stderr --v=0 --dump-dom "file://$tmp/r/report.html" >dom.html 2>log.txt ||
    fail "chromium: $(tail -3 log.txt)"
grep 'CONSOLE' log.txt >console.txt && fail "the page complains: $(head -3 console.txt)"
/usr/bin/python3 - <<'EOP' || fail "figures"
import json
import re

page = open("r/report.html", encoding="utf-8").read()
dom = open("dom.html", encoding="utf-8").read()
data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])
wanted = sum(bool(figure["series"]) for kind in ("lines", "cdf") for figure in data[kind])
assert wanted >= 5, wanted
assert len(re.findall("<canvas", dom)) == wanted, (len(re.findall("<canvas", dom)), wanted)
for figure in data["lines"]:
    assert figure["title"] in dom, figure["title"]
EOP
chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --window-size=1240,3000 --virtual-time-budget=5000 \
    --screenshot="$tmp/page.png" "file://$tmp/r/report.html" 2>/dev/null
[ "$(wc -c <page.png)" -gt 50000 ] || fail "an empty page: $(wc -c <page.png) bytes"
finish
