#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/status.h"

#define LOOKS                                                                                                          \
    500 /* before a thread sleeps, some 20 microseconds: waking it takes longer than most shares of a step             \
         */

struct ym_pool {
    size_t width, started;
    pthread_t thread[YM_POOL_MOST]; /* [1 .. started] */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    void (*fn)(void *ctx, size_t i);
    void *ctx;
    _Atomic uint64_t turn; /* counts runs: a thread works once in each; published after fn and ctx */
    atomic_size_t busy;
    atomic_bool ending;
};

struct start { /* read by the new thread before pool_new returns */
    struct ym_pool *pool;
    size_t i;
};

static atomic_size_t limit = YM_POOL_MOST;

void ym_pool_limit(size_t width)
{
    YM_ASSERT(width >= 1 && width <= YM_POOL_MOST);
    atomic_store(&limit, width);
}

static size_t at_most(size_t width)
{
    size_t most = atomic_load(&limit);

    return width < most ? width : most;
}

size_t ym_pool_cores(void)
{
    const char *text = getenv("YUMEN_THREADS");
    long asked = text ? strtol(text, NULL, 10) : 0;
    cpu_set_t set;
    int count = 1;

    if (asked >= 1 && asked <= YM_POOL_MOST)
        return at_most((size_t)asked);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    return at_most(count < 1 ? 1 : (size_t)count);
}

static void look_away(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

static bool called(const struct ym_pool *p, uint64_t seen)
{
    return atomic_load(&p->turn) != seen || atomic_load(&p->ending);
}

static void await_call(struct ym_pool *p, uint64_t seen)
{
    for (int i = 0; i < LOOKS && !called(p, seen); i++)
        look_away();
    if (called(p, seen))
        return;
    pthread_mutex_lock(&p->lock);
    while (!called(p, seen))
        pthread_cond_wait(&p->work, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void await_others(struct ym_pool *p)
{
    for (int i = 0; i < LOOKS && atomic_load(&p->busy) > 0; i++)
        look_away();
    if (atomic_load(&p->busy) == 0)
        return;
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->busy) > 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void *serve(void *arg)
{
    struct start *start = arg;
    struct ym_pool *p = start->pool;
    size_t i = start->i;
    uint64_t seen = 0;

    pthread_mutex_lock(&p->lock);
    p->started++;
    pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
    for (await_call(p, seen); !atomic_load(&p->ending); await_call(p, seen)) {
        seen = atomic_load(&p->turn);
        p->fn(p->ctx, i);
        if (atomic_fetch_sub(&p->busy, 1) > 1)
            continue;
        pthread_mutex_lock(&p->lock); /* the caller looks at busy under it before it sleeps */
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

/* Starts thread i and waits until it stands ready. */
static bool start_one(struct ym_pool *p, size_t i)
{
    struct start start = {p, i};
    bool fine = pthread_create(&p->thread[i], NULL, serve, &start) == 0;

    pthread_mutex_lock(&p->lock);
    while (fine && p->started < i)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
    return fine;
}

struct ym_pool *ym_pool_new(size_t width)
{
    struct ym_pool *p = calloc(1, sizeof *p);
    sigset_t all, before;
    bool fine = true;

    YM_ASSERT(width >= 1 && width <= YM_POOL_MOST);
    if (!p)
        return NULL;
    p->width = width = at_most(width);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (size_t i = 1; i < width && fine; i++)
        fine = start_one(p, i);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (fine)
        return p;
    ym_pool_free(p);
    return NULL;
}

size_t ym_pool_width(const struct ym_pool *p)
{
    return p->width;
}

void ym_pool_run(struct ym_pool *p, void (*fn)(void *ctx, size_t i), void *ctx)
{
    p->fn = fn;
    p->ctx = ctx;
    atomic_store(&p->busy, p->width - 1);
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->turn, 1);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    fn(ctx, 0);
    await_others(p);
}

void ym_pool_free(struct ym_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->ending, true);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 1; i <= p->started; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
