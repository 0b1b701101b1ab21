// SPDX-License-Identifier: Apache-2.0
// What a container's filter does to a process: a system call that it may not make.
#ifndef TS_TESTS_UNIT_FORBID_HPP
#define TS_TESTS_UNIT_FORBID_HPP

#include <cstddef>
#include <cstdint>
#include <functional>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ts_test
{

enum { NO_FILTERS = 77 };

// What `body` returns in a process in which the call gives EPERM; NO_FILTERS where there are none.
inline int without_call(int number, const std::function<int()> &body)
{
    const pid_t child = fork();
    if (child == 0) {
        sock_filter program[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1 /* EPERM */),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const sock_fprog filter{4, program};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
            _exit(NO_FILTERS);
        _exit(body());
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

} // namespace ts_test

#endif
