#include "sim/sweep.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct sweep {
    const struct ym_plan *plan;
    const struct ym_sim_site *site;
    size_t site_count;
    const struct ym_sim_options *o;
    const struct ym_sim_seeds *seeds;
    struct ym_score *out;
    pthread_mutex_t lock; /* over what follows */
    size_t next, done;
    struct ym_status failure; /* the first; nothing starts after it */
};

struct run { /* one seed's */
    const struct sweep *sweep;
    struct ym_score *out; /* [1 + site_count] */
};

static void keep_figures(void *ctx, const struct ym_sim_round *r)
{
    struct run *run = ctx;

    run->out[0] = r->centres.rows > 0 ? r->centres : r->test.rows > 0 ? r->test : r->pooled;
    for (size_t i = 0; i < run->sweep->site_count; i++)
        run->out[1 + i] = r->centres.rows > 0 ? r->site_test[i] : r->site[i];
}

static enum ym_code run_seed(struct sweep *s, size_t i, struct ym_status *st)
{
    struct run run = {.sweep = s, .out = s->out + i * (1 + s->site_count)};
    struct ym_sim_options o = *s->o;
    struct ym_buf state = {0};
    enum ym_code code;

    o.seeded = true;
    o.seed = s->seeds->first + i;
    o.last_round_only = true;
    o.on_round = keep_figures;
    o.ctx = &run;
    code = ym_sim_run(s->plan, s->site, s->site_count, &o, &state, st);
    ym_buf_release(&state);
    return code;
}

static bool take(struct sweep *s, size_t *i)
{
    bool some;

    pthread_mutex_lock(&s->lock);
    some = s->failure.code == YM_OK && s->next < s->seeds->count;
    if (some)
        *i = s->next++;
    pthread_mutex_unlock(&s->lock);
    return some;
}

static void give(struct sweep *s, const struct ym_status *st)
{
    pthread_mutex_lock(&s->lock);
    if (st->code != YM_OK && s->failure.code == YM_OK)
        s->failure = *st;
    s->done++;
    if (st->code == YM_OK && s->seeds->on_run != NULL)
        s->seeds->on_run(s->seeds->ctx, s->done);
    pthread_mutex_unlock(&s->lock);
}

static void *work(void *ctx)
{
    struct sweep *s = ctx;
    size_t i;

    while (take(s, &i)) {
        struct ym_status st = YM_STATUS_INIT;

        run_seed(s, i, &st);
        give(s, &st);
    }
    return NULL;
}

/* The caller's thread works too, so a thread that cannot be had only makes it slower. */
static void work_on_all(struct sweep *s)
{
    size_t wanted = s->seeds->threads < s->seeds->count ? s->seeds->threads : s->seeds->count, started = 0;
    pthread_t *thread = calloc(wanted, sizeof *thread);

    while (thread != NULL && started + 1 < wanted && pthread_create(&thread[started], NULL, work, s) == 0)
        started++;
    work(s);
    for (size_t i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    free(thread);
}

enum ym_code ym_sim_sweep(const struct ym_plan *plan, const struct ym_sim_site *site, size_t site_count,
                          const struct ym_sim_options *o, const struct ym_sim_seeds *seeds, struct ym_score *out,
                          struct ym_status *st)
{
    struct sweep s = {
        .plan = plan, .site = site, .site_count = site_count, .o = o, .seeds = seeds, .failure = YM_STATUS_INIT};

    YM_ASSERT(seeds->count >= 1 && seeds->count <= YM_SIM_MAX_SEEDS && seeds->threads >= 1);
    s.out = calloc(seeds->count, (1 + site_count) * sizeof *s.out);
    if (s.out == NULL)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the figures of %zu runs", seeds->count);
    pthread_mutex_init(&s.lock, NULL);
    work_on_all(&s);
    pthread_mutex_destroy(&s.lock);
    if (s.failure.code == YM_OK)
        memcpy(out, s.out, seeds->count * (1 + site_count) * sizeof *out);
    else
        ym_status_set(st, s.failure.code, "%s", s.failure.message);
    free(s.out);
    return s.failure.code;
}
