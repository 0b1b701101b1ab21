/* SPDX-License-Identifier: Apache-2.0 */
/* What the workloads `recording` and `strace` share: all of it but the format. */
#ifndef TS_WORKLOADS_RECORDING_H
#define TS_WORKLOADS_RECORDING_H

#include "workloads/strace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* format: NULL for what the text is recognised as. */
enum ts_status ts_recording_create(struct ts_workload **out,
                                   const struct ts_workload_config *config,
                                   const struct ts_trace_format *format, struct ts_error *err);

extern const char *const ts_recording_touch_placement_names[];
extern const char *const ts_recording_think_names[];

#define TS_RECORDING_AT(field) offsetof(struct ts_strace_params, field)
#define TS_RECORDING_CHOICE "setting of the experiment", TS_CONF_CHOICE

/* Rows of both parameter tables. */
#define TS_RECORDING_ROWS                                                                          \
    {"touch_pages",                                                                                \
     TS_PARAM_COUNT,                                                                               \
     TS_RECORDING_AT(touch_pages),                                                                 \
     0,                                                                                            \
     0,                                                                                            \
     (UINT64_C(1) << 45),                                                                          \
     NULL,                                                                                         \
     "pages the thread touches whenever memory becomes writable (mmap, brk, mremap, shmat, "       \
     "mprotect), and again after MADV_DONTNEED and MADV_FREE of writable memory; strace does not " \
     "record touches",                                                                             \
     TS_RECORDING_CHOICE},                                                                         \
        {"lines",                                                                                  \
         TS_PARAM_COUNT,                                                                           \
         TS_RECORDING_AT(lines),                                                                   \
         0,                                                                                        \
         0,                                                                                        \
         UINT32_MAX,                                                                               \
         NULL,                                                                                     \
         "of the recording, only so many lines are read, as if it ended there; 0: all",            \
         TS_RECORDING_CHOICE},                                                                     \
        {"touch_placement",                                                                        \
         TS_PARAM_ENUM,                                                                            \
         TS_RECORDING_AT(touch_placement),                                                         \
         TS_PLACEMENT_STRIDED,                                                                     \
         0,                                                                                        \
         2,                                                                                        \
         ts_recording_touch_placement_names,                                                       \
         "strided: spread evenly over the mapping; random: each page drawn by itself; first: the " \
         "first pages of it",                                                                      \
         TS_RECORDING_CHOICE},                                                                     \
        {"touch_min_length",                                                                       \
         TS_PARAM_BYTES,                                                                           \
         TS_RECORDING_AT(touch_min_length),                                                        \
         0,                                                                                        \
         0,                                                                                        \
         UINT64_MAX,                                                                               \
         NULL,                                                                                     \
         "memory shorter than this that becomes writable in one piece is not touched",             \
         TS_RECORDING_CHOICE},                                                                     \
        {"touch_write", TS_PARAM_BOOL,   TS_RECORDING_AT(touch_write), 1, 0, 1,                    \
         NULL,          "touches write", TS_RECORDING_CHOICE},                                     \
        {"think",                                                                                  \
         TS_PARAM_ENUM,                                                                            \
         TS_RECORDING_AT(think),                                                                   \
         TS_STRACE_THINK_NONE,                                                                     \
         0,                                                                                        \
         2,                                                                                        \
         ts_recording_think_names,                                                                 \
         "time between the calls of a thread; recorded: as in the trace, which needs its times; "  \
         "sleep: "                                                                                 \
         "a random nanosleep after each munmap of touched memory",                                 \
         TS_RECORDING_CHOICE},                                                                     \
        {"think_scale",                                                                            \
         TS_PARAM_COUNT,                                                                           \
         TS_RECORDING_AT(think_scale),                                                             \
         1000,                                                                                     \
         0,                                                                                        \
         1000000,                                                                                  \
         NULL,                                                                                     \
         "permille of the recorded time",                                                          \
         TS_RECORDING_CHOICE},                                                                     \
        {"think_spread",                                                                           \
         TS_PARAM_COUNT,                                                                           \
         TS_RECORDING_AT(think_spread),                                                            \
         0,                                                                                        \
         0,                                                                                        \
         1000,                                                                                     \
         NULL,                                                                                     \
         "permille by which each recorded time is made longer or shorter, at most, at random by "  \
         "the seed: else seeds of a replay hardly differ",                                         \
         TS_RECORDING_CHOICE},                                                                     \
        {"sleep_min",                                                                              \
         TS_PARAM_TIME,                                                                            \
         TS_RECORDING_AT(sleep_min),                                                               \
         0,                                                                                        \
         0,                                                                                        \
         TS_S,                                                                                     \
         NULL,                                                                                     \
         "shortest random nanosleep; whole nanoseconds count",                                     \
         TS_RECORDING_CHOICE},                                                                     \
        {"sleep_max",                                                                              \
         TS_PARAM_TIME,                                                                            \
         TS_RECORDING_AT(sleep_max),                                                               \
         999 * TS_NS,                                                                              \
         0,                                                                                        \
         TS_S,                                                                                     \
         NULL,                                                                                     \
         "longest random nanosleep; whole nanoseconds count",                                      \
         "mmapstorm.c, the recorded program: rand() % 1000 ns",                                    \
         TS_CONF_CHOICE},                                                                          \
    {                                                                                              \
        "strict", TS_PARAM_BOOL, TS_RECORDING_AT(strict), 0, 0, 1, NULL,                           \
            "a line or call that cannot be read is an error; else it is counted and left out",     \
            TS_RECORDING_CHOICE                                                                    \
    }
#ifdef __cplusplus
}
#endif
#endif
