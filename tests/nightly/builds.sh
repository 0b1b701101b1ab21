#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The libraries build without a warning at -O0, -O2 and -O3 with gcc and clang, and work as a
# subdirectory of another project, whose programs run. Some minutes a build.
set -euo pipefail

root=$TS_SOURCE_DIR
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for compiler in gcc:g++ clang:clang++; do
    for level in ${TS_LEVELS:--O0 -O2 -O3}; do
        echo "$compiler $level"
        build="$work/${compiler%%:*}$level"
        cmake -S "$root" -B "$build" -G Ninja -DCMAKE_C_COMPILER="${compiler%%:*}" \
            -DCMAKE_CXX_COMPILER="${compiler##*:}" -DCMAKE_BUILD_TYPE=Release \
            -DCMAKE_C_FLAGS_RELEASE="$level" -DCMAKE_CXX_FLAGS_RELEASE="$level" \
            -DTS_TESTS=OFF -DTS_BENCH=OFF >"$work/log"
        ninja -C "$build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
        rm -rf "$build"
    done
done
cmake -S "$root/tests/package/subdirectory" -B "$work/sub" -G Ninja -DTLBSTORM="$root" \
    -DCMAKE_BUILD_TYPE=Release >"$work/log"
ninja -C "$work/sub" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/sub/user"
if [ -x "$work/sub/user_systemc" ]; then
    "$work/sub/user_systemc"
fi
