#include "tensor/restart.h"

#include <cblas.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool want(const char *name, const char *value)
{
    const char *now = getenv(name);

    return value && (!now || strcmp(now, value) != 0) && setenv(name, value, 1) == 0;
}

/* NULL: the library's own choice stands. */
static const char *better_kernel(void)
{
#ifdef __x86_64__
    if (getenv("OPENBLAS_CORETYPE") || strcmp(openblas_get_corename(), "Prescott") != 0)
        return NULL;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
#endif
    return NULL;
}

void ym_blas_restart(char **argv)
{
    bool threads = want("OPENBLAS_NUM_THREADS", "1"), kernel = want("OPENBLAS_CORETYPE", better_kernel());

    if (threads || kernel)
        execv("/proc/self/exe", argv);
}
