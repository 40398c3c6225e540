#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/metric.h"
#include "cmd/yumen/print.h"
#include "cmd/yumen/result.h"
#include "cmd/yumen/simulate.h"
#include "models/model.h"
#include "models/start.h"
#include "models/state.h"
#include "sim/site.h"
#include "sim/sweep.h"

#define DEFAULT_SEEDS 20

static enum ym_code parse_seed(const char *text, uint64_t *out, struct ym_status *st)
{
    char *end;
    unsigned long long v;

    errno = 0;
    v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        return ym_status_set(st, YM_INVALID, T(SPONSOR_SIM_SEED), text);
    *out = v;
    return YM_OK;
}

/* "NAME=PATH": the name into out, the path returned; NULL when it has another form. */
static const char *split_name(const char *spec, char out[64])
{
    const char *eq = strchr(spec, '=');

    if (eq == NULL || eq == spec || eq[1] == '\0' || eq - spec >= 64)
        return NULL;
    snprintf(out, 64, "%.*s", (int)(eq - spec), spec);
    return eq + 1;
}

static enum ym_code load_site(struct ym_simulation *s, const char *spec, struct ym_status *st)
{
    size_t i = s->site_count;
    struct ym_buf report = {0};
    const char *path;
    enum ym_code code;

    if (i == YM_PLAN_MAX_SITES)
        return ym_status_set(st, YM_INVALID, T(SPONSOR_SIM_SITES_MANY), YM_PLAN_MAX_SITES);
    path = split_name(spec, s->name[i]);
    if (path == NULL)
        return ym_status_set(st, YM_INVALID, T(SPONSOR_SIM_SITE_FORM), spec);
    code = ym_sim_load_site(s->plan, path, &s->table[i], &report, st);
    if (code != YM_OK) /* else it holds notes that `yumen-site data check` shows */
        fputs(ym_buf_str(&report), stderr);
    ym_buf_release(&report);
    if (code != YM_OK)
        return ym_status_wrap(st, code, "%s", s->name[i]);
    s->site[i] = (struct ym_sim_site){.name = s->name[i], .data = s->table[i], .test = s->table[i]->held};
    s->site_count++;
    return YM_OK;
}

static enum ym_code load_site_test(struct ym_simulation *s, const char *spec, struct ym_status *st)
{
    char name[64];
    const char *path = split_name(spec, name);
    enum ym_code code;

    if (path == NULL)
        return ym_status_set(st, YM_INVALID, T(SPONSOR_SIM_SITE_TEST_FORM), spec);
    for (size_t i = 0; i < s->site_count; i++) {
        if (strcmp(s->name[i], name) != 0)
            continue;
        if (s->site_test[i] != NULL)
            return ym_status_set(st, YM_INVALID, T(SPONSOR_SIM_SITE_TEST_TWICE), name);
        code = ym_test_load(s->plan, path, &s->site_test[i], st);
        s->site[i].test = s->site_test[i];
        return code;
    }
    return ym_status_set(st, YM_INVALID, T(SPONSOR_SIM_SITE_TEST_STRANGER), name, name);
}

static enum ym_code load_sites(struct ym_simulation *s, const struct ym_cli_args *a, struct ym_status *st)
{
    const char *spec;
    enum ym_code code = YM_OK;

    for (size_t i = 0; code == YM_OK && (spec = ym_cli_nth(a, "site", i)) != NULL; i++)
        code = load_site(s, spec, st);
    if (code == YM_OK && s->site_count == 0)
        code = ym_status_set(st, YM_INVALID, "%s", T(SPONSOR_SIM_NO_SITE));
    for (size_t i = 0; code == YM_OK && (spec = ym_cli_nth(a, "site-test", i)) != NULL; i++)
        code = load_site_test(s, spec, st);
    return code;
}

static enum ym_code check_sweep(const struct ym_simulation *s, const struct ym_cli_args *a, struct ym_status *st)
{
    if (s->seeds == 0)
        return YM_OK;
    if (s->options.no_privacy || s->params || s->out != NULL)
        return ym_status_set(st, YM_INVALID, "%s", T(SPONSOR_SIM_SWEEP_ALONE));
    if (ym_cli_has(a, "test") && ym_cli_has(a, "site-test"))
        return ym_status_set(st, YM_INVALID, "%s", T(SPONSOR_SIM_SWEEP_TEST));
    return YM_OK;
}

/* --epsilon, --seeds: several runs; without --seed the first seed is 1. */
static enum ym_code load_sweep(struct ym_simulation *s, const struct ym_cli_args *a, struct ym_status *st)
{
    const char *epsilons = ym_cli_get(a, "epsilon"), *seeds = ym_cli_get(a, "seeds");
    uint64_t count = DEFAULT_SEEDS;
    enum ym_code code = YM_OK;

    if (epsilons == NULL && seeds == NULL)
        return YM_OK;
    if (seeds != NULL && (parse_seed(seeds, &count, NULL) != YM_OK || count < 2 || count > YM_SIM_MAX_SEEDS))
        return ym_status_set(st, YM_INVALID, T(SPONSOR_SIM_SEEDS), seeds, YM_SIM_MAX_SEEDS);
    s->seeds = (size_t)count;
    if (!s->options.seeded)
        s->options.seed = 1;
    s->options.seeded = true;
    if (epsilons != NULL)
        code = ym_simulation_read_epsilons(s, epsilons, st);
    return code == YM_OK ? check_sweep(s, a, st) : code;
}

/* Maximum likelihood is no training: nothing of rounds, seeds or scores goes with it. */
static enum ym_code check_newton(struct ym_simulation *s, const struct ym_cli_args *a, struct ym_status *st)
{
    static const char *const others[] = {"test", "site-test", "epsilon", "seeds", "seed", "params", "out"};

    s->newton = ym_cli_has(a, "newton");
    for (size_t i = 0; s->newton && i < sizeof others / sizeof *others; i++)
        if (ym_cli_has(a, others[i]))
            return ym_status_set(st, YM_INVALID, T(SPONSOR_NEWTON_ALONE), others[i]);
    if (s->newton && !s->options.no_privacy)
        return ym_status_set(st, YM_INVALID, T(SPONSOR_NEWTON_PLAIN), "no-privacy");
    return YM_OK;
}

static enum ym_code load_plan(struct ym_simulation *s, struct ym_status *st)
{
    if (s->newton)
        return ym_plan_load_exact(s->path, &s->plan, st);
    return s->epsilon_count > 0 ? ym_simulation_calibrate(s, s->epsilon[0], st) : ym_plan_load(s->path, &s->plan, st);
}

static enum ym_code load(struct ym_simulation *s, const struct ym_cli_args *a, struct ym_status *st)
{
    const char *seed = ym_cli_get(a, "seed"), *test = ym_cli_get(a, "test");
    enum ym_code code = YM_OK;

    s->json = ym_cli_has(a, "json");
    s->params = ym_cli_has(a, "params");
    s->out = ym_cli_get(a, "out");
    s->options.no_privacy = ym_cli_has(a, "no-privacy");
    s->options.seeded = seed != NULL;
    if (seed != NULL)
        code = parse_seed(seed, &s->options.seed, st);
    if (code == YM_OK && s->params && !s->json)
        code = ym_status_set(st, YM_INVALID, "%s", T(SPONSOR_SIM_PARAMS_JSON));
    s->path = a->positional[0];
    if (code == YM_OK)
        code = check_newton(s, a, st);
    if (code == YM_OK)
        code = load_sweep(s, a, st);
    if (code == YM_OK)
        code = load_plan(s, st);
    if (code == YM_OK)
        code = load_sites(s, a, st);
    if (code == YM_OK && test != NULL)
        code = ym_test_load(s->plan, test, &s->test, st);
    s->options.test = s->test;
    if (code == YM_OK && ym_cli_get(a, "start") != NULL)
        code = ym_fs_read(ym_cli_get(a, "start"), YM_START_MAX_BYTES, &s->start, st);
    s->options.start = ym_buf_bytes(&s->start);
    return code;
}

/* ---- for people ---- */

static unsigned long long last_seed(const struct ym_simulation *s)
{
    return s->options.seed + s->seeds - 1;
}

void ym_simulation_print_marks(const struct ym_simulation *s)
{
    puts(T(SPONSOR_SIM_MARK));
    if (s->options.no_privacy)
        puts(T(SPONSOR_SIM_MARK_PLAIN));
    if (s->seeds > 0)
        printf(T(SPONSOR_SIM_MARK_SEEDS), (unsigned long long)s->options.seed, last_seed(s));
    else if (s->options.seeded)
        printf(T(SPONSOR_SIM_MARK_SEEDED), (unsigned long long)s->options.seed);
}

void ym_simulation_print_sites(const struct ym_simulation *s)
{
    for (size_t i = 0; i < s->site_count; i++)
        printf(T(SPONSOR_SIM_SITE), s->name[i], s->table[i]->patients, s->table[i]->rows);
    for (size_t i = 0; i < s->plan->site_count; i++) {
        bool given = false;

        for (size_t j = 0; j < s->site_count; j++)
            given |= strcmp(s->name[j], s->plan->site[i].name) == 0;
        if (!given)
            printf(T(SPONSOR_SIM_SITE_ABSENT), s->plan->site[i].name);
    }
}

static void print_line(const char *label, const struct ym_score *score)
{
    struct ym_buf line = {0};

    ym_buf_puts(&line, "  ");
    ym_print_pad(&line, label, 22);
    ym_print_score(&line, score);
    puts(ym_buf_str(&line));
    ym_buf_release(&line);
}

static void print_site_test(const char *name, const struct ym_score *score)
{
    struct ym_buf label = {0};

    ym_buf_printf(&label, T(SPONSOR_SIM_SITE_TEST), name);
    print_line(ym_buf_str(&label), score);
    ym_buf_release(&label);
}

static void print_round(const struct ym_simulation *s, const struct ym_sim_round *r)
{
    struct ym_buf line = {0}, epsilon = {0};

    ym_print_micro(&epsilon, r->epsilon_micro);
    ym_buf_printf(&line, T(SPONSOR_SIM_ROUND), r->round, s->plan->rounds);
    if (r->epsilon_micro >= 0)
        ym_buf_printf(&line, "epsilon %s  ", ym_buf_str(&epsilon));
    ym_print_score(&line, &r->pooled);
    puts(ym_buf_str(&line));
    if (r->metric != NULL) {
        ym_buf_clear(&line);
        ym_print_metric(&line, r->metric, r->round - 1);
        puts(ym_buf_str(&line));
    }
    if (r->last) {
        for (size_t i = 0; i < s->site_count; i++)
            print_line(s->name[i], &r->site[i]);
        print_line(T(SPONSOR_SIM_POOLED), &r->pooled);
    }
    for (size_t i = 0; i < s->site_count; i++)
        if (r->last && r->site_test[i].rows > 0)
            print_site_test(s->name[i], &r->site_test[i]);
    if (r->centres.rows > 0)
        print_line(T(SPONSOR_SIM_CENTRES), &r->centres);
    if (s->test != NULL)
        print_line(T(SPONSOR_SIM_TEST), &r->test);
    fflush(stdout);
    ym_buf_release(&line);
    ym_buf_release(&epsilon);
}

static void print_end(const struct ym_simulation *s)
{
    struct ym_buf delta = {0}, epsilon = {0};
    int64_t micro;

    if (!s->options.no_privacy && ym_plan_epsilon(s->plan, 1, s->plan->rounds, &micro, NULL) == YM_OK) {
        ym_decimal_format(s->plan->delta, &delta);
        ym_print_micro(&epsilon, micro);
        for (size_t i = 0; i < s->site_count; i++)
            printf(T(SPONSOR_SIM_EPSILON), s->name[i], ym_buf_str(&epsilon), ym_buf_str(&delta));
        printf("%s", T(SPONSOR_PLAN_UNIT));
    }
    ym_simulation_print_marks(s);
    printf("%s\n", T(MODEL_NOTICE));
    ym_buf_release(&delta);
    ym_buf_release(&epsilon);
}

/* ---- for programs ---- */

static json_t *round_json(const struct ym_simulation *s, const struct ym_sim_round *r)
{
    json_t *sites = json_object(), *tests, *o;

    for (size_t i = 0; i < s->site_count; i++)
        json_object_set_new(sites, s->name[i], ym_json_score(&r->site[i]));
    o = json_pack("{s:i,s:o,s:o,s:o}", "round", (int)r->round, "epsilon_micro",
                  r->epsilon_micro < 0 ? json_null() : json_integer(r->epsilon_micro), "pooled",
                  ym_json_score(&r->pooled), "sites", sites);
    if (s->test != NULL)
        json_object_set_new(o, "test", ym_json_score(&r->test));
    if (r->metric != NULL)
        json_object_set_new(o, "metrics", ym_json_metric(r->metric, r->round - 1));
    if (r->centres.rows == 0)
        return o;
    tests = json_object();
    for (size_t i = 0; i < s->site_count; i++)
        if (r->site_test[i].rows > 0)
            json_object_set_new(tests, s->name[i], ym_json_score(&r->site_test[i]));
    json_object_set_new(o, "site_tests", tests);
    json_object_set_new(o, "centres", ym_json_score(&r->centres));
    return o;
}

json_t *ym_simulation_marks(const struct ym_simulation *s)
{
    json_t *marks = json_array();
    char seeded[128];

    json_array_append_new(marks, json_string("SIMULATION: no hospital took part"));
    if (s->options.no_privacy)
        json_array_append_new(marks, json_string("NOT PRIVATE: simulation without noise"));
    if (s->seeds > 0)
        snprintf(seeded, sizeof seeded, "SEEDED: not private, seeds %" PRIu64 " to %llu", s->options.seed,
                 last_seed(s));
    else
        snprintf(seeded, sizeof seeded, "SEEDED: not private, seed %" PRIu64, s->options.seed);
    if (s->options.seeded)
        json_array_append_new(marks, json_string(seeded));
    return marks;
}

static json_t *sites_json(const struct ym_simulation *s)
{
    json_t *sites = json_object(), *epsilon;
    int64_t micro;

    for (size_t i = 0; i < s->site_count; i++) {
        epsilon = json_null();
        if (!s->options.no_privacy && ym_plan_epsilon(s->plan, 1, s->plan->rounds, &micro, NULL) == YM_OK)
            epsilon = json_integer(micro);
        json_object_set_new(sites, s->name[i],
                            json_pack("{s:I,s:I,s:o}", "patients", (json_int_t)s->table[i]->patients, "rows",
                                      (json_int_t)s->table[i]->rows, "epsilon_micro", epsilon));
    }
    return sites;
}

static json_t *params_json(const struct ym_simulation *s, struct ym_status *st)
{
    struct ym_model model;
    uint32_t round;
    float *params = NULL;
    json_t *list = NULL;

    if (ym_model_from_plan(s->plan, &model, st) != YM_OK ||
        ym_state_released(s->plan, &model, (struct ym_bytes){s->state.data, s->state.len}, &round, &params, st) !=
            YM_OK)
        return NULL;
    list = json_array();
    for (size_t j = 0; j < model.dim; j++)
        json_array_append_new(list, json_real((double)params[j]));
    free(params);
    return list;
}

/* --test rows at the last state: *out new. */
static enum ym_code test_scores(const struct ym_simulation *s, struct ym_scores *out, struct ym_status *st)
{
    struct ym_model model;
    uint32_t round;
    float *params = NULL;
    enum ym_code code = ym_model_from_plan(s->plan, &model, st);

    if (code == YM_OK)
        code = ym_state_released(s->plan, &model, ym_buf_bytes(&s->state), &round, &params, st);
    if (code == YM_OK)
        code = ym_scores_open(s->plan, &model, params, (const struct ym_table *const *)&s->test, 1, out, st);
    free(params);
    return code;
}

static enum ym_code print_test(const struct ym_simulation *s, struct ym_status *st)
{
    struct ym_scores scores = {0};
    struct ym_buf text = {0};
    enum ym_code code = test_scores(s, &scores, st);

    if (code == YM_OK) {
        ym_print_scores(&text, &scores);
        printf("\n%s\n%s\n", T(SPONSOR_SIM_TEST), ym_buf_str(&text));
    }
    ym_buf_release(&text);
    ym_scores_release(&scores);
    return code;
}

/* The last round's own object is under "final" too. */
static enum ym_code detail_test(const struct ym_simulation *s, struct ym_status *st)
{
    json_t *last = json_array_get(s->rounds, json_array_size(s->rounds) - 1), *detail;
    struct ym_scores scores = {0};
    enum ym_code code = test_scores(s, &scores, st);

    if (code == YM_OK) {
        detail = ym_json_scores(&scores);
        json_object_update(json_object_get(last, "test"), detail);
        json_decref(detail);
    }
    ym_scores_release(&scores);
    return code;
}

static enum ym_code print_result(const struct ym_simulation *s, struct ym_status *st)
{
    struct ym_buf hash = {0}, delta = {0};
    json_t *o, *params;

    ym_hex_encode(s->plan->hash, sizeof s->plan->hash, &hash);
    ym_decimal_format(s->plan->delta, &delta);
    o = json_pack("{s:o,s:b,s:b,s:s,s:s,s:s,s:o,s:O,s:O}", "marks", ym_simulation_marks(s), "private",
                  !s->options.no_privacy && !s->options.seeded, "noise", !s->options.no_privacy, "study",
                  s->plan->study, "plan", ym_buf_str(&hash), "delta", ym_buf_str(&delta), "sites", sites_json(s),
                  "rounds", s->rounds, "final", json_array_get(s->rounds, json_array_size(s->rounds) - 1));
    ym_buf_release(&hash);
    ym_buf_release(&delta);
    json_object_set_new(o, "notice", json_string(ym_text_in(YM_TEXT_MODEL_NOTICE, YM_LANG_EN)));
    json_object_set_new(o, "notice_zh", json_string(ym_text_in(YM_TEXT_MODEL_NOTICE, YM_LANG_ZH)));
    json_object_set_new(o, "seed", s->options.seeded ? json_integer((json_int_t)s->options.seed) : json_null());
    if (s->params) {
        params = params_json(s, st);
        if (params == NULL) {
            json_decref(o);
            return st->code;
        }
        json_object_set_new(o, "params", params);
    }
    ym_print_json(o);
    json_decref(o);
    return YM_OK;
}

static void on_round(void *ctx, const struct ym_sim_round *r)
{
    struct ym_simulation *s = ctx;

    if (s->json)
        json_array_append_new(s->rounds, round_json(s, r));
    else
        print_round(s, r);
}

/* A simulation's model says on its card that it is one. */
static enum ym_code write_result(const struct ym_simulation *s, struct ym_status *st)
{
    struct ym_result r = {0};
    json_t *card = NULL, *facts = json_pack("{s:o,s:b}", "marks", ym_simulation_marks(s), "private", false);
    enum ym_code code = ym_result_open(s->plan, ym_buf_bytes(&s->state), &r, st);

    if (s->options.no_privacy)
        json_object_set_new(facts, "privacy", json_null());
    if (code == YM_OK)
        code = ym_result_write(&r, s->out, facts, &card, st);
    else
        json_decref(facts);
    if (code == YM_OK && !s->json)
        printf(T(SPONSOR_MODEL_WRITTEN), s->out, r.model.dim, r.round, s->plan->rounds);
    json_decref(card);
    ym_result_release(&r);
    return code;
}

static enum ym_code simulate(struct ym_simulation *s, struct ym_status *st)
{
    enum ym_code code;

    s->options.on_round = on_round;
    s->options.ctx = s;
    s->rounds = json_array();
    if (!s->json) {
        ym_simulation_print_marks(s);
        ym_simulation_print_sites(s);
    }
    code = ym_sim_run(s->plan, s->site, s->site_count, &s->options, &s->state, st);
    if (code == YM_OK && s->out != NULL)
        code = write_result(s, st);
    if (code == YM_OK && s->test != NULL)
        code = s->json ? detail_test(s, st) : print_test(s, st);
    if (code != YM_OK)
        return code;
    if (s->json)
        return print_result(s, st);
    print_end(s);
    return YM_OK;
}

int ym_cmd_simulate(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_simulation *s = calloc(1, sizeof *s);
    enum ym_code code = s == NULL ? ym_status_set(&st, YM_EXHAUSTED, "no memory") : load(s, a, &st);

    if (code == YM_OK)
        code = s->newton ? ym_simulation_newton(s, &st) : s->seeds > 0 ? ym_simulation_sweep(s, &st) : simulate(s, &st);
    if (s != NULL) {
        for (size_t i = 0; i < YM_PLAN_MAX_SITES; i++) {
            ym_table_free(s->table[i]);
            ym_table_free(s->site_test[i]);
        }
        ym_table_free(s->test);
        ym_plan_free(s->plan);
        json_decref(s->rounds);
        ym_buf_release(&s->state);
        ym_buf_release(&s->start);
    }
    free(s);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}
