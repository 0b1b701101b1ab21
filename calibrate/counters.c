/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "calibrate/calibrate.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int counter_open(void)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof(attr),
        .config = PERF_COUNT_HW_CPU_CYCLES,
        .disabled = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };

    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

int ts_cal_cycles_an_addition(double *cycles)
{
    uint64_t counted = 0;
    int fd = counter_open(), error = 0;

    if (fd < 0)
        return errno;
    if (ioctl(fd, PERF_EVENT_IOC_ENABLE, 0))
        error = errno;
    (void)ts_cal_addition();
    if (!error && ioctl(fd, PERF_EVENT_IOC_DISABLE, 0))
        error = errno;
    if (!error && (read(fd, &counted, sizeof(counted)) != sizeof(counted) || counted == 0))
        error = ENODATA;
    close(fd);
    *cycles = (double)counted / TS_CAL_ADDITIONS;
    return error;
}
