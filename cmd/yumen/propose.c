#include "cmd/yumen/propose.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cmd/yumen/plan.h"
#include "cmd/yumen/print.h"
#include "gate/advice.h"

/* ---- what is asked ---- */

/* A whole number from 1 to most at *at, which is moved behind it; 0 when there is none. */
static uint32_t read_count(const char **at, uint32_t most)
{
    uint64_t v = 0;

    while (**at >= '0' && **at <= '9' && v <= most)
        v = 10 * v + (uint64_t)(*(*at)++ - '0');
    return v <= most ? (uint32_t)v : 0;
}

enum ym_code ym_propose_cohorts(const char *list, struct ym_cohort *cohort, size_t *count, struct ym_status *st)
{
    enum { MOST = 1000000000 };
    size_t n = 0;

    for (const char *at = list;; at++) {
        struct ym_cohort c;

        if (n == YM_PLAN_MAX_SITES)
            return ym_status_set(st, YM_INVALID, T(SPONSOR_SIM_SITES_MANY), YM_PLAN_MAX_SITES);
        c.low = c.high = read_count(&at, MOST);
        if (*at == '-') {
            at++;
            c.high = read_count(&at, MOST);
        }
        if (c.low == 0 || c.high < c.low || (*at != '\0' && *at != ','))
            return ym_status_set(st, YM_INVALID, T(SPONSOR_PROPOSE_COHORTS), list);
        cohort[n++] = c;
        if (*at == '\0')
            break;
    }
    *count = n;
    return YM_OK;
}

void ym_propose_nominal(const struct ym_plan *plan, struct ym_cohort *cohort, size_t *count)
{
    *count = plan->site_count;
    for (size_t i = 0; i < plan->site_count; i++)
        cohort[i] = (struct ym_cohort){plan->nominal_patients, plan->nominal_patients};
}

static json_t *levels_json(uint32_t count)
{
    json_t *levels = json_array();
    char name[16];

    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "l%" PRIu32, i);
        json_array_append_new(levels, json_string(name));
    }
    return levels;
}

static json_t *inputs_json(uint32_t count)
{
    json_t *inputs = json_array();
    char name[16];

    for (uint32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "x%" PRIu32, i + 1);
        json_array_append_new(inputs, json_pack("{s:s,s:s,s:s}", "name", name, "low", "-1", "high", "1"));
    }
    return inputs;
}

/* ---- families and what their "x" numbers say ---- */

struct spec {
    json_t *model;
    uint32_t first; /* inputs, or pixels a side */
    const uint32_t *more;
    size_t count;
};

static bool levels(const struct spec *s, uint32_t count)
{
    return json_object_set_new(s->model, "outcome",
                               json_pack("{s:s,s:o}", "name", "y", "levels", levels_json(count))) == 0;
}

static bool tabular(const struct spec *s)
{
    return json_object_set_new(s->model, "inputs", inputs_json(s->first)) == 0;
}

static bool shape_linear(const struct spec *s)
{
    json_object_set_new(s->model, "outcome", json_pack("{s:s,s:s,s:s}", "name", "y", "low", "-1", "high", "1"));
    return s->count == 0 && tabular(s);
}

static bool shape_logistic(const struct spec *s)
{
    return s->count == 0 && levels(s, 2) && tabular(s);
}

static bool shape_multinomial(const struct spec *s)
{
    return s->count == 1 && levels(s, s->more[0]) && tabular(s);
}

static bool shape_poisson(const struct spec *s)
{
    json_object_set_new(s->model, "outcome", json_pack("{s:s,s:s,s:s}", "name", "y", "low", "0", "high", "100"));
    return s->count == 0 && tabular(s);
}

static bool shape_mlp(const struct spec *s)
{
    json_t *hidden = json_array();

    for (size_t i = 0; i < s->count; i++)
        json_array_append_new(hidden, json_integer(s->more[i]));
    json_object_set_new(s->model, "hidden", hidden);
    return s->count > 0 && levels(s, 2) && tabular(s);
}

/* Time bins. */
static bool shape_survival(const struct spec *s)
{
    json_t *cuts = json_array();
    char text[16];

    if (s->count != 1 || s->more[0] < 2 || s->more[0] > YM_PLAN_MAX_CUTS + 1) {
        json_decref(cuts);
        return false;
    }
    for (uint32_t i = 1; i < s->more[0]; i++) {
        snprintf(text, sizeof text, "%" PRIu32, i);
        json_array_append_new(cuts, json_string(text));
    }
    snprintf(text, sizeof text, "%" PRIu32, s->more[0]);
    json_object_set_new(s->model, "cuts", cuts);
    json_object_set_new(s->model, "time", json_pack("{s:s,s:s}", "name", "t", "high", text));
    return levels(s, 2) && tabular(s);
}

/* Channels of the image, then of convolutions of 3 x 3, each halving the side. */
static bool shape_network(const struct spec *s)
{
    json_t *layers = json_array(), *image;

    for (size_t i = 1; i < s->count; i++) {
        json_array_append_new(layers, json_pack("{s:{s:I,s:i,s:i,s:i}}", "conv2d", "channels", (json_int_t)s->more[i],
                                                "kernel", 3, "stride", 2, "padding", 1));
        json_array_append_new(layers, json_string("tanh"));
    }
    json_object_set_new(s->model, "layers", layers);
    if (s->count < 2)
        return false;
    image = json_pack("[{s:s,s:I,s:I,s:I}]", "name", "x", "channels", (json_int_t)s->more[0], "height",
                      (json_int_t)s->first, "width", (json_int_t)s->first);
    return json_object_set_new(s->model, "inputs", image) == 0 && levels(s, 2);
}

static const struct shape {
    const char *family;
    bool (*fill)(const struct spec *s);
} shapes[] = {
    {"linear", shape_linear},
    {"logistic", shape_logistic},
    {"multinomial", shape_multinomial},
    {"poisson", shape_poisson},
    {"mlp", shape_mlp},
    {"discrete_hazard", shape_survival},
    {"piecewise_exponential", shape_survival},
    {"network", shape_network},
};

static bool shape_json(const char *family, size_t len, const struct spec *s)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strlen(shapes[i].family) == len && memcmp(shapes[i].family, family, len) == 0) {
            json_object_set_new(s->model, "family", json_string(shapes[i].family));
            return shapes[i].fill(s);
        }
    return false;
}

/* "logistic:13", "multinomial:13x4" (levels), "mlp:30x16x8" (hidden widths), "piecewise_exponential:10x4" (time bins),
 * "network:28x1x16x32". */
static enum ym_code model_json(const char *spec, json_t **out, struct ym_status *st)
{
    const char *colon = strchr(spec, ':'), *at = colon == NULL ? "" : colon + 1;
    uint32_t number[1 + YM_PLAN_MAX_HIDDEN] = {0};
    size_t n = 0;
    json_t *model = json_object();
    bool good = colon != NULL;

    while (good && n < sizeof number / sizeof *number) {
        number[n] = read_count(&at, n == 0 ? YM_PLAN_MAX_INPUTS : 65536);
        good = number[n++] > 0;
        if (*at != 'x')
            break;
        at++;
    }
    if (!good || *at != '\0' ||
        !shape_json(spec, (size_t)(colon - spec), &(struct spec){model, number[0], number + 1, n - 1})) {
        json_decref(model);
        return ym_status_set(st, YM_INVALID, T(SPONSOR_PROPOSE_MODEL), spec);
    }
    *out = model;
    return YM_OK;
}

static json_t *hospitals_json(size_t count)
{
    json_t *list = json_array();
    char name[32];

    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "h%zu", i + 1);
        json_array_append_new(list, json_pack("{s:s}", "name", name));
    }
    return list;
}

/* A plan of the asked shape; what the proposal decides stands at anything that a plan may have. */
static json_t *stand_in(json_t *model, size_t hospitals, const char *epsilon, const char *delta)
{
    json_t *training = json_pack("{s:i,s:i,s:s,s:i,s:s}", "rounds", 1, "local_steps", 1, "sampling_probability", "0.05",
                                 "nominal_patients", 1, "learning_rate", "1");
    json_t *privacy = json_pack("{s:s,s:s}", "delta", delta, "epsilon", epsilon);

    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:{s:o}}", "yumen", "plan/1", "study", "proposal", "sponsor",
                     "sponsor", "title", "proposal", "purpose", "proposal", "model", model, "training", training,
                     "privacy", privacy, "federation", "hospitals", hospitals_json(hospitals));
}

static enum ym_code check_delta(const char *text, const struct ym_cohort *cohort, size_t count, struct ym_status *st)
{
    struct ym_decimal d;

    if (ym_decimal_parse(text, &d, NULL) != YM_OK || d.scaled <= 0)
        return ym_status_set(st, YM_INVALID, T(SPONSOR_PROPOSE_DELTA_FORM), text);
    for (size_t i = 0; i < count; i++)
        if (d.scaled * 10 * cohort[i].high > (__int128)1000000000000000000)
            return ym_status_set(st, YM_INVALID, T(SPONSOR_PROPOSE_DELTA), text, cohort[i].low, cohort[i].high,
                                 ym_proposal_delta(cohort, count));
    return YM_OK;
}

/* ---- what is told ---- */

static void print_value(const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

    printf("%s\n", json_is_string(value) ? json_string_value(value) : text == NULL ? "" : text);
    free(text);
}

static void print_section(const json_t *root, const char *name)
{
    json_t *section = json_object_get(root, name), *value;
    const char *key;

    printf("%s:\n", name);
    json_object_foreach(section, key, value)
    {
        printf("  %s: ", key);
        print_value(value);
    }
}

static void print_row(const struct ym_proposal_row *r, bool chosen)
{
    struct ym_buf out = {0}, noise = {0};
    char text[64];

    snprintf(text, sizeof text, "%" PRIu32 " x %" PRIu32, r->rounds, r->local_steps);
    ym_buf_puts(&out, "  ");
    ym_print_pad(&out, text, 16);
    ym_print_pad(&out, r->sampling, 12);
    if (r->fits) {
        ym_decimal_format(r->noise, &noise);
        ym_print_pad(&out, ym_buf_str(&noise), 18);
        snprintf(text, sizeof text, "%.4g", r->noise_per_coordinate);
        ym_print_pad(&out, text, 20);
        snprintf(text, sizeof text, "%.3g", r->step_signal);
        ym_print_pad(&out, text, 14);
        snprintf(text, sizeof text, "%.3g", r->run_signal);
        ym_print_pad(&out, text, chosen ? 14 : 0);
    } else {
        ym_buf_puts(&out, T(SPONSOR_ADVISE_NEVER));
    }
    printf("%s%s\n", ym_buf_str(&out), chosen ? T(SPONSOR_PROPOSE_CHOSEN) : "");
    ym_buf_release(&out);
    ym_buf_release(&noise);
}

static void print_alternatives(const struct ym_proposal *p)
{
    struct ym_buf out = {0};

    ym_buf_puts(&out, "  ");
    ym_print_pad(&out, T(SPONSOR_PROPOSE_HEAD_STEPS), 16);
    ym_print_pad(&out, T(SPONSOR_ADVISE_HEAD_SAMPLING), 12);
    ym_print_pad(&out, T(SPONSOR_ADVISE_HEAD_NOISE), 18);
    ym_print_pad(&out, T(SPONSOR_PROPOSE_HEAD_COORDINATE), 20);
    ym_print_pad(&out, T(SPONSOR_PROPOSE_HEAD_STEP), 14);
    ym_print_pad(&out, T(SPONSOR_PROPOSE_HEAD_RUN), 0);
    printf("%s%s\n", T(SPONSOR_PROPOSE_ALTERNATIVES), ym_buf_str(&out));
    ym_buf_release(&out);
    for (size_t i = 0; i < YM_PROPOSAL_LENGTHS; i++)
        for (size_t k = 0; k < YM_PROPOSAL_SAMPLINGS; k++)
            if (i == p->length || k == p->best[i])
                print_row(&p->row[i][k], i == p->length && k == p->best[i]);
}

static const struct ym_proposal_row *chosen_row(const struct ym_proposal *p)
{
    return &p->row[p->length][p->best[p->length]];
}

static void print_smallest(const struct ym_plan *plan, const struct ym_cohort *cohort, size_t count)
{
    uint32_t least = cohort[0].low;

    for (size_t i = 1; i < count; i++)
        least = cohort[i].low < least ? cohort[i].low : least;
    if (least < plan->min_patients)
        printf(T(SPONSOR_PROPOSE_SMALL), least, plan->min_patients);
}

static void print_proposal(const struct ym_proposal *p, const json_t *root, size_t dim, const struct ym_cohort *cohort,
                           size_t count)
{
    const struct ym_proposal_row *r = chosen_row(p);
    struct ym_buf epsilon = {0}, delta = {0};

    ym_print_micro(&epsilon, r->epsilon_micro);
    ym_decimal_format(p->plan->delta, &delta);
    printf(T(SPONSOR_PROPOSE_FOR), count, p->nominal_patients, dim, ym_buf_str(&epsilon), ym_buf_str(&delta));
    print_section(root, "training");
    print_section(root, "privacy");
    printf(T(SPONSOR_PROPOSE_SIGNAL), strtod(r->sampling, NULL) * p->nominal_patients, r->noise_per_coordinate,
           p->clip_norm, r->step_signal, r->run_signal);
    if (r->run_signal < 3)
        printf("%s", T(SPONSOR_PROPOSE_DROWNED));
    print_smallest(p->plan, cohort, count);
    print_alternatives(p);
    printf("%s", T(SPONSOR_PROPOSE_WHY));
    ym_buf_release(&epsilon);
    ym_buf_release(&delta);
}

static json_t *row_json(const struct ym_proposal_row *r, bool chosen)
{
    struct ym_buf noise = {0};
    json_t *o = json_pack("{s:i,s:i,s:s,s:b,s:b}", "rounds", (int)r->rounds, "local_steps", (int)r->local_steps,
                          "sampling_probability", r->sampling, "fits", r->fits, "chosen", chosen);

    if (r->fits) {
        ym_decimal_format(r->noise, &noise);
        json_object_set_new(o, "noise_multiplier", json_string(ym_buf_str(&noise)));
        json_object_set_new(o, "epsilon_micro", json_integer(r->epsilon_micro));
        json_object_set_new(o, "noise_per_coordinate", json_real(r->noise_per_coordinate));
        json_object_set_new(o, "signal_step", json_real(r->step_signal));
        json_object_set_new(o, "signal_run", json_real(r->run_signal));
    }
    ym_buf_release(&noise);
    return o;
}

static json_t *proposal_json(const struct ym_proposal *p, const json_t *root, size_t dim)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < YM_PROPOSAL_LENGTHS; i++)
        for (size_t k = 0; k < YM_PROPOSAL_SAMPLINGS; k++)
            json_array_append_new(rows, row_json(&p->row[i][k], i == p->length && k == p->best[i]));
    return json_pack("{s:O,s:O,s:I,s:I,s:f,s:o}", "training", json_object_get(root, "training"), "privacy",
                     json_object_get(root, "privacy"), "parameters", (json_int_t)dim, "epsilon_micro",
                     (json_int_t)chosen_row(p)->epsilon_micro, "nominal_batch",
                     strtod(chosen_row(p)->sampling, NULL) * p->nominal_patients, "alternatives", rows);
}

enum ym_code ym_propose(const struct ym_plan *base, const struct ym_cohort *cohort, size_t count, json_t **json,
                        struct ym_status *st)
{
    struct ym_plan_cost cost = {0};
    struct ym_proposal p = {0};
    json_t *root = NULL;
    enum ym_code code;

    ym_print_wait(true);
    code = ym_plan_cost_of(base, &cost, st);
    if (code == YM_OK)
        code = ym_proposal_find(base, cost.dim, cohort, count, &p, st);
    ym_print_wait(false);
    if (code == YM_OK)
        code = ym_json_parse(p.plan->canonical.data, p.plan->canonical.len, YM_PLAN_MAX_BYTES, &root, st);
    if (code == YM_OK && json != NULL)
        *json = proposal_json(&p, root, cost.dim);
    else if (code == YM_OK)
        print_proposal(&p, root, cost.dim, cohort, count);
    json_decref(root);
    ym_plan_free(p.plan);
    return code == YM_NOT_FOUND ? ym_status_set(st, YM_DENIED, "%s", T(SPONSOR_ADVISE_NEVER)) : code;
}

/* ---- without a file ---- */

static enum ym_code read_stand_in(json_t *root, struct ym_plan **out, struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_doc *doc = ym_doc_wrap("plan", root);
    bool passes;
    enum ym_code code = doc == NULL ? ym_status_set(st, YM_EXHAUSTED, "out of memory")
                                    : ym_advice_read(doc, NULL, out, &passes, &problems, st);

    if (code == YM_INVALID && problems.count > 0)
        ym_status_set(st, code, "%s: %s", problems.item[0].key, problems.item[0].message);
    ym_problems_release(&problems);
    ym_doc_free(doc);
    return code;
}

static enum ym_code base_of(const struct ym_cli_args *a, const struct ym_cohort *cohort, size_t count,
                            struct ym_plan **out, struct ym_status *st)
{
    const char *epsilon = ym_cli_get(a, "epsilon"), *delta = ym_cli_get(a, "delta");
    char usual[32];
    json_t *model = NULL, *root;
    enum ym_code code = model_json(ym_cli_get(a, "model"), &model, st);

    snprintf(usual, sizeof usual, "%.2g", ym_proposal_delta(cohort, count));
    if (code == YM_OK && delta != NULL)
        code = check_delta(delta, cohort, count, st);
    if (code != YM_OK) {
        json_decref(model);
        return code;
    }
    root = stand_in(model, count, epsilon, delta != NULL ? delta : usual);
    code = read_stand_in(root, out, st);
    json_decref(root);
    return code;
}

int ym_propose_from_options(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_cohort cohort[YM_PLAN_MAX_SITES];
    struct ym_plan *base = NULL;
    json_t *told = NULL;
    size_t count = 0;
    bool json = ym_cli_has(a, "json");
    enum ym_code code = YM_OK;

    if (!ym_cli_has(a, "epsilon") || !ym_cli_has(a, "patients") || !ym_cli_has(a, "model"))
        code = ym_status_set(&st, YM_INVALID, "%s", T(SPONSOR_PROPOSE_NEEDS));
    if (code == YM_OK)
        code = ym_propose_cohorts(ym_cli_get(a, "patients"), cohort, &count, &st);
    if (code == YM_OK)
        code = base_of(a, cohort, count, &base, &st);
    if (code == YM_OK)
        code = ym_propose(base, cohort, count, json ? &told : NULL, &st);
    ym_plan_free(base);
    if (code != YM_OK)
        return ym_cli_fail("yumen", &st);
    if (json) {
        told = json_pack("{s:b,s:o}", "ok", 1, "proposal", told);
        ym_print_json(told);
        json_decref(told);
    }
    return YM_EXIT_DONE;
}
