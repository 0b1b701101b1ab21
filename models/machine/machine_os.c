/* SPDX-License-Identifier: Apache-2.0 */
/* What can go with the guest's operating system: parameters and mechanisms of the other one are
 * refused, with what does instead. */
#include <stdio.h>
#include <string.h>

#include "models/flush/flush.h"
#include "models/machine/machine_private.h"

/* Of Linux's rules, of which a Windows-like guest has none. What a key sets that is not here is a
 * cost or a rule that both have. */
static const struct {
    const char *key;
    const char *instead; /* NULL: nothing does */
} linux_only[] = {
    {"linux", NULL},
    {"nr_dyn_asids", NULL},
    {"flush_ceiling", "nt.flush_list_max"},
    {"lazy_rule", "nt.active_processors"},
    {"lazy_mm_cpumask", "nt.active_processors"},
    {"mask_barrier", NULL},
    {"flush_gen_early_exit", NULL},
    {"should_flush_mm", NULL},
    {"pti", NULL},
    {"invpcid", NULL},
    {"gather_inline", "nt.free_batch"},
    {"gather_batch", "nt.free_batch"},
    {"gather_max_batches", "nt.free_batch"},
    {"gather_spare", "nt.free_batch"},
    {"delayed_rmap", NULL},
    {"rcu_table_free", NULL},
    {"table_batch", NULL},
    {"rcu_grace", NULL},
    {"thp", NULL},
    {"thp_align", NULL},
    {"timer_slack", "nt.timer_resolution"},
    {"pv_spinlocks", "nt.working_set_lock"},
    {"spin_threshold", "nt.push_spin"},
    {"pv_wait_early_preempted", NULL},
    {"rwsem_spin", "nt.push_spin"},
    {"rwsem_handoff", NULL},
    {"per_vma_lock", "nt.fault_shared"},
    {"zero_page", NULL},
    {"vma_merge", NULL},
    {"munmap_downgrade", "nt.free_unlocks"},
    {"reclaim_free_batch", NULL},
    {"pageout_clears_young", NULL},
    {"reclaim_period", NULL},
    {"khugepaged", NULL},
    {"numa_balancing", NULL},
    {"migrate_batch", NULL},
};

static bool is_default(const struct ts_param *row, const void *base)
{
    return ts_param_get(row, base) == row->def;
}

static enum ts_status check_linux_keys(const struct ts_machine_config *c, struct ts_error *err)
{
    for (size_t i = 0; i < TS_ARRAY_LEN(linux_only); i++) {
        const struct ts_param *row = ts_param_find(&ts_guest_param_table, linux_only[i].key);
        TS_ASSERT(row);
        if (is_default(row, &c->guest))
            continue;
        return ts_error_set(err, TS_ERR_USER, "guest.%s is of Linux, and guest.os is windows: %s%s",
                            row->key, linux_only[i].instead ? "its own rule is " : "leave it out",
                            linux_only[i].instead ? linux_only[i].instead : "");
    }
    return TS_OK;
}

static enum ts_status check_nt_keys(const struct ts_machine_config *c, struct ts_error *err)
{
    for (size_t i = 0; i < ts_nt_param_table.nrows; i++) {
        const struct ts_param *row = &ts_nt_param_table.rows[i];
        if (!is_default(row, &c->nt))
            return ts_error_set(err, TS_ERR_USER,
                                "nt.%s is of a Windows-like guest: it needs guest.os windows, "
                                "which is linux",
                                row->key);
    }
    return TS_OK;
}

/* Those of the table that are for the system, in its order. */
static void list_mechanisms(uint64_t os, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ts_flush_table_count; i++) {
        int n;
        if (!ts_flush_is_for(ts_flush_table[i], os))
            continue;
        n = snprintf(text + at, room - at, "%s%s", at ? ", " : "", ts_flush_table[i]->name);
        if (n < 0 || (size_t)n >= room - at)
            return;
        at += (size_t)n;
    }
}

enum ts_status ts_machine_check_os(const struct ts_machine_config *c, const struct ts_flush_ops *m,
                                   struct ts_error *err)
{
    bool windows = c->guest.os == TS_OS_WINDOWS;
    char which[160];
    enum ts_status s = windows ? check_linux_keys(c, err) : check_nt_keys(c, err);
    if (s != TS_OK)
        return s;
    if (windows && c->topology.arch != TS_ARCH_X86)
        return ts_error_set(err, TS_ERR_USER,
                            "guest.os windows is of x86 (topology.arch is arm64): guest.os linux "
                            "runs there");
    if (ts_flush_is_for(m, c->guest.os))
        return TS_OK;
    if (!windows)
        return ts_error_set(err, TS_ERR_USER,
                            "mechanism '%s' cannot run here: it is of a Windows guest (guest.os is "
                            "linux)",
                            m->name);
    list_mechanisms(c->guest.os, which, sizeof(which));
    return ts_error_set(
        err, TS_ERR_USER,
        "mechanism '%s' cannot run here: it is of Linux (guest.os is windows, which "
        "has %s)",
        m->name, which);
}
