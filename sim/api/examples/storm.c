/* SPDX-License-Identifier: Apache-2.0 */
/* The C library in one file: a machine from a configuration, run to its end; the same machine with
 * operations injected; and one MMU alone over page tables in an array.
 *
 * cc -std=c11 storm.c $(pkg-config --cflags --libs tlbstorm) && ./a.out */
#include <stdio.h>
#include <string.h>
#include <tlbstorm.h>

static int fail(const struct tlbstorm_error *err)
{
    if (err->line > 0)
        fprintf(stderr, "%s:%u:%u: %s\n", err->file, err->line, err->column, err->message);
    else
        fprintf(stderr, "%s%s%s\n", err->file, err->file[0] ? ": " : "", err->message);
    return (int)err->status;
}

static const char *const settings[] = {
    "machine=x86-1s-12t", "hypervisor=kvm-6.12",         "guest=linux-6.12-x86",
    "run.vcpus=4",        "mechanism=native_concurrent", "workload.kind=mmap_storm",
    "workload.threads=4", "workload.rounds=3",           "workload.pages=64",
};
#define NSETTINGS (sizeof settings / sizeof settings[0])

static void on_shootdown(void *user, const struct tlbstorm_shootdown *s)
{
    uint64_t *sum = user;
    for (uint32_t i = 0; i < TLBSTORM_PATH_PARTS; i++)
        *sum += s->part_ps[i];
}

static int run_storm(const struct tlbstorm_config *config, struct tlbstorm_error *err)
{
    struct tlbstorm_machine *machine;
    uint64_t path_ps = 0, shootdowns, ipis;
    if (tlbstorm_machine_create(&machine, config, 0, err) != TLBSTORM_OK)
        return fail(err);
    tlbstorm_machine_on_shootdown(machine, on_shootdown, &path_ps);
    if (tlbstorm_machine_run(machine, err) != TLBSTORM_OK ||
        tlbstorm_machine_stat(machine, "result.shootdowns", &shootdowns, err) != TLBSTORM_OK ||
        tlbstorm_machine_stat(machine, "result.ipis", &ipis, err) != TLBSTORM_OK) {
        tlbstorm_machine_destroy(machine);
        return fail(err);
    }
    printf("storm: %llu shootdowns, %llu IPIs, %llu ps of shootdowns, done at %llu ps\n",
           (unsigned long long)shootdowns, (unsigned long long)ipis, (unsigned long long)path_ps,
           (unsigned long long)tlbstorm_machine_now(machine));
    tlbstorm_machine_destroy(machine);
    return shootdowns > 0 ? 0 : 1;
}

/* vCPU 0 maps and writes a page, vCPU 1 reads it, and vCPU 0 unmaps it: one shootdown. */
static int inject(const struct tlbstorm_config *config, struct tlbstorm_error *err)
{
    struct tlbstorm_machine *machine;
    struct tlbstorm_op op = {.kind = TLBSTORM_MMAP, .length = 4096};
    uint64_t now = 1000000, shootdowns = 0;
    enum tlbstorm_status s;
    if (tlbstorm_machine_create_injected(&machine, config, 0, err) != TLBSTORM_OK)
        return fail(err);
    s = tlbstorm_machine_inject(machine, 0, 0, &op, err);
    op.kind = TLBSTORM_TOUCH;
    op.write = true;
    if (s == TLBSTORM_OK)
        s = tlbstorm_machine_inject(machine, 0, 0, &op, err);
    op.write = false;
    if (s == TLBSTORM_OK)
        s = tlbstorm_machine_inject(machine, 0, 1, &op, err);
    while (s == TLBSTORM_OK && !tlbstorm_machine_done(machine) &&
           tlbstorm_machine_pending(machine, 0, 0) + tlbstorm_machine_pending(machine, 0, 1) > 0)
        s = tlbstorm_machine_run_until(machine, now += 1000000, err);
    op.kind = TLBSTORM_MUNMAP;
    if (s == TLBSTORM_OK)
        s = tlbstorm_machine_inject(machine, 0, 0, &op, err);
    tlbstorm_machine_close(machine);
    if (s == TLBSTORM_OK)
        s = tlbstorm_machine_run(machine, err);
    if (s == TLBSTORM_OK)
        s = tlbstorm_machine_stat(machine, "result.shootdowns", &shootdowns, err);
    tlbstorm_machine_destroy(machine);
    if (s != TLBSTORM_OK)
        return fail(err);
    printf("injected: %llu shootdowns\n", (unsigned long long)shootdowns);
    return shootdowns > 0 ? 0 : 1;
}

/* Physical memory of 4 tables and a page of x86-64, 4 KiB each. */
static uint64_t memory[5 * 512];

static bool read_entry(void *user, uint64_t address, enum tlbstorm_read_kind kind, uint64_t *value)
{
    (void)user;
    (void)kind;
    if (address / 8 >= sizeof memory / sizeof memory[0])
        return false;
    *value = memory[address / 8];
    return true;
}

static int one_mmu(struct tlbstorm_error *err)
{
    const struct tlbstorm_mmu_config config = {.format = TLBSTORM_X86_64,
                                               .memory = {.read = read_entry}};
    const struct tlbstorm_context context = {.root = 0};
    const struct tlbstorm_inval page = {.start = 0x3000, .length = 0x1000};
    struct tlbstorm_mmu *mmu;
    struct tlbstorm_access first, second, third;
    for (unsigned table = 0; table < 3; table++)
        memory[table * 512] = (table + 1) * 4096u | 3u; /* present, writable */
    memory[3 * 512 + 3] = 4 * 4096u | 1u;               /* VA 0x3000: read-only */
    if (tlbstorm_mmu_create(&mmu, &config, err) != TLBSTORM_OK)
        return fail(err);
    tlbstorm_mmu_access(mmu, &context, 0x3008, TLBSTORM_READ, 0, &first);
    tlbstorm_mmu_access(mmu, &context, 0x3010, TLBSTORM_READ, 0, &second);
    (void)tlbstorm_mmu_invalidate(mmu, &page, 0);
    tlbstorm_mmu_access(mmu, &context, 0x3018, TLBSTORM_WRITE, 0, &third);
    printf("mmu: walk %llu cycles, hit %llu, pa 0x%llx, write %s\n",
           (unsigned long long)first.cycles, (unsigned long long)second.cycles,
           (unsigned long long)second.pa, third.result == TLBSTORM_FAULT ? "denied" : "allowed");
    tlbstorm_mmu_destroy(mmu);
    return first.from_tlb || !second.from_tlb || third.result != TLBSTORM_FAULT;
}

int main(void)
{
    struct tlbstorm_config *config;
    struct tlbstorm_error err;
    int result;
    if (tlbstorm_config_from_settings(&config, settings, NSETTINGS, &err) != TLBSTORM_OK)
        return fail(&err);
    printf("tlbstorm %s\n", tlbstorm_version());
    result = run_storm(config, &err);
    if (result == 0)
        result = inject(config, &err);
    tlbstorm_config_destroy(config);
    return result != 0 ? result : one_mmu(&err);
}
