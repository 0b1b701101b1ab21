/* SPDX-License-Identifier: Apache-2.0 */
/* The program of mmapstorm.strace.zst: threads that map, touch and unmap, with a short sleep
 * between two rounds. The shape of the test of the patch series "KVM: x86: hyperv: PV TLB flush for
 * Windows guests" (v2, April 2018). README.md has the commands; calibrate/storm.c runs the same as
 * a part of `tlbstorm validate`.
 *
 * usage: mmapstorm [THREADS [ROUNDS [PAGES [TOUCHES]]]] */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096u

static size_t rounds = 50, pages = 16384, touches = 16;

static void *worker(void *arg)
{
    unsigned seed = (unsigned)(size_t)arg;
    size_t bytes = pages * PAGE;

    for (size_t i = 0; i < rounds; i++) {
        struct timespec nap = {0, 0};
        char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            perror("mmap");
            return NULL;
        }
        for (size_t k = 0; k < touches; k++)
            *(volatile char *)(p + (size_t)rand_r(&seed) % pages * PAGE) = 1;
        munmap(p, bytes);
        nap.tv_nsec = rand_r(&seed) % 1000;
        nanosleep(&nap, NULL);
    }
    return NULL;
}

static size_t number(int argc, char **argv, int at, size_t otherwise)
{
    long value = argc > at ? strtol(argv[at], NULL, 10) : 0;
    return value > 0 ? (size_t)value : otherwise;
}

int main(int argc, char **argv)
{
    size_t threads = number(argc, argv, 1, 65);
    pthread_t *all = calloc(threads, sizeof(*all));

    rounds = number(argc, argv, 2, rounds);
    pages = number(argc, argv, 3, pages);
    touches = number(argc, argv, 4, touches);
    if (!all)
        return 1;
    for (size_t i = 0; i < threads; i++) {
        if (pthread_create(&all[i], NULL, worker, (void *)(i + 1))) {
            perror("pthread_create");
            return 1;
        }
    }
    for (size_t i = 0; i < threads; i++)
        pthread_join(all[i], NULL);
    free(all);
    return 0;
}
