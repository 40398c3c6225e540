#include "gate/advice.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "gate/plan_internal.h"
#include "privacy/accountant.h"
#include "privacy/clip.h"

static const __int128 micro_scaled = (__int128)1000000000000; /* 10^-6 */

/* Sets a member of a section; a section that is no mapping is left for the reader to report. */
static bool put(json_t *root, const char *section, const char *key, json_t *value)
{
    json_t *at = json_object_get(root, section);
    if (json_is_object(at))
        return json_object_set_new(at, key, value) == 0;
    json_decref(value);
    return true;
}

/* Its problems are told by the reading that follows. */
static bool passes_as_written(const struct ym_doc *doc)
{
    struct ym_problems ignored = {0};
    struct ym_plan *plan = NULL;
    bool yes = ym_plan_read(doc, &plan, &ignored, NULL) == YM_OK;
    ym_plan_free(plan);
    ym_problems_release(&ignored);
    return yes;
}

enum ym_code ym_advice_read(struct ym_doc *doc, const char *epsilon, struct ym_plan **out, bool *passes,
                            struct ym_problems *p, struct ym_status *st)
{
    json_t *root = ym_doc_root(doc);
    if (epsilon && !put(root, "privacy", "epsilon", json_string(epsilon)))
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    bool yes = passes_as_written(doc);
    if (!put(root, "privacy", "noise_multiplier", json_string(ym_plan_noise_most)))
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    enum ym_code code = ym_plan_read(doc, out, p, st);
    if (code == YM_OK)
        *passes = yes;
    return code;
}

static enum ym_code draft(const struct ym_plan *plan, uint32_t rounds, const char *sampling, struct ym_decimal noise,
                          json_t **out, struct ym_status *st)
{
    struct ym_buf text = {0};
    json_t *root = NULL;
    enum ym_code code = ym_decimal_format(noise, &text);
    if (code == YM_OK)
        code = ym_json_parse(plan->canonical.data, plan->canonical.len, YM_PLAN_MAX_BYTES, &root, st);
    if (code == YM_OK && (!put(root, "training", "rounds", json_integer(rounds)) ||
                          (sampling && !put(root, "training", "sampling_probability", json_string(sampling))) ||
                          !put(root, "privacy", "noise_multiplier", json_string(ym_buf_str(&text)))))
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    ym_buf_release(&text);
    if (code == YM_OK)
        *out = root;
    else
        json_decref(root);
    return code;
}

/* What plan check does with the draft. YM_NOT_FOUND: all is well but epsilon. */
static enum ym_code check(json_t *root, struct ym_plan **out, struct ym_status *st)
{
    struct ym_problems p = {0};
    struct ym_doc *doc = ym_doc_wrap("plan", root);
    if (!doc)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    enum ym_code code = ym_plan_read(doc, out, &p, st);
    if (code == YM_INVALID && p.count == 1 && !strcmp(p.item[0].key, "privacy.epsilon"))
        code = ym_status_set(st, YM_NOT_FOUND, "no noise makes the plan fit its epsilon");
    else if (code == YM_INVALID && p.count)
        ym_status_set(st, code, "%s: %s", p.item[0].key, p.item[0].message);
    ym_problems_release(&p);
    ym_doc_free(doc);
    return code;
}

static enum ym_code try_noise(const struct ym_plan *plan, uint32_t rounds, const char *sampling,
                              struct ym_decimal noise, struct ym_plan **out, struct ym_status *st)
{
    json_t *root = NULL;
    enum ym_code code = draft(plan, rounds, sampling, noise, &root, st);
    if (code == YM_OK)
        code = check(root, out, st);
    json_decref(root);
    return code;
}

/* Epsilon as the check sees it, floored to millionths (below one, only a cost of nothing passes); noise the least of
 * six decimals that gives the units needed. */
static enum ym_code calibrate(const struct ym_plan *plan, uint32_t rounds, uint64_t k, struct ym_decimal *noise,
                              struct ym_status *st)
{
    struct ym_plan asked = *plan; /* only read, by what computes costs */
    uint64_t sigma;
    double epsilon = (double)(int64_t)(plan->epsilon_max.scaled / micro_scaled) / 1e6;
    asked.rounds = rounds;
    asked.sampling_k = k;
    if (ym_plan_calibrate(&asked, fmax(epsilon, DBL_MIN), &sigma, NULL) != YM_OK)
        return ym_status_set(st, YM_NOT_FOUND, "no noise makes the plan fit its epsilon");
    /* A plan's noise is itself rounded up to the lattice: anything above sigma - 1 units gives sigma. */
    noise->scaled = ((__int128)(sigma - 1) * 1000000 / YM_CLIP_UNITS + 1) * micro_scaled;
    return YM_OK;
}

static enum ym_code sampling_k(const struct ym_plan *plan, const char *sampling, uint64_t *k, struct ym_status *st)
{
    struct ym_decimal q;
    if (!sampling) {
        *k = plan->sampling_k;
        return YM_OK;
    }
    enum ym_code code = ym_decimal_parse(sampling, &q, st);
    return code == YM_OK ? ym_decimal_k64(q, k, st) : code;
}

enum ym_code ym_advice_find(const struct ym_plan *plan, uint32_t rounds, const char *sampling, struct ym_decimal *noise,
                            struct ym_plan **checked, struct ym_status *st)
{
    uint64_t k;
    struct ym_decimal z = {0}, most;
    enum ym_code code = sampling_k(plan, sampling, &k, st);
    if (code == YM_OK)
        code = calibrate(plan, rounds, k, &z, st);
    if (code != YM_OK)
        return code;
    YM_ASSERT(ym_decimal_parse(ym_plan_noise_most, &most, NULL) == YM_OK);
    /* The check adds round by round and rounds each sum up, by at most 10^-12 in all; even at the greatest noise, where
     * a millionth moves epsilon least, a few of them cover that. */
    for (int more = 0; more < 8 && z.scaled <= most.scaled; more++, z.scaled += micro_scaled) {
        code = try_noise(plan, rounds, sampling, z, checked, st);
        if (code == YM_OK)
            *noise = z;
        if (code != YM_NOT_FOUND)
            break;
    }
    return code;
}
