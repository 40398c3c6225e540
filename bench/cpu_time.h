#ifndef YM_BENCH_CPU_TIME_H
#define YM_BENCH_CPU_TIME_H

#include <time.h>

/* This thread's own time, ms: what else runs on the machine counts little. */
static inline double ym_cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

#endif
