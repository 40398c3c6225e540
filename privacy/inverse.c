#include <math.h>
#include <stdbool.h>

#include "privacy/clip.h"
#include "privacy/inverse.h"

#define NEAR 2000 /* the certified figure is about 3e-4 above the estimate */
#define SIGMA_MAX ((uint64_t)1 << 40)

static enum ym_code rdp_epsilon(const struct ym_event *e, size_t count, double delta, double *epsilon,
                                struct ym_status *st)
{
    struct ym_rdp r;

    if (!(delta > 0 && delta < 1))
        return ym_status_set(st, YM_INVALID, "delta must be between 0 and 1");
    ym_rdp_clear(&r);
    for (size_t i = 0; i < count; i++) {
        enum ym_code code = ym_rdp_add(&r, &e[i], st);

        if (code != YM_OK)
            return code;
    }
    *epsilon = ym_rdp_epsilon(&r, delta, NULL);
    return YM_OK;
}

enum ym_code ym_accountant_epsilon(enum ym_accountant a, const struct ym_event *e, size_t count, double delta,
                                   double *epsilon, struct ym_status *st)
{
    switch (a) {
    case YM_ACCOUNTANT_RDP:
        return rdp_epsilon(e, count, delta, epsilon, st);
    case YM_ACCOUNTANT_CONTOUR:
        return ym_contour_epsilon(e, count, delta, epsilon, st);
    case YM_ACCOUNTANT_PLD:
        return ym_pld_epsilon(e, count, delta, epsilon, st);
    }
    return ym_status_set(st, YM_INVALID, "no such accountant");
}

struct question {
    enum ym_accountant accountant;
    double epsilon, delta;
    struct ym_event *event;
    size_t count;
    uint64_t *unknown; /* of event[0] */
};

static bool fits(const struct question *q, uint64_t value)
{
    double epsilon;

    *q->unknown = value;
    return ym_accountant_epsilon(q->accountant, q->event, q->count, q->delta, &epsilon, NULL) == YM_OK &&
           epsilon <= q->epsilon;
}

static bool is_sound(const struct question *q)
{
    const struct ym_event *e = q->event;

    return q->epsilon > 0 && q->delta > 0 && q->delta < 1 && q->count > 0 && e->sampling_k > 0 &&
           (q->unknown == &e->sigma_units ? e->steps : e->sigma_units) > 0;
}

/* hint: what a slightly cheaper accountant answered, 0 for none. */
static enum ym_code least_noise(const struct question *q, uint64_t hint, uint64_t *found, struct ym_status *st)
{
    uint64_t low = hint ? hint - 1 : 0, high = hint ? hint : YM_CLIP_UNITS, gap = hint ? hint / NEAR + 1 : high;

    for (; !fits(q, high); gap *= 2) {
        if (high >= SIGMA_MAX)
            return ym_status_set(st, YM_INVALID, "no noise up to 2^40 lattice units reaches the epsilon asked for");
        low = high;
        high += gap;
    }
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        *(fits(q, middle) ? &high : &low) = middle;
    }
    *found = high;
    return YM_OK;
}

static uint64_t most_between(const struct question *q, uint64_t low, uint64_t high)
{
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        *(fits(q, middle) ? &low : &high) = middle;
    }
    return low;
}

static uint64_t most_steps(const struct question *q)
{
    uint64_t low = 0, high = 1;

    while (high < YM_STEPS_MAX && fits(q, high)) {
        low = high;
        high = high * 2 < YM_STEPS_MAX ? high * 2 : YM_STEPS_MAX;
    }
    return high == YM_STEPS_MAX && fits(q, high) ? high : most_between(q, low, high);
}

static uint64_t most_steps_below(const struct question *q, uint64_t hint)
{
    uint64_t low = hint, high = hint + 1;

    for (uint64_t gap = hint / NEAR + 1; low > 0 && !fits(q, low); gap *= 2) {
        high = low;
        low = low > gap ? low - gap : 0;
    }
    return most_between(q, low, high);
}

/* The estimate's answer to the same question; 0 where it has none. */
static uint64_t estimated(const struct question *certified)
{
    struct question q = *certified;
    uint64_t found = 0;

    q.accountant = YM_ACCOUNTANT_CONTOUR;
    if (q.unknown == &q.event->steps)
        return most_steps(&q);
    return least_noise(&q, 0, &found, NULL) == YM_OK ? found : 0;
}

enum ym_code ym_accountant_noise(enum ym_accountant a, double epsilon, double delta, struct ym_event *e, size_t count,
                                 struct ym_status *st)
{
    struct question q = {a, epsilon, delta, e, count, count > 0 ? &e->sigma_units : NULL};
    uint64_t before, found = 0;
    enum ym_code code;

    if (count == 0 || !is_sound(&q))
        return ym_status_set(st, YM_INVALID,
                             "epsilon, delta, sampling probability and steps must be positive, delta below 1");
    before = e->sigma_units;
    code = least_noise(&q, a == YM_ACCOUNTANT_PLD ? estimated(&q) : 0, &found, st);
    e->sigma_units = code == YM_OK ? found : before;
    return code;
}

enum ym_code ym_accountant_steps(enum ym_accountant a, double epsilon, double delta, struct ym_event *e, size_t count,
                                 struct ym_status *st)
{
    struct question q = {a, epsilon, delta, e, count, count > 0 ? &e->steps : NULL};

    if (count == 0 || !is_sound(&q))
        return ym_status_set(st, YM_INVALID,
                             "epsilon, delta, noise and sampling probability must be positive, delta below 1");
    e->steps = a == YM_ACCOUNTANT_PLD ? most_steps_below(&q, estimated(&q)) : most_steps(&q);
    return YM_OK;
}
