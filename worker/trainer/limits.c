#include "worker/trainer/limits.h"

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>

#include "base/pool.h"
#include "base/text.h"
#include "gate/policy.h"

static struct rlimit usual;
static bool limited;

static enum ym_code set_limit(uint64_t bytes, struct ym_status *st)
{
    struct rlimit own;

    if (getrlimit(RLIMIT_DATA, &usual) == 0) {
        own = usual;
        own.rlim_cur = bytes < usual.rlim_cur ? (rlim_t)bytes : usual.rlim_cur;
        limited = setrlimit(RLIMIT_DATA, &own) == 0;
        if (limited)
            return YM_OK;
    }
    return ym_status_set(st, YM_UNAVAILABLE, "the kernel takes no limit for memory: %s", strerror(errno));
}

enum ym_code ym_limits_begin(const struct ym_limits *l, struct ym_status *st)
{
    ym_pool_limit(l->threads ? l->threads : YM_POOL_MOST);
    return l->memory ? set_limit(l->memory + ym_pool_cores() * YM_LIMITS_THREAD, st) : YM_OK;
}

void ym_limits_end(void)
{
    ym_pool_limit(YM_POOL_MOST);
    if (limited)
        setrlimit(RLIMIT_DATA, &usual);
    limited = false;
}

enum ym_code ym_limits_room(const struct ym_limits *l, uint64_t bytes, struct ym_status *st)
{
    const uint64_t mib = UINT64_C(1) << 20;
    struct mallinfo2 held = mallinfo2();
    uint64_t need = held.arena + held.hblkhd + YM_POLICY_MEMORY_BASE * mib;

    if (l->memory == 0 || (need <= l->memory && bytes <= l->memory - need))
        return YM_OK;
    return ym_status_set(st, YM_EXHAUSTED, T(REFUSE_MEMORY), (long long)((need + bytes + mib - 1) / mib),
                         (long long)(l->memory / mib));
}
