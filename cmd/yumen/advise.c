#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/plan.h"
#include "cmd/yumen/print.h"
#include "cmd/yumen/propose.h"
#include "gate/advice.h"

static const char *const samplings[] = {"0.05", "0.1", "0.25", "0.5", "1"};

enum { SAMPLINGS = sizeof samplings / sizeof *samplings, ROWS = SAMPLINGS + 1 };

struct row { /* one sampling probability */
    char sampling[64];
    double q;
    bool own, fits, best;
    struct ym_decimal noise;
    int64_t epsilon_micro;
    double per_patient; /* standard deviation in one coordinate of a hospital's averaged gradient */
};

struct table { /* one number of rounds */
    uint32_t rounds;
    enum ym_text_id title;
    struct row row[ROWS];
    size_t count;
};

/* ---- figures ---- */

static enum ym_code row_find(const struct ym_plan *plan, uint32_t rounds, struct row *r, struct ym_status *st)
{
    struct ym_plan *checked = NULL;
    enum ym_code code = ym_advice_find(plan, rounds, r->sampling, &r->noise, &checked, st);

    if (code == YM_NOT_FOUND)
        return YM_OK; /* fits stays false */
    if (code == YM_OK)
        code = ym_plan_epsilon(checked, 1, checked->rounds, &r->epsilon_micro, st);
    r->fits = code == YM_OK;
    r->per_patient = ym_decimal_double(r->noise) * plan->clip_norm / (r->q * plan->nominal_patients);
    ym_plan_free(checked);
    return code;
}

/* The first of equals: it is the one that samples least. */
static void mark_best(struct table *t)
{
    struct row *best = NULL;

    for (size_t i = 0; i < t->count; i++)
        if (t->row[i].fits && (best == NULL || t->row[i].per_patient < best->per_patient))
            best = &t->row[i];
    if (best != NULL)
        best->best = true;
}

static void add_row(struct table *t, const char *sampling, bool own)
{
    struct row *r = &t->row[t->count++];
    struct ym_decimal q;

    YM_ASSERT(ym_decimal_parse(sampling, &q, NULL) == YM_OK);
    snprintf(r->sampling, sizeof r->sampling, "%s", sampling);
    r->q = ym_decimal_double(q);
    r->own = own;
}

/* The plan's own sampling probability passes among the usual ones, in order. */
static void list_samplings(struct table *t, const char *own)
{
    struct ym_decimal mine, usual;
    bool placed = false;

    YM_ASSERT(ym_decimal_parse(own, &mine, NULL) == YM_OK);
    for (size_t i = 0; i < SAMPLINGS; i++) {
        YM_ASSERT(ym_decimal_parse(samplings[i], &usual, NULL) == YM_OK);
        if (!placed && mine.scaled <= usual.scaled) {
            add_row(t, own, true);
            placed = true;
        }
        if (mine.scaled != usual.scaled)
            add_row(t, samplings[i], false);
    }
}

static enum ym_code fill(const struct ym_plan *plan, const char *own, struct table *t, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    list_samplings(t, own);
    for (size_t i = 0; i < t->count && code == YM_OK; i++)
        code = row_find(plan, t->rounds, &t->row[i], st);
    mark_best(t);
    return code;
}

/* Half, same and double, as far as a plan may have so many. */
static size_t list_tables(const struct ym_plan *plan, struct table table[3])
{
    size_t n = 0;

    table[n++] = (struct table){.rounds = plan->rounds, .title = YM_TEXT_SPONSOR_ADVISE_OWN};
    if (plan->rounds > 1)
        table[n++] = (struct table){.rounds = plan->rounds / 2, .title = YM_TEXT_SPONSOR_ADVISE_HALF};
    if (plan->rounds <= YM_PLAN_MAX_ROUNDS / 2)
        table[n++] = (struct table){.rounds = plan->rounds * 2, .title = YM_TEXT_SPONSOR_ADVISE_DOUBLE};
    return n;
}

static const struct row *own_row(const struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->row[i].own)
            return &t->row[i];
    return NULL;
}

/* ---- what is printed ---- */

static void format_row(struct ym_buf *out, const struct row *r)
{
    struct ym_buf noise = {0}, epsilon = {0};
    char per_patient[32];

    ym_buf_puts(out, "  ");
    ym_print_pad(out, r->sampling, 12);
    if (r->fits) {
        ym_decimal_format(r->noise, &noise);
        ym_print_micro(&epsilon, r->epsilon_micro);
        snprintf(per_patient, sizeof per_patient, "%.6g", r->per_patient);
        ym_print_pad(out, ym_buf_str(&noise), 18);
        ym_print_pad(out, ym_buf_str(&epsilon), 12);
        ym_print_pad(out, per_patient, 19);
    } else {
        ym_print_pad(out, T(SPONSOR_ADVISE_NEVER), 18 + 12 + 19);
    }
    ym_buf_printf(out, "%s%s%s", r->best ? T(SPONSOR_ADVISE_MARK_BEST) : "", r->best && r->own ? ", " : "",
                  r->own ? T(SPONSOR_ADVISE_MARK_OWN) : "");
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
    ym_buf_puts(out, "\n");
    ym_buf_release(&noise);
    ym_buf_release(&epsilon);
}

static void print_table(const struct table *t)
{
    struct ym_buf out = {0};

    ym_buf_puts(&out, "\n");
    ym_buf_printf(&out, ym_text(t->title), t->rounds);
    ym_buf_puts(&out, "  ");
    ym_print_pad(&out, T(SPONSOR_ADVISE_HEAD_SAMPLING), 12);
    ym_print_pad(&out, T(SPONSOR_ADVISE_HEAD_NOISE), 18);
    ym_print_pad(&out, T(SPONSOR_ADVISE_HEAD_COST), 12);
    ym_buf_printf(&out, "%s\n", T(SPONSOR_ADVISE_HEAD_PER_PATIENT));
    for (size_t i = 0; i < t->count; i++)
        format_row(&out, &t->row[i]);
    fputs(ym_buf_str(&out), stdout);
    ym_buf_release(&out);
}

static void print_answer(const struct ym_plan *plan, const struct row *own, bool passes)
{
    struct ym_buf limit = {0}, delta = {0}, noise = {0}, epsilon = {0};

    ym_decimal_format(plan->epsilon_max, &limit);
    ym_decimal_format(plan->delta, &delta);
    ym_decimal_format(own->noise, &noise);
    ym_print_micro(&epsilon, own->epsilon_micro);
    printf(T(SPONSOR_ADVISE_PLAN), plan->study, plan->rounds, plan->steps_per_round, own->sampling,
           plan->nominal_patients, plan->clip_norm, ym_buf_str(&limit), ym_buf_str(&delta));
    printf(T(SPONSOR_ADVISE_ANSWER), ym_buf_str(&noise), ym_buf_str(&epsilon),
           passes ? T(SPONSOR_ADVISE_PASSES) : T(SPONSOR_ADVISE_PASSES_NOT));
    ym_buf_release(&limit);
    ym_buf_release(&delta);
    ym_buf_release(&noise);
    ym_buf_release(&epsilon);
}

static json_t *row_json(const struct row *r)
{
    struct ym_buf noise = {0};
    json_t *o = json_pack("{s:s,s:b,s:b,s:b}", "sampling_probability", r->sampling, "own", r->own, "fits", r->fits,
                          "best", r->best);

    if (r->fits) {
        ym_decimal_format(r->noise, &noise);
        json_object_set_new(o, "noise_multiplier", json_string(ym_buf_str(&noise)));
        json_object_set_new(o, "epsilon_micro", json_integer(r->epsilon_micro));
        json_object_set_new(o, "noise_per_patient", json_real(r->per_patient));
    }
    ym_buf_release(&noise);
    return o;
}

static json_t *table_json(const struct table *t)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < t->count; i++)
        json_array_append_new(rows, row_json(&t->row[i]));
    return json_pack("{s:i,s:o}", "rounds", (int)t->rounds, "samplings", rows);
}

static void print_json(const struct ym_plan *plan, const struct table *table, size_t count, bool passes,
                       json_t *proposal)
{
    struct ym_buf limit = {0}, delta = {0}, noise = {0};
    json_t *tables = json_array(), *o;

    ym_decimal_format(plan->epsilon_max, &limit);
    ym_decimal_format(plan->delta, &delta);
    ym_decimal_format(own_row(table)->noise, &noise);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(tables, table_json(&table[i]));
    o = json_pack("{s:b,s:s,s:s,s:s,s:i,s:s,s:b,s:o,s:o}", "ok", 1, "study", plan->study, "epsilon_limit",
                  ym_buf_str(&limit), "delta", ym_buf_str(&delta), "steps_per_round", (int)plan->steps_per_round,
                  "noise_multiplier", ym_buf_str(&noise), "plan_passes", passes, "tables", tables, "proposal",
                  proposal);
    ym_print_json(o);
    json_decref(o);
    ym_buf_release(&limit);
    ym_buf_release(&delta);
    ym_buf_release(&noise);
}

/* What fits the plan's own settings is told even where the proposed ones cannot. */
static enum ym_code propose(const struct ym_plan *plan, const struct ym_cohort *cohort, size_t count, json_t **json,
                            struct ym_status *st)
{
    enum ym_code code = ym_propose(plan, cohort, count, json, st);

    if (code != YM_DENIED && code != YM_INVALID)
        return code;
    if (json != NULL)
        *json = json_null();
    else
        printf(T(SPONSOR_PROPOSE_NONE), st->message);
    return YM_OK;
}

static int advise(const struct ym_plan *plan, const struct ym_cohort *cohort, size_t cohort_count, bool passes,
                  bool json, struct ym_status *st)
{
    struct table table[3];
    size_t count = list_tables(plan, table);
    char own[64];
    json_t *proposal = NULL;
    enum ym_code code = ym_plan_decimal(plan, "training", "sampling_probability", own, st);

    ym_print_wait(true);
    for (size_t i = 0; i < count && code == YM_OK; i++)
        code = fill(plan, own, &table[i], st);
    ym_print_wait(false);
    if (code == YM_OK && !own_row(table)->fits) /* the most noise passed, but by less than a rounding */
        code = ym_status_set(st, YM_DENIED, "%s", T(SPONSOR_ADVISE_NEVER));
    if (code == YM_OK && json)
        code = propose(plan, cohort, cohort_count, &proposal, st);
    if (code != YM_OK)
        return ym_cli_fail("yumen", st);
    if (json) {
        print_json(plan, table, count, passes, proposal);
        return YM_EXIT_DONE;
    }
    print_answer(plan, own_row(table), passes);
    for (size_t i = 0; i < count; i++)
        print_table(&table[i]);
    printf("\n%s\n", T(SPONSOR_ADVISE_NOTE));
    fflush(stdout);
    code = propose(plan, cohort, cohort_count, NULL, st);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", st);
}

/* ---- the command ---- */

bool ym_epsilon_good(const char *text)
{
    struct ym_decimal d;

    return ym_decimal_parse(text, &d, NULL) == YM_OK && d.scaled > 0 && d.scaled <= (__int128)100 * 1000000000000000000;
}

static enum ym_code cohorts_of(const struct ym_cli_args *a, const struct ym_plan *plan, struct ym_cohort *cohort,
                               size_t *count, struct ym_status *st)
{
    const char *patients = ym_cli_get(a, "patients");
    enum ym_code code;

    if (patients == NULL) {
        ym_propose_nominal(plan, cohort, count);
        return YM_OK;
    }
    code = ym_propose_cohorts(patients, cohort, count, st);
    if (code == YM_OK && *count != plan->site_count)
        code = ym_status_set(st, YM_INVALID, T(SPONSOR_PROPOSE_HOSPITALS), *count, plan->site_count);
    return code;
}

int ym_cmd_plan_advise(const struct ym_cli_args *a)
{
    struct ym_cohort cohort[YM_PLAN_MAX_SITES];
    size_t cohort_count = 0;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_problems problems = {0};
    struct ym_doc *doc = NULL;
    struct ym_plan *plan = NULL;
    const char *epsilon = ym_cli_get(a, "epsilon");
    bool json = ym_cli_has(a, "json"), passes = false;
    enum ym_code code = YM_OK;
    int rc;

    if (epsilon != NULL && !ym_epsilon_good(epsilon))
        code = ym_status_set(&st, YM_INVALID, T(SPONSOR_ADVISE_EPSILON), epsilon);
    if (code == YM_OK && a->positional_count == 0)
        return ym_propose_from_options(a);
    if (code == YM_OK && (ym_cli_has(a, "model") || ym_cli_has(a, "delta")))
        code = ym_status_set(&st, YM_INVALID, "%s", T(SPONSOR_PROPOSE_FILE_SAYS));
    if (code == YM_OK)
        code = ym_doc_load(a->positional[0], &doc, &problems, &st);
    if (code == YM_OK)
        code = ym_advice_read(doc, epsilon, &plan, &passes, &problems, &st);
    if (code == YM_OK)
        code = cohorts_of(a, plan, cohort, &cohort_count, &st);
    if (code == YM_OK) {
        rc = advise(plan, cohort, cohort_count, passes, json, &st);
    } else if (problems.count > 0) {
        ym_print_problems(&problems, json);
        rc = YM_EXIT_NO;
    } else {
        rc = ym_cli_fail("yumen", &st);
    }
    ym_plan_free(plan);
    ym_doc_free(doc);
    ym_problems_release(&problems);
    return rc;
}
