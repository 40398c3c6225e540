#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/status.h"

struct ym_pool {
    size_t width, started;
    pthread_t thread[YM_POOL_MOST]; /* [1 .. started] */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    void (*fn)(void *ctx, size_t i);
    void *ctx;
    uint64_t turn; /* counts runs: a thread works once in each */
    size_t busy;
    bool ending;
};

struct start { /* read by the new thread before pool_new returns */
    struct ym_pool *pool;
    size_t i;
};

size_t ym_pool_cores(void)
{
    const char *text = getenv("YUMEN_THREADS");
    long asked = text ? strtol(text, NULL, 10) : 0;
    cpu_set_t set;
    int count = 1;

    if (asked >= 1 && asked <= YM_POOL_MOST)
        return (size_t)asked;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > YM_POOL_MOST ? YM_POOL_MOST : (size_t)count;
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
    for (;;) {
        while (!p->ending && p->turn == seen)
            pthread_cond_wait(&p->work, &p->lock);
        if (p->ending)
            break;
        seen = p->turn;
        pthread_mutex_unlock(&p->lock);
        p->fn(p->ctx, i);
        pthread_mutex_lock(&p->lock);
        if (--p->busy == 0)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
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
    p->width = width;
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
    pthread_mutex_lock(&p->lock);
    p->fn = fn;
    p->ctx = ctx;
    p->busy = p->width - 1;
    p->turn++;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    fn(ctx, 0);
    pthread_mutex_lock(&p->lock);
    while (p->busy > 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void ym_pool_free(struct ym_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 1; i <= p->started; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
