#include "sim/federation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/control.h"
#include "models/state.h"
#include "privacy/accountant.h"
#include "sim/plain.h"
#include "sim/rng_seeded.h"
#include "worker/trainer/metric.h"

struct federation {
    const struct ym_plan *plan;
    const struct ym_sim_options *o;
    const struct ym_sim_site *site;
    size_t site_count;
    struct ym_model model;
    float *params, *trained; /* [dim] of the state under way: for rows as they are, and as trained */
    double extra[YM_MODEL_MAX_EXTRA];
    int64_t *update, *sum;         /* [update dim] */
    double *control, *correction;  /* [dim]; of plans with scaffold, as are: */
    int64_t **last;                /* [site_count][dim] a hospital's last release; NULL: none yet */
    struct ym_score *score, *test; /* [site_count] */
    const struct ym_table **table; /* [site_count] */
    const char **survivor;         /* [site_count], plan order */
    struct ym_buf state;
    struct ym_rdp spent, one[YM_USE_COUNT]; /* one: of a round's event of that use, once known */
    bool known[YM_USE_COUNT];
};

static const struct ym_sim_site *find_site(const struct federation *f, const char *name)
{
    for (size_t i = 0; i < f->site_count; i++)
        if (strcmp(f->site[i].name, name) == 0)
            return &f->site[i];
    return NULL;
}

static bool plan_names(const struct ym_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->site_count; i++)
        if (strcmp(plan->site[i].name, name) == 0)
            return true;
    return false;
}

static enum ym_code check_sites(const struct federation *f, struct ym_status *st)
{
    for (size_t i = 0; i < f->site_count; i++) {
        if (!plan_names(f->plan, f->site[i].name))
            return ym_status_set(st, YM_INVALID, "plan '%s' names no hospital '%s'", f->plan->study, f->site[i].name);
        if (find_site(f, f->site[i].name) != &f->site[i])
            return ym_status_set(st, YM_INVALID, "hospital '%s' is given twice", f->site[i].name);
        if (f->site[i].data->columns != ym_model_columns(&f->model) ||
            (f->site[i].test != NULL && f->site[i].test->columns != ym_model_columns(&f->model)))
            return ym_status_set(st, YM_INVALID, "hospital '%s' has a table of another plan", f->site[i].name);
    }
    if (f->site_count < f->plan->quorum)
        return ym_status_set(st, YM_DENIED, "the plan's quorum is %" PRIu32 ", hospitals given: %zu; add --site",
                             f->plan->quorum, f->site_count);
    return YM_OK;
}

static enum ym_code open_kernel_rng(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    return ym_rng_open(out, st);
}

/* As a hospital's own folder has them (worker/trainer/work.h). */
static const double *correction_of(struct federation *f, const struct ym_sim_site *site)
{
    if (!f->plan->scaffold)
        return NULL;
    ym_control_correction(f->plan, &f->model, f->control, f->last[site - f->site], f->correction);
    return f->correction;
}

static enum ym_code keep_last(struct federation *f, const struct ym_sim_site *site, struct ym_status *st)
{
    int64_t **last = f->plan->scaffold ? &f->last[site - f->site] : NULL;

    if (last == NULL)
        return YM_OK;
    if (*last == NULL)
        *last = malloc(f->model.dim * sizeof **last);
    if (*last == NULL)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the hospitals' releases");
    memcpy(*last, f->update, f->model.dim * sizeof **last);
    return YM_OK;
}

static enum ym_code site_update(struct federation *f, const struct ym_sim_site *site, uint32_t round,
                                struct ym_status *st)
{
    ym_open_rng_fn open_rng = f->o->seeded ? ym_seeds_open : open_kernel_rng;
    const double *correction = correction_of(f, site);
    struct ym_seeds seeds;
    char label[128];
    enum ym_code code;

    if (f->o->no_privacy)
        return ym_plain_round(f->plan, &f->model, site->data, f->trained, f->extra, correction, round, f->update, st);
    snprintf(label, sizeof label, "%s/%" PRIu32, site->name, round);
    ym_seeds_init(&seeds, f->o->seed, label);
    if (ym_plan_scales(f->plan, round))
        code = ym_local_scaling_round(f->plan, &f->model, site->data, open_rng, &seeds, f->update, st);
    else
        code = ym_local_round(f->plan, &f->model, site->data, f->trained, f->extra, correction, round, open_rng, &seeds,
                              f->update, st);
    if (code == YM_OK)
        code = ym_local_metrics(f->plan, &f->model, site->data, f->trained, f->extra, round, open_rng, &seeds,
                                f->update + ym_model_metric_at(&f->model), st);
    return code;
}

static enum ym_code add_updates(struct federation *f, struct ym_round_sum *sum, struct ym_status *st)
{
    size_t dim = ym_model_update_dim(&f->model), kept = ym_plan_site_dim(f->plan, sum->round);

    memset(f->sum, 0, dim * sizeof *f->sum);
    for (size_t i = 0; i < f->plan->site_count; i++) {
        const struct ym_plan_site *p = &f->plan->site[i];
        const struct ym_sim_site *site = find_site(f, p->name);
        enum ym_code code;

        if (site == NULL)
            continue;
        code = site_update(f, site, sum->round, st);
        if (code == YM_OK)
            code = keep_last(f, site, st);
        if (code != YM_OK)
            return ym_status_wrap(st, code, "hospital '%s', round %" PRIu32, p->name, sum->round);
        for (size_t j = 0; j < dim; j++)
            f->sum[j] += (j < f->model.averaged ? (int64_t)p->weight : 1) * f->update[j];
        memcpy(f->sum + dim + sum->survivor_count * kept, f->update + ym_model_metric_at(&f->model),
               kept * sizeof *f->sum);
        f->survivor[sum->survivor_count++] = p->name;
    }
    return YM_OK;
}

static enum ym_code take_params(struct federation *f, struct ym_status *st)
{
    struct ym_bytes state = {f->state.data, f->state.len};
    const uint8_t *trained;
    float *params;
    uint32_t round;
    enum ym_code code = ym_state_extra(f->plan, state, f->extra, st);

    if (code == YM_OK)
        code = ym_state_params(f->plan, state, &round, &trained, st);
    if (code == YM_OK && f->plan->scaffold)
        code = ym_state_control(f->plan, state, f->control, st);
    if (code == YM_OK)
        code = ym_state_released(f->plan, &f->model, state, &round, &params, st);
    if (code != YM_OK)
        return code;
    free(f->params);
    f->params = params;
    if (f->trained == NULL)
        f->trained = malloc((f->model.dim + 1) * sizeof *f->trained);
    if (f->trained == NULL)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu parameters", f->model.dim);
    memcpy(f->trained, trained, f->model.dim * sizeof *f->trained);
    return YM_OK;
}

static enum ym_code run_round(struct federation *f, uint32_t round, struct ym_status *st)
{
    struct ym_round_sum sum = {.round = round, .sum = f->sum, .survivor = f->survivor};
    struct ym_buf next = {0};
    enum ym_code code = add_updates(f, &sum, st);

    if (code != YM_OK)
        return code;
    code = ym_state_next(f->plan, (struct ym_bytes){f->state.data, f->state.len}, &sum, &next, st);
    if (code != YM_OK) {
        ym_buf_release(&next);
        return code;
    }
    ym_buf_release(&f->state);
    f->state = next;
    return take_params(f, st);
}

static enum ym_code score_tests(struct federation *f, struct ym_sim_round *r, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    for (size_t i = 0; i < f->site_count && code == YM_OK; i++)
        if (f->site[i].test != NULL)
            code = ym_score_table(f->plan, &f->model, f->params, f->site[i].test, &f->test[i], st);
    if (code == YM_OK && f->o->test != NULL)
        code = ym_score_table(f->plan, &f->model, f->params, f->o->test, &r->test, st);
    r->site_test = f->test;
    r->centres = ym_score_mean(f->test, f->site_count);
    return code;
}

static enum ym_code score_round(struct federation *f, struct ym_sim_round *r, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    for (size_t i = 0; i < f->site_count && code == YM_OK; i++)
        code = ym_score_table(f->plan, &f->model, f->params, f->table[i], &f->score[i], st);
    if (code == YM_OK && f->site_count == 1)
        r->pooled = f->score[0];
    else if (code == YM_OK)
        code = ym_score_tables(f->plan, &f->model, f->params, f->table, f->site_count, &r->pooled, st);
    r->site = f->score;
    return code == YM_OK ? score_tests(f, r, st) : code;
}

/* One more round on top of those before: the hospital's budget fold. What a use of patients costs is kept. */
static enum ym_code charge_round(struct federation *f, uint32_t round, struct ym_status *st)
{
    const double *orders;
    size_t n = ym_rdp_orders(&orders);
    struct ym_events e;

    ym_plan_events(f->plan, round, round, &e);
    for (size_t i = 0; i < e.count; i++) {
        struct ym_rdp *one = &f->one[e.use[i]];
        enum ym_code code = f->known[e.use[i]] ? YM_OK : ym_rdp_add(one, &e.event[i], st);

        if (code != YM_OK)
            return code;
        f->known[e.use[i]] = true;
        for (size_t k = 0; k < n; k++)
            f->spent.at[k] += one->at[k];
    }
    return YM_OK;
}

static bool ends(struct federation *f, uint32_t round)
{
    return round == f->plan->rounds || ym_state_stops(f->plan, &f->model, f->extra);
}

static enum ym_code report_round(struct federation *f, uint32_t round, struct ym_status *st)
{
    struct ym_sim_round r = {.round = round, .last = ends(f, round), .epsilon_micro = -1};
    struct ym_metric metric;
    enum ym_code code;

    if (f->o->on_round == NULL || (f->o->last_round_only && !r.last))
        return YM_OK;
    if (!f->o->no_privacy)
        r.epsilon_micro = ym_epsilon_micro(ym_rdp_epsilon(&f->spent, ym_decimal_double(f->plan->delta), NULL));
    if (round == 0 && !f->o->no_privacy)
        r.epsilon_micro = 0;
    if (round > 0 && !f->o->no_privacy && ym_plan_metric_due(f->plan, round)) {
        ym_metric_read(f->plan, f->sum + ym_model_metric_at(&f->model), f->site_count, &metric);
        r.metric = &metric;
    }
    code = score_round(f, &r, st);
    if (code == YM_OK)
        f->o->on_round(f->o->ctx, &r);
    return code;
}

static enum ym_code run_rounds(struct federation *f, struct ym_status *st)
{
    enum ym_code code = report_round(f, 0, st);

    for (uint32_t round = 1; round <= f->plan->rounds && code == YM_OK; round++) {
        code = run_round(f, round, st);
        if (code == YM_OK && !f->o->no_privacy)
            code = charge_round(f, round, st);
        if (code == YM_OK)
            code = report_round(f, round, st);
        if (ends(f, round))
            break;
    }
    return code;
}

static enum ym_code begin_control(struct federation *f, struct ym_status *st)
{
    if (!f->plan->scaffold)
        return YM_OK;
    f->control = calloc(f->model.dim, sizeof *f->control);
    f->correction = calloc(f->model.dim, sizeof *f->correction);
    f->last = calloc(f->site_count, sizeof *f->last);
    if (f->control == NULL || f->correction == NULL || f->last == NULL)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu parameters", f->model.dim);
    return YM_OK;
}

static void end_control(struct federation *f)
{
    for (size_t i = 0; f->last != NULL && i < f->site_count; i++)
        free(f->last[i]);
    free(f->last);
    free(f->control);
    free(f->correction);
}

static enum ym_code begin(struct federation *f, struct ym_status *st)
{
    enum ym_code code = ym_model_from_plan(f->plan, &f->model, st);

    if (code == YM_OK)
        code = check_sites(f, st);
    if (code == YM_OK)
        code = begin_control(f, st);
    if (code == YM_OK)
        code = ym_state_initial_from(f->plan, f->o->start, &f->state, st);
    if (code == YM_OK)
        code = take_params(f, st);
    if (code != YM_OK)
        return code;
    f->update = calloc(ym_model_update_dim(&f->model), sizeof *f->update);
    f->sum = calloc(ym_model_update_dim(&f->model) + f->site_count * f->model.metric_dim, sizeof *f->sum);
    f->score = calloc(f->site_count, sizeof *f->score);
    f->test = calloc(f->site_count, sizeof *f->test);
    f->table = calloc(f->site_count, sizeof *f->table);
    f->survivor = calloc(f->plan->site_count, sizeof *f->survivor);
    if (f->update == NULL || f->sum == NULL || f->score == NULL || f->test == NULL || f->table == NULL ||
        f->survivor == NULL)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for %zu parameters", f->model.dim);
    for (size_t i = 0; i < f->site_count; i++)
        f->table[i] = f->site[i].data;
    return YM_OK;
}

enum ym_code ym_sim_run(const struct ym_plan *plan, const struct ym_sim_site *site, size_t site_count,
                        const struct ym_sim_options *o, struct ym_buf *state, struct ym_status *st)
{
    struct federation f = {.plan = plan, .o = o, .site = site, .site_count = site_count};
    enum ym_code code = begin(&f, st);

    if (code == YM_OK)
        code = run_rounds(&f, st);
    if (code == YM_OK && ym_buf_append(state, f.state.data, f.state.len) != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the state");
    ym_buf_release(&f.state);
    free(f.params);
    free(f.trained);
    free(f.update);
    free(f.sum);
    free(f.score);
    free(f.test);
    free(f.table);
    free(f.survivor);
    end_control(&f);
    return code;
}
