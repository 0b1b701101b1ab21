#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes this folder anew: E3, E4, broadcasts at 16 to 1024 vCPUs and hypercall against hardware at 4
# to 64; fifteen minutes. usage: results/ipi/run.sh [OUT]
source "$(dirname "$0")/../common.sh"

reproduce E3 e3.csv
reproduce E4 e4.csv
for fit in e3 e4; do
    [ -n "${DRAW_ONLY:-}" ] ||
        "$program" fit "$fit" -q -o "$out/fit/$fit" --force --jobs "$jobs" >/dev/null
    cp "$out/fit/$fit/fit.csv" "$here/fit_$fit.csv"
    cp "$out/fit/$fit/rows.csv" "$here/rows_$fit.csv"
done

run ipi-scaling "$out/scaling/idle"
for n in 16 32 64 128 256 512 1024; do
    run ipi-scaling "$out/scaling/running/$n" --set run.vcpus=$n \
        --set workload.kind=ipi_spin --set workload.spinners=$((n - 1))
done

# Logical flat mode reaches 8 CPUs.
others=vmx_native,vmx_pv,vmx_ipiv,svm_native,svm_pv,avic_phys,x2avic_cluster,x2avic_phys,x2avic_pv
# What injecting an interrupt costs decides much: as fitted to E3, and the default of the tables.
for inject in fitted default; do
    for n in 4 8 16 32 64; do
        platforms=$others
        [ $n -gt 8 ] || platforms+=,avic_flat
        common=(--set platforms=$platforms --set run.vcpus=$n)
        [ $inject = fitted ] || common+=(--set hypervisor.inject=250cycles)
        folder=$out/accel/$inject
        run ipi-accel "$folder/running/$n" "${common[@]}" --set workload.spinners=$((n - 1))
        run ipi-accel "$folder/polled/$n" "${common[@]}" --set workload.spinners=0
        run ipi-accel "$folder/blocked/$n" "${common[@]}" --set workload.spinners=0 \
            --set hypervisor.halt_poll=0
    done
done
draw plot_ipi.py "$out"
cp "$out/ipi_scaling.csv" "$out/ipi_accel.csv" "$here/"
scripts/result-tables
