#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` leaves can be moved, and is found by CMake and by pkg-config; the library
# exports its prefixes only; and as a subdirectory tlbstorm leaves its user's sources alone.
set -euo pipefail

build=$(cd "$(dirname "$TLBSTORM")" && pwd)
root=$TS_SOURCE_DIR
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "FAIL: $*" >&2
    exit 1
}
cd "$work"
# Neither the tree's configurations nor the user's are to help.
unset TLBSTORM_CONFIGS

# --- symbols ---
[ -e "$build/libtlbstorm.so" ] || fail "there is no libtlbstorm.so"
nm -D --defined-only "$build/libtlbstorm.so" | awk '{print $3}' >symbols
foreign=$(grep -v '^tlbstorm_\|^ts_' symbols || true)
[ -z "$foreign" ] || fail "libtlbstorm.so exports $foreign"
grep -o '\btlbstorm_[a-z_]* *(' "$root/sim/api/tlbstorm.h" | tr -d ' (' | sort -u |
    grep -v '_fn$' >declared
[ "$(wc -l <declared)" -gt 30 ] || fail "tlbstorm.h declares too few functions"
while read -r name; do
    grep -qx "$name" symbols || fail "libtlbstorm.so does not export $name"
done <declared
readelf -d "$build/libtlbstorm.so" | grep -q 'SONAME.*\[libtlbstorm\.so\.0\.1\]' || fail "soname"
if grep -q '^TS_SANITIZE:STRING=.' "$build/CMakeCache.txt"; then
    echo "skipped: programs without the sanitizer cannot load this library"
    exit 77
fi

# --- install, and move ---
cmake --install "$build" --prefix "$work/first" >install.log
mv first "moved tree"
prefix="$work/moved tree"
lib=$(dirname "$(find "$prefix" -name libtlbstorm.so)")
"$prefix/bin/tlbstorm" list machines | grep -q x86-1s-12t || fail "installed machines"
"$prefix/bin/tlbstorm" run "$prefix/share/tlbstorm/configs/experiments/smoke.yaml" --dry-run \
    >dry.log || fail "installed experiment"
"$prefix/bin/tlbstorm" plot --help | grep -q latency-cdf || fail "installed Python package"
grep -q '^\.SH NAME' "$prefix/share/man/man1/tlbstorm.1" || fail "installed manual"
bash -n "$prefix/share/bash-completion/completions/tlbstorm" || fail "installed completion"

# --- the C library, by CMake and by pkg-config ---
cmake -S "$root/sim/api/examples" -B storm -DCMAKE_PREFIX_PATH="$prefix" >storm.log
cmake --build storm >>storm.log
storm/storm >by_cmake
grep -q '^injected: 1 shootdowns$' by_cmake || fail "$(cat by_cmake)"
export PKG_CONFIG_PATH="$lib/pkgconfig"
eval "cc -std=c11 '$root/sim/api/examples/storm.c' -o by_pc $(pkg-config --cflags --libs tlbstorm)"
LD_LIBRARY_PATH="$lib" ./by_pc >by_pkg_config
cmp by_cmake by_pkg_config
[ "$(pkg-config --modversion tlbstorm)" = "$(sed -n 's/^tlbstorm //p' by_cmake)" ] || fail version

# --- the SystemC modules, the same ways ---
if [ -e "$lib/libtlbstorm-systemc.a" ]; then
    cmake -S "$root/sim/systemc/examples" -B platforms -DCMAKE_PREFIX_PATH="$prefix" >platforms.log
    cmake --build platforms --target shootdown >>platforms.log
    platforms/shootdown >shootdown.txt
    cmp shootdown.txt "$root/docs/systemc/shootdown.txt"
    eval "g++ -std=c++17 '$root/sim/systemc/examples/storm.cpp' -o storm_pc" \
        "$(pkg-config --cflags --libs tlbstorm-systemc)"
    LD_LIBRARY_PATH="$lib" ./storm_pc >storm.txt
    cmp storm.txt "$root/docs/systemc/storm.txt"
fi

# --- components ---
mkdir missing
printf '%s\n' 'cmake_minimum_required(VERSION 3.25)' 'project(p LANGUAGES C CXX)' \
    'find_package(tlbstorm 0.1 REQUIRED COMPONENTS core nonsense)' >missing/CMakeLists.txt
if cmake -S missing -B m -DCMAKE_PREFIX_PATH="$prefix" >missing.log 2>&1; then
    fail "a component that does not exist was found"
fi
grep -q nonsense missing.log || fail "the message does not name the component"

# --- as a subdirectory ---
cmake -S "$root/tests/package/subdirectory" -B sub -DTLBSTORM="$root" -DCMAKE_BUILD_TYPE=Release \
    >sub.log
grep -A2 '"directory"' sub/compile_commands.json | grep 'user\.c' | grep '"command"' >user.command
[ -s user.command ] || fail "no command for user.c"
if grep -q -- '-Werror\|-Wconversion\|-Wall\|-fPIC' user.command; then
    fail "flags leak: $(cat user.command)"
fi
grep -q -- '-O3' user.command || fail "the user's Release is not the user's own"
if grep -q -- '-Werror' sub/compile_commands.json; then
    fail "-Werror in another project"
fi
ctest --test-dir sub -N | grep -q 'Total Tests: 0' || fail "tests in another project"
