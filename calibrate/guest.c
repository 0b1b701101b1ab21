/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "calibrate/calibrate.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* KVM's leaves stand at 0x40000000, or higher where Hyper-V's or Xen's are offered too, in steps of
 * 0x100 (Linux arch/x86/include/asm/cpuid.h hypervisor_cpuid_base). */
enum { LEAF_FIRST = 0x40000000, LEAF_END = 0x40010000, LEAF_STEP = 0x100 };

static void words(char to[13], uint32_t a, uint32_t b, uint32_t c)
{
    memcpy(to, &a, 4);
    memcpy(to + 4, &b, 4);
    memcpy(to + 8, &c, 4);
    to[12] = '\0';
}

static void read_hypervisor(struct ts_cal_guest *g)
{
    uint32_t a, b, c, d;
    char name[13];

    __cpuid(LEAF_FIRST, a, b, c, d);
    words(g->vendor, b, c, d);
    for (uint32_t leaf = LEAF_FIRST; leaf < LEAF_END && !g->kvm_leaf; leaf += LEAF_STEP) {
        __cpuid(leaf, a, b, c, d);
        words(name, b, c, d);
        if (memcmp(name, "KVMKVMKVM\0\0", sizeof(name) - 1) == 0)
            g->kvm_leaf = leaf;
    }
    if (g->kvm_leaf) {
        __cpuid(g->kvm_leaf + 1, a, b, c, d);
        g->kvm_features = a;
        g->kvm_hints = d;
    }
}

void ts_cal_guest_read(struct ts_cal_guest *g)
{
    uint32_t a, b, c, d, base;

    memset(g, 0, sizeof(*g));
    __cpuid(0, a, b, c, d);
    words(g->cpu_vendor, b, d, c);
    __cpuid(1, a, b, c, d);
    /* SDM vol. 2A, CPUID leaf 1; APM vol. 3 appendix E: the extended family counts behind 15. */
    base = (a >> 8) & 15;
    g->family = base == 15 ? base + ((a >> 20) & 255) : base;
    g->model = ((a >> 4) & 15) | (base == 15 || base == 6 ? (a >> 12) & 0xf0 : 0);
    g->hypervisor = c >> 31;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        g->invpcid = (b >> 10) & 1;
    if (g->hypervisor)
        read_hypervisor(g);
}

double ts_cal_exit(void)
{
    uint32_t a, b, c, d;
    uint64_t start = ts_cal_now();

    __cpuid(0, a, b, c, d);
    return (double)(ts_cal_now() - start);
}

#else

void ts_cal_guest_read(struct ts_cal_guest *g)
{
    memset(g, 0, sizeof(*g));
}

double ts_cal_exit(void)
{
    return 0;
}

#endif
