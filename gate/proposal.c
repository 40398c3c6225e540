#include "gate/proposal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "gate/advice.h"

static const char *const samplings[YM_PROPOSAL_SAMPLINGS] = {"0.05", "0.1", "0.25", "0.5", "0.75", "1"};

struct length {
    uint32_t rounds, local_steps;
};

/* The shortest is for those who look at the alternatives; the second is the least that is proposed. */
static const struct length convex[YM_PROPOSAL_LENGTHS] = {{5, 2}, {5, 6}, {20, 5}, {60, 5}};
static const struct length deep[YM_PROPOSAL_LENGTHS] = {{20, 2}, {20, 5}, {60, 5}, {200, 5}};

enum { LEAST_LENGTH = 1 };

/* All steps together can move the parameters so far, were every clipped gradient to point the same way. */
#define REACH 6.0
#define REACH_DEEP 20.0
/* A smaller sample is taken when its noise is no more than this times the least. */
#define NEARLY 1.05
/* Patients' gradients cancel in part: an averaged one is well below the clip, so the clip must stand this far out. */
#define CLEAR 3.0

static double two_digits(double v)
{
    char text[32];
    double out;

    snprintf(text, sizeof text, "%.1e", v);
    return sscanf(text, "%lf", &out) == 1 ? out : v;
}

static uint32_t nominal_of(const struct ym_cohort *cohort, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += sqrt((double)cohort[i].low * cohort[i].high);
    return (uint32_t)fmax(1, two_digits(sum / (double)count));
}

static bool is_deep(const struct ym_plan *plan)
{
    return plan->family == YM_FAMILY_MLP || plan->family == YM_FAMILY_NETWORK;
}

/* Inputs lie in [-1, 1]: a column's mean square is near 1/3, an error at the start near 1/2. Half of that norm: below
 * the typical gradient the clip only evens patients out, while the noise shrinks with it. */
static double half_gradient(const struct ym_plan *base)
{
    return is_deep(base) ? 1 : 0.25 * sqrt(1 + (double)ym_plan_columns(base) / 3);
}

/* Counts and survival, whose bins add up, err by more than a half, and a clip well below the typical gradient spoils
 * their mean before it spoils the order (docs/models.md). */
static double clip_of(const struct ym_plan *base)
{
    bool whole = base->family == YM_FAMILY_POISSON || ym_plan_survival(base);

    return two_digits((whole ? 4 : 1) * half_gradient(base));
}

static bool put(json_t *section, const char *key, json_t *value)
{
    return json_object_set_new(section, key, value) == 0;
}

static json_t *decimal(double v)
{
    char text[32];

    snprintf(text, sizeof text, "%.2g", v);
    return json_string(text);
}

static enum ym_code draft(const struct ym_plan *base, const struct ym_proposal *p, const struct length *l, json_t **out,
                          struct ym_status *st)
{
    json_t *root = NULL, *training, *privacy;
    double steps = (double)l->rounds * l->local_steps, reach = is_deep(base) ? REACH_DEEP : REACH;
    enum ym_code code = ym_json_parse(base->canonical.data, base->canonical.len, YM_PLAN_MAX_BYTES, &root, st);

    if (code != YM_OK)
        return code;
    training = json_object_get(root, "training");
    privacy = json_object_get(root, "privacy");
    if (!put(training, "rounds", json_integer(l->rounds)) ||
        !put(training, "local_steps", json_integer(l->local_steps)) ||
        !put(training, "sampling_probability", json_string(samplings[0])) ||
        !put(training, "nominal_patients", json_integer(p->nominal_patients)) ||
        !put(training, "learning_rate", decimal(reach / steps / two_digits(half_gradient(base)))) ||
        !put(privacy, "clip_norm", decimal(p->clip_norm))) {
        json_decref(root);
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    }
    *out = root;
    return YM_OK;
}

/* The plan at this length, noise and sampling still to be found. YM_NOT_FOUND when even the least sampling is too much.
 */
static enum ym_code at_length(const struct ym_plan *base, const struct ym_proposal *p, const struct length *l,
                              struct ym_plan **out, struct ym_status *st)
{
    json_t *root = NULL;
    struct ym_problems problems = {0};
    struct ym_doc *doc = NULL;
    bool passes;
    enum ym_code code = draft(base, p, l, &root, st);

    if (code != YM_OK)
        return code;
    doc = ym_doc_wrap("plan", root);
    json_decref(root);
    code = doc == NULL ? ym_status_set(st, YM_EXHAUSTED, "out of memory")
                       : ym_advice_read(doc, NULL, out, &passes, &problems, st);
    if (code == YM_INVALID && problems.count == 1 && strcmp(problems.item[0].key, "privacy.epsilon") == 0)
        code = ym_status_set(st, YM_NOT_FOUND, "no noise makes the plan fit its epsilon");
    else if (code == YM_INVALID && problems.count > 0)
        ym_status_set(st, code, "%s: %s", problems.item[0].key, problems.item[0].message);
    ym_problems_release(&problems);
    ym_doc_free(doc);
    return code;
}

/* Noise of hospital i is multiplied by its weight, and the sum divided by all weights. */
static double averaging(const struct ym_plan *plan)
{
    double sum = 0, squares = 0;

    for (size_t i = 0; i < plan->site_count; i++) {
        sum += plan->site[i].weight;
        squares += (double)plan->site[i].weight * plan->site[i].weight;
    }
    return sqrt(squares) / sum;
}

static enum ym_code find_row(const struct ym_plan *plan, size_t dim, struct ym_proposal_row *r, struct ym_status *st)
{
    struct ym_plan *checked = NULL;
    struct ym_decimal q;
    enum ym_code code = ym_advice_find(plan, plan->rounds, r->sampling, &r->noise, &checked, st);

    if (code == YM_NOT_FOUND)
        return YM_OK; /* fits stays false */
    if (code == YM_OK)
        code = ym_plan_epsilon(checked, 1, checked->rounds, &r->epsilon_micro, st);
    ym_plan_free(checked);
    if (code != YM_OK)
        return code;
    YM_ASSERT(ym_decimal_parse(r->sampling, &q, NULL) == YM_OK);
    r->fits = true;
    r->noise_per_coordinate = ym_decimal_double(r->noise) * plan->clip_norm * averaging(plan) /
                              (ym_decimal_double(q) * plan->nominal_patients);
    r->step_signal = plan->clip_norm / (r->noise_per_coordinate * sqrt((double)dim));
    r->run_signal = r->step_signal * sqrt((double)plan->rounds * plan->steps_per_round);
    return YM_OK;
}

/* The smallest sample whose noise is nearly the least. */
static size_t best_of(const struct ym_proposal_row *row)
{
    double least = INFINITY;
    size_t i = 0;

    for (size_t k = 0; k < YM_PROPOSAL_SAMPLINGS; k++)
        if (row[k].fits)
            least = fmin(least, row[k].noise_per_coordinate);
    while (i + 1 < YM_PROPOSAL_SAMPLINGS && !(row[i].fits && row[i].noise_per_coordinate <= least * NEARLY))
        i++;
    return i;
}

static enum ym_code fill_length(const struct ym_plan *base, size_t dim, const struct length *l, size_t at,
                                struct ym_proposal *p, struct ym_status *st)
{
    struct ym_plan *plan = NULL;
    enum ym_code code = at_length(base, p, l, &plan, st);

    for (size_t k = 0; k < YM_PROPOSAL_SAMPLINGS; k++) {
        struct ym_proposal_row *r = &p->row[at][k];

        *r = (struct ym_proposal_row){.rounds = l->rounds, .local_steps = l->local_steps};
        snprintf(r->sampling, sizeof r->sampling, "%s", samplings[k]);
        if (code == YM_OK)
            code = find_row(plan, dim, r, st);
    }
    p->best[at] = best_of(p->row[at]);
    ym_plan_free(plan);
    return code == YM_NOT_FOUND ? YM_OK : code; /* the rows say so */
}

/* As many steps as leave the signal of one clear of its noise. */
static size_t choose_length(const struct ym_proposal *p)
{
    size_t chosen = LEAST_LENGTH;

    for (size_t i = LEAST_LENGTH + 1; i < YM_PROPOSAL_LENGTHS; i++)
        if (p->row[i][p->best[i]].fits && p->row[i][p->best[i]].step_signal >= CLEAR)
            chosen = i;
    return chosen;
}

static enum ym_code take_plan(const struct ym_plan *base, const struct length *l, struct ym_proposal *p,
                              struct ym_status *st)
{
    const struct ym_proposal_row *r = &p->row[p->length][p->best[p->length]];
    struct ym_plan *plan = NULL;
    struct ym_decimal noise;
    enum ym_code code = r->fits ? at_length(base, p, l, &plan, st)
                                : ym_status_set(st, YM_NOT_FOUND, "no noise makes the plan fit its epsilon");

    if (code == YM_OK)
        code = ym_advice_find(plan, l->rounds, r->sampling, &noise, &p->plan, st);
    ym_plan_free(plan);
    return code;
}

enum ym_code ym_proposal_find(const struct ym_plan *base, size_t dim, const struct ym_cohort *cohort, size_t count,
                              struct ym_proposal *out, struct ym_status *st)
{
    const struct length *lengths = is_deep(base) ? deep : convex;
    struct ym_proposal p = {.nominal_patients = nominal_of(cohort, count), .clip_norm = clip_of(base)};
    enum ym_code code = YM_OK;

    for (size_t i = 0; i < YM_PROPOSAL_LENGTHS && code == YM_OK; i++)
        code = fill_length(base, dim, &lengths[i], i, &p, st);
    if (code != YM_OK)
        return code;
    p.length = choose_length(&p);
    code = take_plan(base, &lengths[p.length], &p, st);
    if (code == YM_OK)
        *out = p;
    return code;
}

double ym_proposal_delta(const struct ym_cohort *cohort, size_t count)
{
    uint32_t most = 1;
    double delta = 0.1;

    for (size_t i = 0; i < count; i++)
        most = cohort[i].high > most ? cohort[i].high : most;
    for (double tenfold = 1; tenfold < most; tenfold *= 10)
        delta /= 10;
    return delta;
}
