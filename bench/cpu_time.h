#ifndef YM_BENCH_CPU_TIME_H
#define YM_BENCH_CPU_TIME_H

#include <time.h>

static inline double ym_clock_us(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* This thread's own time, ms: what else runs on the machine counts little. */
static inline double ym_cpu_ms(void)
{
    return ym_clock_us(CLOCK_THREAD_CPUTIME_ID) / 1e3;
}

#endif
