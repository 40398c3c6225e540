/* States recomputed from the hub's objects: plan, states and sums by hash. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/verify/verify.h"
#include "base/fs.h"
#include "models/model.h"
#include "models/state.h"
#include "tests/support/ledger_world.h"

static const char plan_yaml[] = "yumen: plan/1\n"
                                "study: wdbc\n"
                                "sponsor: acme\n"
                                "title: test\n"
                                "purpose: test\n"
                                "model:\n"
                                "  family: logistic\n"
                                "  inputs:\n"
                                "    - {name: radius, unit: mm, low: 6, high: 30}\n"
                                "  outcome: {name: malignant, levels: [benign, malignant]}\n"
                                "training:\n"
                                "  rounds: 2\n"
                                "  local_steps: 20\n"
                                "  sampling_probability: 0.125\n"
                                "  nominal_patients: 100\n"
                                "  learning_rate: 0.5\n"
                                "privacy:\n"
                                "  noise_multiplier: 2.0\n"
                                "  adaptive_clip: {quantile: 0.6}\n"
                                "  delta: %s\n"
                                "  epsilon: %s\n"
                                "federation:\n"
                                "  hospitals: [{name: h1, weight: 2}, {name: h2}]\n"
                                "  quorum: 2\n";
static const char metrics_yaml[] = "metrics: {every: 1, bins: 4, noise_multiplier: 4}\n";
static const char per_site_yaml[] = "metrics: {every: 1, bins: 4, noise_multiplier: 4, per_site: true}\n";

enum own { OWN_NONE, OWN_ADDS_UP, OWN_LIES }; /* what is kept of each hospital behind a sum */

struct asked { /* what a plan says; charged: the charges have metrics */
    bool metrics, charged;
    const char *delta, *epsilon;
    enum own own;
};

struct fixture {
    char dir[64], objects[80];
    char hash[6][65]; /* plan, states 0..2, sums 1..2 */
    struct world w;
};

static int remove_one(const char *path, const struct stat *s, int flag, struct FTW *f)
{
    (void)s;
    (void)flag;
    (void)f;
    return remove(path);
}

static void object_path(const struct fixture *f, int slot, char out[192])
{
    snprintf(out, 192, "%s/%s", f->objects, f->hash[slot]);
}

static void put_object(struct fixture *f, int slot, const struct ym_buf *b)
{
    uint8_t hash[32];
    char path[192];

    ym_sha256(b->data, b->len, hash);
    for (size_t i = 0; i < 32; i++)
        snprintf(f->hash[slot] + 2 * i, 3, "%02x", hash[i]);
    object_path(f, slot, path);
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){b->data, b->len}, 0644, NULL), YM_OK);
}

static struct ym_plan *read_plan(const struct asked *a)
{
    char text[sizeof(plan_yaml) + sizeof(per_site_yaml) + 32];
    int n;
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    struct ym_doc *doc = NULL;

    n = snprintf(text, sizeof(text), plan_yaml, a->delta, a->epsilon);
    snprintf(text + n, sizeof(text) - (size_t)n, "%s", a->own ? per_site_yaml : a->metrics ? metrics_yaml : "");
    assert_int_equal(ym_doc_parse("p.yaml", text, strlen(text), &doc, &p, NULL), YM_OK);
    assert_int_equal(ym_plan_read(doc, &plan, &p, NULL), YM_OK);
    ym_doc_free(doc);
    ym_problems_release(&p);
    return plan;
}

/* Everything was counted at h1, and nothing at h2; a lie has one more. */
static void fill_own(const struct ym_model *m, bool lie, int64_t *sum)
{
    int64_t *own = sum + ym_model_update_dim(m);

    memcpy(own, sum + ym_model_metric_at(m), m->metric_dim * sizeof *own);
    memset(own + m->metric_dim, 0, m->metric_dim * sizeof *own);
    own[2 * m->metric_dim - 1] = lie;
}

/* Two rounds of sums that nobody trained, and their states. */
static void make_objects(struct fixture *f, const struct asked *a)
{
    struct ym_plan *plan = read_plan(a);
    const char *survivor[] = {"h1", "h2"};
    struct ym_buf state = {0}, next = {0}, bytes = {0};
    struct ym_model model;
    int64_t *sum;

    assert_int_equal(ym_model_from_plan(plan, &model, NULL), YM_OK);
    sum = calloc(ym_model_update_dim(&model) + 2 * model.metric_dim, sizeof(*sum));
    put_object(f, 0, &plan->canonical);
    assert_int_equal(ym_state_initial(plan, &state, NULL), YM_OK);
    f->w.state_bytes = state.len;
    f->w.update_bytes = 8 * (json_int_t)ym_model_update_dim(&model);
    f->w.update_scale = plan->update_scale_bits;
    f->w.update_width = plan->update_width_bits;
    put_object(f, 1, &state);
    for (int round = 1; round <= 2; round++) {
        struct ym_round_sum r = {(uint32_t)round, sum, survivor, 2};

        for (size_t i = 0; i < ym_model_update_dim(&model); i++)
            sum[i] = (int64_t)(i + 1) * 1000003 * round;
        ym_buf_clear(&bytes);
        if (a->own)
            fill_own(&model, a->own == OWN_LIES && round == 2, sum);
        ym_buf_append(&bytes, sum, /* little-endian host */
                      8 * (ym_model_update_dim(&model) + (a->own ? 2 * model.metric_dim : 0)));
        put_object(f, 3 + round, &bytes);
        ym_buf_clear(&next);
        assert_int_equal(ym_state_next(plan, (struct ym_bytes){state.data, state.len}, &r, &next, NULL), YM_OK);
        put_object(f, 1 + round, &next);
        ym_buf_clear(&state);
        ym_buf_append(&state, next.data, next.len);
    }
    free(sum);
    ym_buf_release(&state);
    ym_buf_release(&next);
    ym_buf_release(&bytes);
    ym_plan_free(plan);
}

static int open_fixture(void **state, struct asked a)
{
    struct fixture *f = calloc(1, sizeof(*f));

    snprintf(f->dir, sizeof(f->dir), "/tmp/yumen-verify-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->objects, sizeof(f->objects), "%s/objects", f->dir);
    assert_int_equal(ym_fs_mkdirs(f->objects, 0755, NULL), YM_OK);
    make_objects(f, &a);
    f->w.plan = f->hash[0];
    for (int i = 0; i < 3; i++)
        f->w.state[i] = f->hash[1 + i];
    f->w.sum[0] = f->hash[4];
    f->w.sum[1] = f->hash[5];
    f->w.metric = a.charged;
    world_open(&f->w, f->dir, 0);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    return open_fixture(state, (struct asked){false, false, "1e-5", "5"});
}

static int setup_charged_not_asked(void **state)
{
    return open_fixture(state, (struct asked){false, true, "1e-5", "5"});
}

static int setup_asked_not_charged(void **state)
{
    return open_fixture(state, (struct asked){true, false, "1e-5", "5"});
}

static int setup_metrics(void **state)
{
    return open_fixture(state, (struct asked){true, true, "1e-5", "5"});
}

static int setup_per_site(void **state)
{
    return open_fixture(state, (struct asked){true, true, "1e-5", "5", OWN_ADDS_UP});
}

static int setup_per_site_lie(void **state)
{
    return open_fixture(state, (struct asked){true, true, "1e-5", "5", OWN_LIES});
}

/* The largest delta that the class 500-1999 allows is 1/19990. */
static int setup_large_delta(void **state)
{
    return open_fixture(state, (struct asked){false, false, "0.0001", "5"});
}

/* Two charges cost 2.10, three 2.55. */
static int setup_exact_epsilon(void **state)
{
    return open_fixture(state, (struct asked){false, false, "1e-5", "2.2"});
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    world_close(&f->w);
    nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* Verifies the hub's log with the objects; NULL: nothing found. */
static void expect(struct fixture *f, const char *reason, uint64_t states)
{
    struct ym_verify_options o = {f->w.trust, f->objects};
    const char *dir = f->w.log[WORLD_HUB].dir;
    struct ym_verification *v = NULL;
    const struct ym_finding *worst;

    world_write(&f->w);
    assert_int_equal(ym_verify(&dir, 1, &o, &v, NULL), YM_OK);
    worst = ym_verification_worst(v);
    if (worst)
        print_message("  %s: %s\n", ym_reason_name(worst->reason), worst->detail);
    assert_true(!worst == !reason);
    if (worst)
        assert_string_equal(ym_reason_name(worst->reason), reason);
    assert_int_equal(v->log[0].states, states);
    ym_verification_free(v);
}

static void honest_states_are_recomputed_to_the_bit(void **state)
{
    expect(*state, NULL, 2);
}

static void another_state_is_noticed(void **state)
{
    struct fixture *f = *state;

    json_object_set_new(world_at(&f->w, WORLD_HUB, "round_result", 1)->members, "state_after",
                        json_string(world_hash("a better model")));
    expect(f, "state_recomputed", 1);
}

/* The plan has two rounds and no early stop: the second result is the last. */
static void an_end_that_plan_and_state_do_not_give_is_noticed(void **state)
{
    struct fixture *f = *state;

    json_object_set_new(world_at(&f->w, WORLD_HUB, "round_result", 1)->members, "last", json_false());
    expect(f, "state_recomputed", 1);
}

static void a_hospital_left_out_of_the_mean_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct world_leaf *result = world_at(&f->w, WORLD_HUB, "round_result", 1);

    json_object_set_new(result->members, "survivors", json_pack("[s]", "h1"));
    json_object_set_new(result->members, "left_out", json_pack("[s]", "h2"));
    expect(f, "state_recomputed", 1);
}

/* Half as long again: with the sums alone nobody would see what the rest was. */
static void a_release_longer_than_its_plan_is_noticed(void **state)
{
    struct fixture *f = *state;

    json_object_set_new(world_at(&f->w, WORLD_HUB, "release", 3)->members, "bytes",
                        json_integer(f->w.update_bytes * 3 / 2));
    expect(f, "release_plan", 2);
}

static void a_release_on_a_finer_lattice_is_noticed(void **state)
{
    struct fixture *f = *state;

    json_object_set_new(world_at(&f->w, WORLD_HUB, "release", 3)->members, "scale_bits",
                        json_integer(f->w.update_scale + 1));
    expect(f, "release_plan", 2);
}

#define DIM_MOST 64

/* h1's updates are counted up from 7, h2's are what is then missing from the sum; more: added to one value of h2's. */
static void put_update(struct fixture *f, size_t nth, const char *folder, int64_t more)
{
    struct world_leaf *release = world_at(&f->w, WORLD_HUB, "release", nth);
    struct asked a = {false, false, "1e-5", "5"};
    struct ym_plan *plan = read_plan(&a);
    struct ym_model model;
    int64_t v[DIM_MOST], round = 1 + (int64_t)nth / 2;
    size_t dim;
    uint8_t hash[32];
    char hex[65], path[256];

    assert_int_equal(ym_model_from_plan(plan, &model, NULL), YM_OK);
    dim = ym_model_update_dim(&model);
    assert_true(dim <= DIM_MOST);
    for (size_t i = 0; i < dim; i++) {
        int64_t one = (int64_t)i + 7, weight = i < model.averaged ? 2 : 1;

        v[i] = nth % 2 == 0 ? one : (int64_t)(i + 1) * 1000003 * round - weight * one;
    }
    v[1] += more;
    ym_sha256(v, 8 * dim, hash);
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    json_object_set_new(release->members, "update", json_string(hex));
    assert_int_equal(ym_fs_mkdirs(folder, 0755, NULL), YM_OK);
    snprintf(path, sizeof(path), "%s/%s", folder, hex);
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){(const uint8_t *)v, 8 * dim}, 0644, NULL), YM_OK);
    ym_plan_free(plan);
}

static void expect_updates(struct fixture *f, const char *folder, const char *reason, uint64_t updates, uint64_t sums)
{
    struct ym_verify_options o = {.trust = f->w.trust, .objects = f->objects, .updates = folder, .certified = true};
    const char *dir = f->w.log[WORLD_HUB].dir;
    struct ym_verification *v = NULL;
    const struct ym_finding *worst;

    world_write(&f->w);
    assert_int_equal(ym_verify(&dir, 1, &o, &v, NULL), YM_OK);
    worst = ym_verification_worst(v);
    if (worst)
        print_message("  %s: %s\n", ym_reason_name(worst->reason), worst->detail);
    assert_true(!worst == !reason);
    if (worst)
        assert_string_equal(ym_reason_name(worst->reason), reason);
    assert_int_equal(v->log[0].updates, updates);
    assert_int_equal(v->log[0].sums, sums);
    assert_int_equal(v->log[0].states, 2);
    assert_int_equal(v->costs, 1); /* four charges alike */
    ym_verification_free(v);
}

static void updates_that_are_given_add_up_to_the_sums(void **state)
{
    struct fixture *f = *state;
    char folder[96];

    snprintf(folder, sizeof(folder), "%s/updates", f->dir);
    for (size_t i = 0; i < 3; i++)
        put_update(f, i, folder, 0);
    expect_updates(f, folder, NULL, 3, 1); /* the last one was not given: its round is not checked, and no crime */
}

static void updates_of_all_are_checked(void **state)
{
    struct fixture *f = *state;
    char folder[96];

    snprintf(folder, sizeof(folder), "%s/updates", f->dir);
    for (size_t i = 0; i < 4; i++)
        put_update(f, i, folder, 0);
    expect_updates(f, folder, NULL, 4, 2);
}

static void updates_that_give_another_sum_are_noticed(void **state)
{
    struct fixture *f = *state;
    char folder[96];

    snprintf(folder, sizeof(folder), "%s/updates", f->dir);
    for (size_t i = 0; i < 4; i++)
        put_update(f, i, folder, i == 3);
    expect_updates(f, folder, "sum_differs", 4, 1);
}

static void an_update_out_of_its_width_is_noticed(void **state)
{
    struct fixture *f = *state;
    char folder[96];

    snprintf(folder, sizeof(folder), "%s/updates", f->dir);
    for (size_t i = 0; i < 4; i++)
        put_update(f, i, folder, i == 3 ? (int64_t)1 << 40 : 0);
    expect_updates(f, folder, "update_differs", 3, 1);
}

static void a_damaged_update_is_noticed(void **state)
{
    struct fixture *f = *state;
    char folder[96], path[256];

    snprintf(folder, sizeof(folder), "%s/updates", f->dir);
    for (size_t i = 0; i < 4; i++)
        put_update(f, i, folder, 0);
    snprintf(path, sizeof(path), "%s/%s", folder,
             json_string_value(json_object_get(world_at(&f->w, WORLD_HUB, "release", 3)->members, "update")));
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){(const uint8_t *)"short", 5}, 0644, NULL), YM_OK);
    expect_updates(f, folder, "update_differs", 3, 1);
}

static void plans_that_were_not_given_are_counted(void **state)
{
    struct fixture *f = *state;
    struct ym_verify_options o = {.trust = f->w.trust, .objects = f->w.dir};
    const char *dir = f->w.log[WORLD_H1].dir;
    struct ym_verification *v = NULL;

    world_write(&f->w);
    assert_int_equal(ym_verify(&dir, 1, &o, &v, NULL), YM_OK);
    assert_int_equal(ym_verification_verdict(v), YM_VERDICT_GOOD);
    assert_int_equal(v->log[0].planless, 3); /* an approval and two charges */
    ym_verification_free(v);
}

static void another_start_is_noticed(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++) {
        json_object_set_new(world_at(&f->w, WORLD_HUB, "charge", i)->members, "state", json_string(f->w.state[1]));
        json_object_set_new(world_at(&f->w, WORLD_HUB, "release", i)->members, "state", json_string(f->w.state[1]));
    }
    json_object_set_new(world_at(&f->w, WORLD_HUB, "round_open", 0)->members, "state", json_string(f->w.state[1]));
    json_object_set_new(world_at(&f->w, WORLD_HUB, "round_result", 0)->members, "state_before",
                        json_string(f->w.state[1]));
    expect(f, "state_recomputed", 1);
}

static void a_lost_or_damaged_sum_is_a_gap(void **state)
{
    struct fixture *f = *state;
    char path[192];

    object_path(f, 4, path);
    assert_int_equal(truncate(path, 8), 0);
    expect(f, "object_missing", 1);
    assert_int_equal(unlink(path), 0);
    expect(f, "object_missing", 1);
}

static void metrics_that_are_charged_recompute(void **state)
{
    expect(*state, NULL, 2);
}

/* Both times the hash is the one that the hub signed. */
static void counts_of_hospitals_that_do_not_add_up_are_noticed(void **state)
{
    expect(*state, "state_recomputed", 1);
}

static void a_charge_for_other_events_than_the_plan_asks_is_noticed(void **state)
{
    expect(*state, "charge_plan", 2);
}

static void a_charge_by_another_route_is_noticed(void **state)
{
    struct fixture *f = *state;

    json_object_set_new(world_at(&f->w, WORLD_HUB, "charge", 0)->members, "route", json_string("bounded"));
    expect(f, "charge_plan", 2);
}

static void an_approval_of_another_epsilon_is_noticed(void **state)
{
    struct fixture *f = *state;

    json_object_set_new(world_at(&f->w, WORLD_HUB, "approval", 0)->members, "epsilon_micro", json_integer(4999999));
    expect(f, "approval_plan", 2);
}

static void an_approval_for_another_study_is_noticed(void **state)
{
    struct fixture *f = *state;
    json_t *other = json_copy(world_at(&f->w, WORLD_HUB, "approval", 0)->members);

    json_object_set_new(other, "study", json_string("other"));
    world_insert(&f->w, WORLD_HUB, world_find(&f->w, WORLD_HUB, "round_open", 0),
                 world_leaf(&f->w, "approval", other, "h1", f->w.h1));
    expect(f, "approval_plan", 2);
}

static void a_plan_whose_delta_is_too_large_for_the_class_is_noticed(void **state)
{
    expect(*state, "delta_too_large", 2);
}

/* Attempts 2 .. last of round 2, charged by h1. */
static void add_attempts(struct fixture *f, int last)
{
    for (int attempt = 2; attempt <= last; attempt++)
        world_insert(
            &f->w, WORLD_HUB, world_find(&f->w, WORLD_HUB, "round_result", 1),
            world_leaf(&f->w, "charge", world_charge(&f->w, "wdbc", 2, attempt, f->w.state[1], "a", 2), "h1", f->w.h1));
}

static void more_attempts_than_the_plan_allows_are_noticed(void **state)
{
    struct fixture *f = *state;

    add_attempts(f, 3);
    expect(f, NULL, 2);
    world_insert(&f->w, WORLD_HUB, world_find(&f->w, WORLD_HUB, "round_result", 1),
                 world_leaf(&f->w, "charge", world_charge(&f->w, "wdbc", 2, 4, f->w.state[1], "a", 2), "h1", f->w.h1));
    expect(f, "charge_plan", 2);
}

static void a_study_above_its_own_epsilon_is_noticed(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < 2; i++)
        json_object_set_new(world_at(&f->w, WORLD_HUB, "approval", i)->members, "epsilon_micro", json_integer(2200000));
    expect(f, NULL, 2);
    add_attempts(f, 2);
    expect(f, "cap_exceeded", 2);
}

enum { EACH = 3 }; /* the approval and two charges */

/* The terms that h1 signed, less than its plan asks; member NULL: as they are. */
static void expect_terms(struct fixture *f, const char *member, json_t *value, const char *reason, size_t findings)
{
    struct ym_verify_options o = {f->w.trust, f->objects};
    const char *dir = f->w.log[WORLD_H1].dir;
    json_t *terms = json_object_get(world_at(&f->w, WORLD_H1, "policy", 0)->members, "terms");
    json_t *before = member ? json_incref(json_object_get(terms, member)) : NULL;
    struct ym_verification *v = NULL;
    const struct ym_finding *worst;

    if (member)
        json_object_set_new(terms, member, value);
    for (size_t i = 0; i < f->w.log[WORLD_H1].count; i++)
        ym_buf_clear(&f->w.log[WORLD_H1].leaf[i]->line);
    world_write(&f->w);
    assert_int_equal(ym_verify(&dir, 1, &o, &v, NULL), YM_OK);
    worst = ym_verification_worst(v);
    if (worst)
        print_message("  %s: %s\n", ym_reason_name(worst->reason), worst->detail);
    assert_true(!worst == !reason);
    if (worst)
        assert_string_equal(ym_reason_name(worst->reason), reason);
    assert_int_equal(v->finding_total, findings);
    ym_verification_free(v);
    if (member)
        json_object_set_new(terms, member, before);
}

static void a_plan_that_the_policy_does_not_serve_is_noticed(void **state)
{
    struct fixture *f = *state;

    expect_terms(f, NULL, NULL, NULL, 0);
    expect_terms(f, "purposes", json_pack("[s]", "test"), NULL, 0);
    expect_terms(f, "purposes", json_pack("[s]", "tests"), "policy_terms", EACH);
    expect_terms(f, "models", json_pack("[s,s]", "linear", "logistic"), NULL, 0);
    expect_terms(f, "models", json_pack("[s]", "linear"), "policy_terms", EACH);
    expect_terms(f, "recipients", json_pack("[s]", "somebody"), "policy_terms", EACH);
    expect_terms(f, "columns", json_pack("{s:[s],s:[s]}", "inputs", "radius", "outcomes", "malignant"), NULL, 0);
    expect_terms(f, "columns", json_pack("{s:[s],s:s}", "inputs", "area", "outcomes", "any"), "policy_terms", EACH);
    expect_terms(f, "columns", json_pack("{s:s,s:[s]}", "inputs", "any", "outcomes", "radius"), "policy_terms", EACH);
    expect_terms(f, "columns", json_pack("{s:s,s:[s],s:s}", "inputs", "any", "never", "radius", "outcomes", "any"),
                 "policy_terms", EACH);
    expect_terms(f, "sponsors", json_pack("[s]", "other"), "policy_terms", EACH);
}

static void a_plan_above_the_policys_epsilon_for_a_study_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct asked a = {false, false, "1e-5", "5"};
    struct ym_plan *plan = read_plan(&a);
    int64_t micro = 0;

    assert_int_equal(ym_plan_epsilon_at(plan, 1, plan->rounds, plan->delta, &micro, NULL), YM_OK);
    expect_terms(f, "epsilon_study_micro", json_integer(micro), NULL, 0);
    /* and the second charge, by which so much was spent */
    expect_terms(f, "epsilon_study_micro", json_integer(micro - 1), "policy_terms", EACH + 1);
    ym_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(honest_states_are_recomputed_to_the_bit),
        CASE(another_state_is_noticed),
        CASE(a_release_longer_than_its_plan_is_noticed),
        CASE(a_release_on_a_finer_lattice_is_noticed),
        CASE(an_end_that_plan_and_state_do_not_give_is_noticed),
        CASE(a_hospital_left_out_of_the_mean_is_noticed),
        CASE(updates_that_are_given_add_up_to_the_sums),
        CASE(updates_of_all_are_checked),
        CASE(updates_that_give_another_sum_are_noticed),
        CASE(an_update_out_of_its_width_is_noticed),
        CASE(a_damaged_update_is_noticed),
        CASE(plans_that_were_not_given_are_counted),
        CASE(another_start_is_noticed),
        CASE(a_lost_or_damaged_sum_is_a_gap),
        CASE(a_charge_by_another_route_is_noticed),
        CASE(an_approval_of_another_epsilon_is_noticed),
        CASE(a_plan_that_the_policy_does_not_serve_is_noticed),
        CASE(a_plan_above_the_policys_epsilon_for_a_study_is_noticed),
        CASE(an_approval_for_another_study_is_noticed),
        CASE(more_attempts_than_the_plan_allows_are_noticed),
        cmocka_unit_test_setup_teardown(a_plan_whose_delta_is_too_large_for_the_class_is_noticed, setup_large_delta,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_study_above_its_own_epsilon_is_noticed, setup_exact_epsilon, teardown),
        cmocka_unit_test_setup_teardown(metrics_that_are_charged_recompute, setup_metrics, teardown),
        cmocka_unit_test_setup_teardown(metrics_that_are_charged_recompute, setup_per_site, teardown),
        cmocka_unit_test_setup_teardown(counts_of_hospitals_that_do_not_add_up_are_noticed, setup_per_site_lie,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_charge_for_other_events_than_the_plan_asks_is_noticed,
                                        setup_charged_not_asked, teardown),
        cmocka_unit_test_setup_teardown(a_charge_for_other_events_than_the_plan_asks_is_noticed,
                                        setup_asked_not_charged, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
