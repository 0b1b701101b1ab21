# SPDX-License-Identifier: Apache-2.0
# For the run.sh of each folder here, which sources it: makes the folder anew from runs in OUT (its
# argument; default out/FOLDER). Sets here, root, out and program, changes to the root.
# With DRAW_ONLY set nothing is run, and figures and tables are made of what is in OUT.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
out=${1:-out/$(basename "$here")}
program=${TLBSTORM:-build/release/tlbstorm}
jobs=$(nproc)
export TLBSTORM_CONFIGS=$root/configs

# run EXPERIMENT DIR [arguments of tlbstorm run]: an experiment into DIR
run() {
    local experiment=$1 dir=$2
    shift 2
    [ -n "${DRAW_ONLY:-}" ] ||
        "$program" run "configs/experiments/$experiment.yaml" -o "$dir" -q --force --jobs "$jobs" "$@" >/dev/null
}

# reproduce NAME TABLE: a published experiment; its table as TABLE of the folder
reproduce() {
    [ -n "${DRAW_ONLY:-}" ] || "$program" reproduce "$1" -o "$out/reproduce" --force --jobs "$jobs" >/dev/null
    cp "$out/reproduce/$1/reproduce.csv" "$here/$2"
}

# draw SCRIPT DIR [arguments]: the figures that it makes of DIR, copied into the folder
draw() {
    local script=$1 made
    shift
    made=$("scripts/$script" "$@" | grep -E '\.(png|svg)$')
    while read -r path; do
        cp "$path" "$here/"
    done <<<"$made"
}
