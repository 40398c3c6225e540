#include <errno.h>
#include <string.h>
#include <time.h>

#include "coordinator/hub_internal.h"

void hub_queue_init(struct hub_queue *q)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->changed, &attr);
    pthread_condattr_destroy(&attr);
    q->first = NULL;
    q->last = &q->first;
}

void hub_queue_close(struct hub_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

void hub_queue_release(struct hub_queue *q)
{
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
}

static bool put(struct hub_queue *q, struct hub_job *job, bool always)
{
    bool taken;

    pthread_mutex_lock(&q->lock);
    taken = always || (!q->closed && q->count < HUB_QUEUE_MAX);
    if (taken) {
        job->next = NULL;
        *q->last = job;
        q->last = &job->next;
        q->count++;
        pthread_cond_signal(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return taken;
}

bool hub_post(struct ym_hub *h, struct hub_job *job)
{
    return put(&h->queue, job, false);
}

void hub_post_always(struct ym_hub *h, struct hub_job *job)
{
    put(&h->queue, job, true);
}

struct hub_job *hub_queue_take(struct hub_queue *q, int64_t until_ms)
{
    struct timespec until = {until_ms / 1000, (until_ms % 1000) * 1000000};
    struct hub_job *jobs;

    pthread_mutex_lock(&q->lock);
    while (!q->first && !q->closed && pthread_cond_timedwait(&q->changed, &q->lock, &until) != ETIMEDOUT)
        ;
    jobs = q->first;
    q->first = NULL;
    q->last = &q->first;
    q->count = 0;
    pthread_mutex_unlock(&q->lock);
    return jobs;
}

/* ---- the works thread ---- */

static struct hub_work *take_work(struct hub_works *w)
{
    struct hub_work *got;

    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->closed)
        pthread_cond_wait(&w->changed, &w->lock);
    got = w->first;
    if (got)
        w->first = got->next;
    if (!w->first)
        w->last = &w->first;
    pthread_mutex_unlock(&w->lock);
    return got;
}

static void *works_main(void *arg)
{
    struct ym_hub *h = arg;
    struct hub_work *w;

    while ((w = take_work(&h->works))) {
        w->work(h, w);
        hub_post_always(h, &w->job);
    }
    return NULL;
}

enum ym_code hub_works_start(struct ym_hub *h, struct ym_status *st)
{
    pthread_mutex_init(&h->works.lock, NULL);
    pthread_cond_init(&h->works.changed, NULL);
    h->works.first = NULL;
    h->works.last = &h->works.first;
    if (pthread_create(&h->works.thread, NULL, works_main, h) != 0)
        return ym_status_set(st, YM_EXHAUSTED, "cannot start a thread");
    h->works.running = true;
    return YM_OK;
}

void hub_works_post(struct ym_hub *h, struct hub_work *w)
{
    pthread_mutex_lock(&h->works.lock);
    w->next = NULL;
    *h->works.last = w;
    h->works.last = &w->next;
    pthread_cond_signal(&h->works.changed);
    pthread_mutex_unlock(&h->works.lock);
}

/* What is queued is still done: a result that nobody keeps is done again at restart. */
void hub_works_stop(struct ym_hub *h)
{
    if (!h->works.running)
        return;
    pthread_mutex_lock(&h->works.lock);
    h->works.closed = true;
    pthread_cond_signal(&h->works.changed);
    pthread_mutex_unlock(&h->works.lock);
    pthread_join(h->works.thread, NULL);
    h->works.running = false;
}
