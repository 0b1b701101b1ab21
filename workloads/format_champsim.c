/* SPDX-License-Identifier: Apache-2.0 */
/* A ChampSim trace: an array of instructions of 64 bytes, little-endian (inc/trace_instruction.h,
 * struct input_instr):
 *
 *   u64 ip; u8 is_branch, branch_taken; u8 destination_registers[2], source_registers[4];
 *   u64 destination_memory[2], source_memory[4]
 *
 * A memory address of 0 is none. How many bytes an access has is not recorded: taken for one. */
#include "workloads/trace_format.h"

#define RECORD 64u
#define WRITES_AT 16u
#define READS_AT 32u

static uint64_t little(const char *p)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)(unsigned char)p[i] << (8u * i);
    return v;
}

static void add(struct ts_trace_accesses *out, enum ts_lackey_kind kind, uint64_t address)
{
    out->v[out->n++] = (struct ts_lackey_record){kind, address, 1};
}

static bool accesses(void *state, const char *line, size_t len, struct ts_trace_accesses *out,
                     uint32_t *column, const char **why)
{
    (void)state;
    out->n = 0;
    *column = 1;
    TS_ASSERT(len == RECORD);
    if ((unsigned char)line[8] > 1 || (unsigned char)line[9] > 1) {
        *why = "is_branch and branch_taken are 0 or 1: no ChampSim trace of 64-byte records";
        return false;
    }
    const uint64_t ip = little(line);
    for (unsigned at = 0; at < RECORD; at += at == 0 ? WRITES_AT : 8u)
        if (little(line + at) >> TS_LACKEY_ADDRESS_BITS) {
            *why = "an address of more than 48 bits";
            return false;
        }
    add(out, TS_LACKEY_FETCH, ip);
    for (unsigned at = READS_AT; at < RECORD; at += 8u)
        if (little(line + at) > 0)
            add(out, TS_LACKEY_LOAD, little(line + at));
    for (unsigned at = WRITES_AT; at < READS_AT; at += 8u)
        if (little(line + at) > 0)
            add(out, TS_LACKEY_STORE, little(line + at));
    return true;
}

static enum ts_trace_fit fit(const char *line, size_t len)
{
    struct ts_trace_accesses out;
    uint32_t column = 0;
    const char *why = NULL;
    return accesses(NULL, line, len, &out, &column, &why) && out.v[0].address > 0 ? TS_TRACE_FIT_YES
                                                                                  : TS_TRACE_FIT_NO;
}

extern const struct ts_trace_format ts_trace_format_champsim;
const struct ts_trace_format ts_trace_format_champsim = {
    .name = "champsim",
    .summary = "a ChampSim trace of 64-byte records",
    .reference = "ChampSim, inc/trace_instruction.h struct input_instr",
    .near_hint =
        "some of its records cannot be; the 72-byte form and CloudSuite's 96-byte form are "
        "not read",
    .family = TS_TRACE_ACCESSES,
    .record_bytes = RECORD,
    .fit = fit,
    .accesses = accesses};
