#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "cmd/yumen/plan.h"
#include "cmd/yumen/print.h"
#include "cmd/yumen/simulate.h"
#include "gate/advice.h"
#include "sim/spread.h"
#include "sim/sweep.h"

enum { FIGURES = 3 };

struct figure {
    const char *key;
    enum ym_text_id name;
    size_t offset; /* in struct ym_score */
};

static const struct figure figures[FIGURES] = {
    {"accuracy", YM_TEXT_SPONSOR_METRIC_ACCURACY, offsetof(struct ym_score, accuracy)},
    {"auc", YM_TEXT_SPONSOR_SIM_AUC, offsetof(struct ym_score, auc)},
    {"loss", YM_TEXT_SPONSOR_SIM_LOSS, offsetof(struct ym_score, loss)},
};

struct sweep { /* under way */
    struct ym_simulation *s;
    struct ym_plan_cost cost; /* of s->plan */
    struct ym_score *score;   /* [seeds][1 + site_count] */
    double *value;            /* [seeds] scratch */
    char epsilon[64], noise[64], delta[64];
    bool watched; /* a person looks on */
};

/* ---- plans ---- */

enum ym_code ym_simulation_read_epsilons(struct ym_simulation *s, const char *list, struct ym_status *st)
{
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ",");
        char *out = s->epsilon[s->epsilon_count];

        if (s->epsilon_count == YM_SIMULATION_MAX_EPSILONS)
            return ym_status_set(st, YM_INVALID, T(SPONSOR_SIM_EPSILONS_MANY), YM_SIMULATION_MAX_EPSILONS);
        if (len >= YM_SIMULATION_EPSILON_BYTES)
            return ym_status_set(st, YM_INVALID, T(SPONSOR_ADVISE_EPSILON), at);
        snprintf(out, YM_SIMULATION_EPSILON_BYTES, "%.*s", (int)len, at);
        if (!ym_epsilon_good(out))
            return ym_status_set(st, YM_INVALID, T(SPONSOR_ADVISE_EPSILON), out);
        s->epsilon_count++;
        at += len;
        if (*at == '\0')
            return YM_OK;
    }
}

static enum ym_code read_any_noise(const char *path, const char *epsilon, struct ym_plan **out, struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_buf text = {0};
    struct ym_doc *doc = NULL;
    bool passes;
    enum ym_code code = ym_doc_load(path, &doc, &problems, st);

    if (code == YM_OK)
        code = ym_advice_read(doc, epsilon, out, &passes, &problems, st);
    ym_problems_format(&problems, &text);
    fputs(ym_buf_str(&text), stderr);
    ym_buf_release(&text);
    ym_problems_release(&problems);
    ym_doc_free(doc);
    return code;
}

enum ym_code ym_simulation_calibrate(struct ym_simulation *s, const char *epsilon, struct ym_status *st)
{
    struct ym_plan *any = NULL, *checked = NULL;
    struct ym_decimal noise;
    enum ym_code code = read_any_noise(s->path, epsilon, &any, st);

    if (code == YM_OK) {
        code = ym_advice_find(any, any->rounds, NULL, &noise, &checked, st);
        if (code == YM_NOT_FOUND)
            code = ym_status_set(st, YM_DENIED, T(SPONSOR_SIM_EPSILON_NEVER), epsilon);
    }
    ym_plan_free(any);
    if (code != YM_OK)
        return code;
    ym_plan_free(s->plan);
    s->plan = checked;
    return YM_OK;
}

/* ---- figures ---- */

/* site 0: of the run; else of site - 1. NaN where it is undefined. */
static struct ym_spread spread_of(const struct sweep *w, size_t site, const struct figure *f)
{
    for (size_t i = 0; i < w->s->seeds; i++) {
        const struct ym_score *score = &w->score[i * (1 + w->s->site_count) + site];

        w->value[i] = score->rows == 0 ? NAN : *(const double *)((const char *)score + f->offset);
    }
    return ym_spread_of(w->value, w->s->seeds);
}

struct measured { /* what the figure of a run is measured on */
    const char *key;
    enum ym_text_id text;
};

static struct measured measured_on(const struct ym_simulation *s)
{
    for (size_t i = 0; i < s->site_count; i++)
        if (s->site_test[i] != NULL)
            return (struct measured){"site_tests", YM_TEXT_SPONSOR_SIM_MEASURED_SITES};
    if (s->test != NULL)
        return (struct measured){"test", YM_TEXT_SPONSOR_SIM_MEASURED_TEST};
    return (struct measured){"training", YM_TEXT_SPONSOR_SIM_MEASURED_TRAINING};
}

static void on_run(void *ctx, size_t done)
{
    struct sweep *w = ctx;

    if (!w->watched)
        return;
    fputs("\r", stderr);
    fprintf(stderr, T(SPONSOR_SIM_PROGRESS), w->epsilon, done, w->s->seeds);
    fputs(done == w->s->seeds ? "\r\033[K" : "", stderr);
    fflush(stderr);
}

static size_t cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : (size_t)n;
}

static enum ym_code text_of(struct ym_decimal d, char out[64], struct ym_status *st)
{
    struct ym_buf text = {0};
    enum ym_code code = ym_decimal_format(d, &text);

    if (code == YM_OK)
        snprintf(out, 64, "%s", ym_buf_str(&text));
    else
        ym_status_set(st, code, "no memory");
    ym_buf_release(&text);
    return code;
}

static enum ym_code run_seeds(struct sweep *w, struct ym_status *st)
{
    const struct ym_simulation *s = w->s;
    struct ym_sim_seeds seeds = {
        .first = s->options.seed, .count = s->seeds, .threads = cores(), .on_run = on_run, .ctx = w};
    enum ym_code code = ym_plan_cost_of(s->plan, &w->cost, st);

    if (code == YM_OK)
        code = text_of(s->plan->epsilon_max, w->epsilon, st);
    if (code == YM_OK)
        code = text_of(s->plan->delta, w->delta, st);
    if (code == YM_OK)
        code = ym_plan_decimal(s->plan, "privacy", "noise_multiplier", w->noise, st);
    if (code == YM_OK)
        code = ym_sim_sweep(s->plan, s->site, s->site_count, &s->options, &seeds, w->score, st);
    return code;
}

/* ---- for people ---- */

static void print_row(const char *epsilon, const char *noise, const char *figure, const char *mean, const char *sd,
                      const char *interval)
{
    struct ym_buf line = {0};

    ym_print_pad(&line, epsilon, 10);
    ym_print_pad(&line, noise, 18);
    ym_print_pad(&line, figure, 10);
    ym_print_pad(&line, mean, 10);
    ym_print_pad(&line, sd, 10);
    ym_buf_puts(&line, interval);
    puts(ym_buf_str(&line));
    ym_buf_release(&line);
}

static void print_head(const struct ym_simulation *s)
{
    ym_simulation_print_marks(s);
    ym_simulation_print_sites(s);
    print_row("epsilon", "noise_multiplier", T(SPONSOR_SIM_HEAD_FIGURE), T(SPONSOR_SIM_HEAD_MEAN),
              T(SPONSOR_SIM_HEAD_SD), T(SPONSOR_SIM_HEAD_INTERVAL));
}

static void print_epsilon(const struct sweep *w)
{
    bool first = true;

    for (size_t k = 0; k < FIGURES; k++) {
        struct ym_spread p = spread_of(w, 0, &figures[k]);
        char mean[32], sd[32], interval[64];

        if (isnan(p.mean))
            continue;
        snprintf(mean, sizeof mean, "%.4f", p.mean);
        snprintf(sd, sizeof sd, "%.4f", p.sd);
        snprintf(interval, sizeof interval, "%.4f - %.4f", p.low, p.high);
        print_row(first ? w->epsilon : "", first ? w->noise : "", ym_text(figures[k].name), mean, sd, interval);
        first = false;
    }
    fflush(stdout);
}

static void print_end(const struct sweep *w)
{
    const struct ym_simulation *s = w->s;

    printf(T(SPONSOR_SIM_SPREAD_NOTE), ym_text(measured_on(s).text), s->seeds);
    printf(T(SPONSOR_SIM_SPREAD_EPSILON), w->delta);
    printf("%s", T(SPONSOR_PLAN_UNIT));
    ym_simulation_print_marks(s);
}

/* ---- for programs ---- */

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *spread_json(const struct sweep *w, size_t site, const struct figure *f)
{
    struct ym_spread p = spread_of(w, site, f);
    json_t *values = json_array();

    if (isnan(p.mean)) {
        json_decref(values);
        return json_null();
    }
    for (size_t i = 0; i < w->s->seeds; i++)
        json_array_append_new(values, real_or_null(w->value[i]));
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "mean", real_or_null(p.mean), "sd", real_or_null(p.sd), "low",
                     real_or_null(p.low), "high", real_or_null(p.high), "values", values);
}

static json_t *epsilon_json(const struct sweep *w)
{
    json_t *sites = json_object(), *o;
    struct ym_buf hash = {0};

    ym_hex_encode(w->s->plan->hash, sizeof w->s->plan->hash, &hash);
    o = json_pack("{s:s,s:s,s:I,s:s}", "epsilon", w->epsilon, "noise_multiplier", w->noise, "epsilon_micro",
                  (json_int_t)w->cost.epsilon_micro, "plan", ym_buf_str(&hash));
    ym_buf_release(&hash);
    for (size_t k = 0; k < FIGURES; k++)
        json_object_set_new(o, figures[k].key, spread_json(w, 0, &figures[k]));
    for (size_t i = 0; i < w->s->site_count; i++) {
        json_t *site = json_object();

        for (size_t k = 0; k < FIGURES; k++)
            json_object_set_new(site, figures[k].key, spread_json(w, 1 + i, &figures[k]));
        json_object_set_new(sites, w->s->name[i], site);
    }
    json_object_set_new(o, "sites", sites);
    return o;
}

static void print_json(const struct sweep *w, json_t *results)
{
    const struct ym_simulation *s = w->s;
    json_t *o = json_pack("{s:o,s:b,s:b,s:s,s:s,s:I,s:I,s:s,s:s,s:O}", "marks", ym_simulation_marks(s), "private", 0,
                          "noise", 1, "study", s->plan->study, "delta", w->delta, "first_seed",
                          (json_int_t)s->options.seed, "seeds", (json_int_t)s->seeds, "measured_on", measured_on(s).key,
                          "interval", "95 %: mean of the seeds' figures, Student's t", "epsilons", results);

    ym_print_json(o);
    json_decref(o);
}

/* ---- the sweep ---- */

static enum ym_code sweep_epsilons(struct sweep *w, json_t *results, struct ym_status *st)
{
    struct ym_simulation *s = w->s;
    size_t count = s->epsilon_count > 0 ? s->epsilon_count : 1;
    enum ym_code code = YM_OK;

    for (size_t i = 0; i < count && code == YM_OK; i++) {
        if (i > 0) /* the first was read with its sites */
            code = ym_simulation_calibrate(s, s->epsilon[i], st);
        if (code == YM_OK)
            code = run_seeds(w, st);
        if (code == YM_OK && s->json)
            json_array_append_new(results, epsilon_json(w));
        else if (code == YM_OK)
            print_epsilon(w);
    }
    return code;
}

enum ym_code ym_simulation_sweep(struct ym_simulation *s, struct ym_status *st)
{
    struct sweep w = {.s = s, .watched = isatty(STDERR_FILENO) == 1};
    json_t *results = json_array();
    enum ym_code code = YM_OK;

    w.score = calloc(s->seeds, (1 + s->site_count) * sizeof *w.score);
    w.value = calloc(s->seeds, sizeof *w.value);
    if (w.score == NULL || w.value == NULL || results == NULL) {
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the figures of %zu runs", s->seeds);
        goto out;
    }
    if (!s->json)
        print_head(s);
    code = sweep_epsilons(&w, results, st);
    if (code == YM_OK && s->json)
        print_json(&w, results);
    else if (code == YM_OK)
        print_end(&w);
out:
    free(w.score);
    free(w.value);
    json_decref(results);
    return code;
}
