/* The self-test's figures (audit/probe), two ways. The step that ships, on the CSV that yumen-audit selftest writes,
 * passes them all: two hospitals of 100 rounds each, q 0.1, sigma 1, and the short studies beside them. And models of
 * broken trainers, one fault each, miss the figure that is there for it. Kernel generator: every run is a new sample;
 * a correct step fails with probability below 1e-6 (probe.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audit/probe/probe.h"
#include "privacy/accountant.h"
#include "privacy/bounded.h"
#include "privacy/clip.h"
#include "privacy/noise.h"
#include "tests/support/frozen.h"
#include "worker/trainer/local.h"

#define DELTA 1e-5
enum { ROUNDS = 100, DIM = YM_PSEUDO_COLUMNS + 1 };

static const struct ym_pseudo_study apart[2] = {
    {"apart-h1", YM_PSEUDO_INPUTS_ALL, "1", "0.1", ROUNDS, false, "h1", "integer"},
    {"apart-h2", YM_PSEUDO_INPUTS_ALL, "1", "0.1", ROUNDS, false, "h2", "integer"},
};
static const struct ym_pseudo_study half = {"half", YM_PSEUDO_INPUTS_KIND, "4", "0.5", 30, true, NULL, "integer"};
static const struct ym_pseudo_study whole = {"whole", YM_PSEUDO_INPUTS_KIND, "4", "1", 10, true, NULL, "integer"};
static const struct ym_pseudo_study rare = {"rare", YM_PSEUDO_INPUTS_FEW, "1", "0.0001", 30, true, NULL, "integer"};

static struct ym_pseudo hospital[2];
static const struct ym_pseudo *const both[2] = {&hospital[0], &hospital[1]};

static double claimed_epsilon(void)
{
    struct ym_event e = {YM_CLIP_UNITS, (uint64_t)ldexp(0.1, 64), ROUNDS};
    struct ym_rdp rdp;

    ym_rdp_clear(&rdp);
    assert_int_equal(ym_rdp_add(&rdp, &e, NULL), YM_OK);
    return ym_rdp_epsilon(&rdp, DELTA, NULL);
}

static struct ym_view view_new(const struct ym_pseudo_study *s)
{
    struct ym_view v = {.rounds = s->rounds, .dim = ym_pseudo_dim(s->inputs), .q = atof(s->q)};

    v.sigma = atof(s->sigma) * (s->both ? M_SQRT2 : 1);
    v.sum = calloc(v.rounds * v.dim, sizeof(double));
    assert_non_null(v.sum);
    return v;
}

static void view_drop(struct ym_view *v)
{
    free((double *)(uintptr_t)v->sum);
}

static double *cell(const struct ym_view *v, size_t t, size_t i)
{
    return (double *)(uintptr_t)v->sum + t * v->dim + i;
}

static void must(const struct ym_probes *p, enum ym_probe_id id, bool pass)
{
    const struct ym_probe *x = &p->at[id];

    if (ym_probe_passed(x) != pass)
        fail_msg("%c %s: %g, limits %g to %g, should %s", ym_probe_part(id), ym_probe_name(id), x->measured, x->low,
                 x->high, pass ? "pass" : "be missed");
}

static void must_all(const struct ym_probes *p)
{
    for (int id = 0; id < YM_PROBE_G_EPSILON; id++)
        must(p, (enum ym_probe_id)id, true);
}

/* ---- the step that ships ---- */

static struct ym_frozen *frozen_of(const struct ym_pseudo *p)
{
    struct ym_buf card_text = {0}, csv = {0};
    struct ym_frozen *out;
    struct ym_card *card;

    assert_int_equal(ym_pseudo_card(&card_text), YM_OK);
    assert_int_equal(ym_pseudo_csv(p, &csv), YM_OK);
    card = card_must(ym_buf_str(&card_text));
    out = frozen_must(card, ym_buf_bytes(&csv));
    ym_card_free(card);
    ym_buf_release(&card_text);
    ym_buf_release(&csv);
    return out;
}

static enum ym_code open_kernel(void *ctx, struct ym_rng **out, struct ym_status *st)
{
    (void)ctx;
    return ym_rng_open(out, st);
}

/* Adds a hospital's rounds to the view, as the hub adds up. */
static void train(const struct ym_pseudo_study *asked, const char *route, const struct ym_frozen *data,
                  const struct ym_view *v)
{
    struct ym_pseudo_study with_route = *asked, *s = &with_route;
    struct ym_buf text = {0}, report = {0};
    struct ym_table *table = NULL;
    struct ym_plan *plan;
    struct ym_model m;
    int64_t *update = calloc(v->dim, sizeof *update);
    float *params = calloc(v->dim, sizeof *params);

    s->route = route;
    assert_int_equal(ym_pseudo_plan(s, "0.00001", "20", &text), YM_OK);
    plan = plan_must(ym_buf_str(&text));
    assert_int_equal(ym_model_from_plan(plan, &m, NULL), YM_OK);
    assert_int_equal(m.dim, v->dim);
    assert_int_equal(ym_table_build(plan, data, NULL, &table, &report, NULL), YM_OK);
    for (size_t t = 0; t < v->rounds; t++) {
        assert_int_equal(ym_local_round(plan, &m, table, params, NULL, NULL, 1, open_kernel, NULL, update, NULL),
                         YM_OK);
        for (size_t i = 0; i < v->dim; i++)
            *cell(v, t, i) += ym_pseudo_noised(update[i], v->q);
    }
    ym_table_free(table);
    ym_plan_free(plan);
    ym_buf_release(&text);
    ym_buf_release(&report);
    free(update);
    free(params);
}

/* One hospital takes the integer route, the other the bounded one. */
static void the_step_that_ships_passes_every_figure(void **state)
{
    static const char *const route[2] = {"integer", "bounded"};
    struct ym_view v[2] = {view_new(&apart[0]), view_new(&apart[1])};
    struct ym_view vh = view_new(&half), vw = view_new(&whole), vr = view_new(&rare);
    struct ym_probes found = {0};

    (void)state;
    for (int h = 0; h < 2; h++) {
        struct ym_frozen *data;

        ym_pseudo_toss(&hospital[h]);
        data = frozen_of(&hospital[h]);
        train(&apart[h], route[h], data, &v[h]);
        train(&half, route[h], data, &vh);
        for (int k = 0; k < 2 && h; k++)
            hospital[h].kept[k] = ym_bounded_radius(YM_CLIP_UNITS, vw.dim, 2 + (size_t)k) / YM_CLIP_UNITS;
        train(&whole, route[h], data, &vw);
        train(&rare, route[h], data, &vr);
        ym_frozen_free(data);
    }
    assert_int_equal(ym_probe_apart(both, v, claimed_epsilon(), DELTA, &found), YM_OK);
    ym_probe_batches(both, &vh, &found);
    ym_probe_amplitude(both, &vw, &found);
    ym_probe_empty(&vr, rare.rounds, &found);
    must_all(&found);
    print_message("epsilon %.3f claimed; at least %.3f by one run, %.3f by f-DP\n", claimed_epsilon(),
                  found.at[YM_PROBE_F_ONE_RUN].measured, found.at[YM_PROBE_F_GAUSSIAN].measured);
    view_drop(&v[0]);
    view_drop(&v[1]);
    view_drop(&vh);
    view_drop(&vw);
    view_drop(&vr);
}

/* ---- models of broken trainers ---- */

enum sampling { POISSON, SHUFFLED, FIXED_SIZE };
struct fault {
    double noise, q;        /* factors; 1 is right */
    double two, three;      /* clip norms that a patient with two rows shows, and with three; 1 is right */
    unsigned repeat;        /* the same noise for so many rounds */
    bool one_seed;          /* the hospitals draw the same noise */
    bool realised;          /* divided by the size of the batch that was drawn */
    bool bare_intercept;    /* no noise on the intercept */
    bool silent_when_empty; /* an empty batch gives zeros */
    enum sampling sampling;
};
static const struct fault right = {.noise = 1, .q = 1, .two = 1, .three = 1, .repeat = 1};

/* Patients in any order; who takes part in a step is decided per patient. */
struct members {
    size_t count, column[4 * YM_PSEUDO_CANARIES];
    double amplitude[4 * YM_PSEUDO_CANARIES];
    size_t order[4 * YM_PSEUDO_CANARIES], at;
};

static void add_member(struct members *m, const struct fault *f, enum ym_pseudo_inputs inputs, size_t index,
                       size_t column)
{
    size_t kind = ym_pseudo_sign(index) < 0;

    m->column[m->count] = inputs == YM_PSEUDO_INPUTS_KIND ? kind : column;
    m->amplitude[m->count] = ym_pseudo_sign(index) * (kind ? f->three : f->two);
    m->order[m->count] = m->count;
    m->count++;
}

static void gather(const struct ym_pseudo *p, const struct fault *f, enum ym_pseudo_inputs inputs, struct members *m)
{
    m->count = m->at = 0;
    for (size_t j = 0; j < YM_PSEUDO_CANARIES; j++)
        if (p->in[j])
            add_member(m, f, inputs, j, j);
    for (size_t i = 0; i < YM_PSEUDO_CROWDS * YM_PSEUDO_CROWD; i++)
        add_member(m, f, inputs, i / YM_PSEUDO_CROWD, YM_PSEUDO_CANARIES + i / YM_PSEUDO_CROWD);
}

static void shuffle(struct members *m, struct ym_rng *rng)
{
    for (size_t i = m->count; i > 1; i--) {
        size_t k = ym_rng_u64(rng) % i, swap = m->order[k];

        m->order[k] = m->order[i - 1];
        m->order[i - 1] = swap;
    }
    m->at = 0;
}

static size_t choose(struct members *m, const struct fault *f, double q, struct ym_rng *rng, uint32_t *chosen)
{
    size_t batch = (size_t)((double)m->count * q);

    if (f->sampling == POISSON)
        return ym_sample_patients(m->count, q >= 1 ? UINT64_MAX : (uint64_t)ldexp(q, 64), rng, chosen);
    if (f->sampling == FIXED_SIZE || m->at + batch > m->count)
        shuffle(m, rng);
    for (size_t i = 0; i < batch; i++)
        chosen[i] = (uint32_t)m->order[m->at++];
    return batch;
}

/* Adds one hospital's rounds; noise is whole lattice units. */
static void pretend(const struct fault *f, const struct ym_pseudo *p, const struct ym_pseudo_study *s,
                    const struct ym_view *v, const struct ym_view *noise_of)
{
    static struct members m;
    static uint32_t chosen[4 * YM_PSEUDO_CANARIES];
    int64_t *noise = calloc(v->dim, sizeof *noise);
    struct ym_rng *rng = NULL;
    double sigma = atof(s->sigma) * f->noise;

    assert_int_equal(ym_rng_open(&rng, NULL), YM_OK);
    gather(p, f, s->inputs, &m);
    for (size_t t = 0; t < v->rounds; t++) {
        size_t count = choose(&m, f, fmin(1, v->q * f->q), rng, chosen);
        double scale = f->realised && count ? v->q * (double)m.count / (double)count : 1;

        if (t % f->repeat == 0) {
            memset(noise, 0, v->dim * sizeof *noise);
            ym_noise_add(noise, v->dim, (uint64_t)(sigma * YM_CLIP_UNITS), rng);
        }
        if (f->silent_when_empty && count == 0)
            continue;
        for (size_t i = 0; i < v->dim; i++)
            if (!f->bare_intercept || i + 1 < v->dim)
                *cell(v, t, i) += noise_of ? *cell(noise_of, t, i) : (double)noise[i] / YM_CLIP_UNITS * scale;
        for (size_t i = 0; i < count; i++)
            if (m.column[chosen[i]] + 1 < v->dim)
                *cell(v, t, m.column[chosen[i]]) += m.amplitude[chosen[i]] * scale;
    }
    ym_rng_close(&rng);
    free(noise);
}

static void look(const struct fault *f, struct ym_probes *found)
{
    struct ym_view v[2] = {view_new(&apart[0]), view_new(&apart[1])};
    struct ym_view vh = view_new(&half), vw = view_new(&whole), vr = view_new(&rare);

    for (int h = 0; h < 2; h++) {
        ym_pseudo_toss(&hospital[h]);
        pretend(f, &hospital[h], &apart[h], &v[h], h && f->one_seed ? &v[0] : NULL);
        pretend(f, &hospital[h], &half, &vh, NULL);
        pretend(f, &hospital[h], &whole, &vw, NULL);
        pretend(f, &hospital[h], &rare, &vr, NULL);
    }
    assert_int_equal(ym_probe_apart(both, v, claimed_epsilon(), DELTA, found), YM_OK);
    ym_probe_batches(both, &vh, found);
    ym_probe_amplitude(both, &vw, found);
    ym_probe_empty(&vr, rare.rounds, found);
    view_drop(&v[0]);
    view_drop(&v[1]);
    view_drop(&vh);
    view_drop(&vw);
    view_drop(&vr);
}

static void a_sound_model_passes(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    look(&f, &found);
    must_all(&found);
}

static void one_percent_less_noise_is_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.noise = 0.99;
    look(&f, &found);
    must(&found, YM_PROBE_A_SPREAD, false);
}

static void half_the_noise_shows_in_spread_and_crowds(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.noise = 0.5;
    look(&f, &found);
    must(&found, YM_PROBE_A_SPREAD, false);
    must(&found, YM_PROBE_A_INTERCEPT, false);
    must(&found, YM_PROBE_C_SQUARE, false);
    must(&found, YM_PROBE_E_SPREAD, false);
}

static void noise_used_again_is_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.repeat = 10;
    look(&f, &found);
    must(&found, YM_PROBE_B_ROUND, false);
    must(&found, YM_PROBE_B_ANY_TWO, false);
}

static void hospitals_with_one_seed_are_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.one_seed = true;
    look(&f, &found);
    must(&found, YM_PROBE_B_HOSPITAL, false);
}

static void no_clip_is_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.two = 500;
    f.three = 333;
    look(&f, &found);
    must(&found, YM_PROBE_C_MEAN, false);
    must(&found, YM_PROBE_C_TWO_ROWS, false);
}

static void a_clip_one_percent_too_wide_is_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.two = 1.01;
    f.three = 1.01;
    look(&f, &found);
    must(&found, YM_PROBE_C_TWO_ROWS, false);
    must(&found, YM_PROBE_C_THREE_ROWS, false);
}

/* A row (x, 1) clipped alone shows C / sqrt(2); two of them add up. */
static void a_clip_by_row_is_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.two = M_SQRT1_2;
    f.three = M_SQRT2;
    look(&f, &found);
    must(&found, YM_PROBE_C_TWO_ROWS, false);
    must(&found, YM_PROBE_C_THREE_ROWS, false);
}

static void twice_the_sampling_probability_is_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.q = 2;
    look(&f, &found);
    must(&found, YM_PROBE_C_MEAN, false);
    must(&found, YM_PROBE_C_SQUARE, false);
    must(&found, YM_PROBE_C_CROWD, false);
}

static void shuffling_is_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.sampling = SHUFFLED;
    look(&f, &found);
    must(&found, YM_PROBE_D_PATIENT, false);
    must(&found, YM_PROBE_D_BATCH, false);
    must(&found, YM_PROBE_C_CROWD, true);
}

static void batches_of_fixed_size_are_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.sampling = FIXED_SIZE;
    look(&f, &found);
    must(&found, YM_PROBE_D_BATCH, false);
}

static void dividing_by_the_batch_that_was_drawn_is_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.realised = true;
    look(&f, &found);
    must(&found, YM_PROBE_A_ROUNDS, false);
}

static void an_empty_batch_without_noise_is_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.silent_when_empty = true;
    look(&f, &found);
    must(&found, YM_PROBE_E_SPREAD, false);
    must(&found, YM_PROBE_A_SPREAD, true);
}

static void an_intercept_without_noise_is_seen(void **state)
{
    struct ym_probes found = {0};
    struct fault f = right;

    (void)state;
    f.bare_intercept = true;
    look(&f, &found);
    must(&found, YM_PROBE_A_INTERCEPT, false);
    must(&found, YM_PROBE_A_SPREAD, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_step_that_ships_passes_every_figure),
        cmocka_unit_test(a_sound_model_passes),
        cmocka_unit_test(one_percent_less_noise_is_seen),
        cmocka_unit_test(half_the_noise_shows_in_spread_and_crowds),
        cmocka_unit_test(noise_used_again_is_seen),
        cmocka_unit_test(hospitals_with_one_seed_are_seen),
        cmocka_unit_test(no_clip_is_seen),
        cmocka_unit_test(a_clip_one_percent_too_wide_is_seen),
        cmocka_unit_test(a_clip_by_row_is_seen),
        cmocka_unit_test(twice_the_sampling_probability_is_seen),
        cmocka_unit_test(shuffling_is_seen),
        cmocka_unit_test(batches_of_fixed_size_are_seen),
        cmocka_unit_test(dividing_by_the_batch_that_was_drawn_is_seen),
        cmocka_unit_test(an_empty_batch_without_noise_is_seen),
        cmocka_unit_test(an_intercept_without_noise_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
