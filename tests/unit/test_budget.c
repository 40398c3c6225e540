#include <math.h>

#include "base/calendar.h"
#include "ledger_help.h"

#include "audit/ledger/budget.h"
#include "audit/ledger/recover.h"
#include "audit/limits.h"
#include "audit/spend.h"
#include "privacy/clip.h"

struct fixture {
    char dir[64];
    struct ym_key *key;
    struct ym_ledger *l;
    uint32_t round;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    help_temp(f->dir);
    f->key = help_key();
    assert_int_equal(ym_ledger_open(f->dir, ORIGIN, f->key, &f->l, NULL), YM_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ym_ledger_close(&f->l);
    ym_key_free(f->key);
    help_remove(f->dir);
    free(f);
    return 0;
}

/* Takes members. */
static void put(struct fixture *f, const char *type, json_t *members)
{
    struct ym_buf line = {0};
    struct ym_bytes leaf;

    assert_non_null(members);
    assert_int_equal(ym_leaf_sign(type, members, "h1", 1700000000, f->key, &line, NULL), YM_OK);
    leaf = (struct ym_bytes){line.data, line.len};
    assert_int_equal(ym_ledger_append(f->l, &leaf, 1, NULL, NULL), YM_OK);
    ym_buf_release(&line);
    json_decref(members);
}

#define ORDER_MILLI 3400

static json_t *policy(int64_t cap_micro, int64_t delta_e18)
{
    return json_pack("{s:I,s:I,s:i,s:i,s:I,s:s,s:s}", "epsilon_cap_micro", (json_int_t)cap_micro, "delta_e18",
                     (json_int_t)delta_e18, "order_milli", ORDER_MILLI, "min_patients", 10, "epsilon_month_micro",
                     (json_int_t)cap_micro, "unit", "patient", "relation", "add-or-remove-one");
}

static void put_policy(struct fixture *f, int64_t cap_micro, int64_t delta_e18)
{
    put(f, "policy", policy(cap_micro, delta_e18));
}

static void put_card(struct fixture *f, const char *dataset, const char *shares)
{
    json_t *group = shares ? json_pack("[s,s]", dataset, shares) : json_pack("[s]", dataset);

    put(f, "dataset_card",
        json_pack("{s:s,s:s,s:s,s:{s:s,s:s},s:o}", "dataset", dataset, "card", "00", "data", "00", "public",
                  "size_class", "100-499", "patient_identifier", "row", "group", group));
}

/* sigma = 2 C, q = 1/2 by default, ten steps. */
static json_t *charge(const char *study, uint32_t round, const char *dataset)
{
    return json_pack("{s:s,s:I,s:i,s:s,s:s,s:s,s:i,s:s,s:s,s:i,s:[],s:s,s:s,s:s}", "study", study, "round",
                     (json_int_t)round, "attempt", 1, "dataset", dataset, "mechanism",
                     "poisson-sampled rounded gaussian", "route", "integer", "clip_units", YM_CLIP_UNITS,
                     "noise_variance", "1125899906842624", "sampling_k", "9223372036854775808", "steps", 10, "also",
                     "unit", "patient", "relation", "add-or-remove-one", "accountant", "rdp/1");
}

static int64_t spent(struct fixture *f, const char *dataset)
{
    struct ym_budget *b = NULL;
    int64_t micro, cap, delta;

    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_spent(b, dataset, &micro, &cap, &delta, NULL), YM_OK);
    ym_budget_free(b);
    return micro;
}

/* What the accountant says of n such charges together. */
static struct ym_rdp composed(uint64_t charges)
{
    struct ym_event e = {2 * YM_CLIP_UNITS, (uint64_t)1 << 63, 10 * charges};
    struct ym_rdp r;

    ym_rdp_clear(&r);
    assert_int_equal(ym_rdp_add(&r, &e, NULL), YM_OK);
    return r;
}

/* At the policy's order. */
static int64_t expected(uint64_t charges, double delta)
{
    struct ym_rdp r = composed(charges);

    return ym_epsilon_micro(ym_rdp_epsilon_at(&r, delta, ORDER_MILLI / 1000.0));
}

static int64_t expected_tight(uint64_t charges, double delta)
{
    struct ym_rdp r = composed(charges);

    return ym_epsilon_micro(ym_rdp_epsilon(&r, delta, NULL));
}

/* Upward rounding may add a millionth, never take one. */
static void assert_figure(int64_t got, int64_t want)
{
    if (got < want || got > want + 1)
        fail_msg("%lld millionths, expected %lld", (long long)got, (long long)want);
}

static void fresh_data_set_has_spent_nothing(void **state)
{
    put_policy(*state, 3000000, 10000000000000);
    put_card(*state, "a", NULL);
    assert_int_equal(spent(*state, "a"), 0);
}

static void two_studies_compose_on_the_same_patients(void **state)
{
    struct fixture *f = *state;

    put_policy(f, 30000000, 10000000000000);
    put_card(f, "a", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    assert_figure(spent(f, "a"), expected(1, 1e-5));
    put(f, "charge", charge("s2", 1, "a"));
    assert_figure(spent(f, "a"), expected(2, 1e-5));
    /* Composed as one mechanism: more than one study's, less than their sum. */
    assert_true(spent(f, "a") > expected(1, 1e-5));
    assert_true(spent(f, "a") < 2 * expected(1, 1e-5));
}

static void data_sets_that_share_patients_share_the_budget(void **state)
{
    struct fixture *f = *state;

    put_policy(f, 30000000, 10000000000000);
    put_card(f, "a", NULL);
    put_card(f, "b", "a");
    put_card(f, "c", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    assert_figure(spent(f, "b"), expected(1, 1e-5));
    assert_int_equal(spent(f, "c"), 0);
    put(f, "charge", charge("s1", 2, "c"));
    put_card(f, "d", "c"); /* joining afterwards brings along what was spent */
    put_card(f, "d", "b");
    assert_figure(spent(f, "a"), expected(2, 1e-5));
    assert_figure(spent(f, "d"), expected(2, 1e-5));
    put_card(f, "d", NULL); /* and a later card cannot leave the group */
    assert_figure(spent(f, "d"), expected(2, 1e-5));
}

static void spent_is_counted_at_the_one_order_of_the_policy(void **state)
{
    struct fixture *f = *state;
    struct ym_budget *b = NULL;
    struct ym_tight tight = {0};

    put_policy(f, 30000000, 10000000000000);
    put_card(f, "a", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    assert_true(expected(1, 1e-5) > expected_tight(1, 1e-5) + 10000); /* else this test could not tell them apart */
    assert_figure(spent(f, "a"), expected(1, 1e-5));
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_order_milli(b), ORDER_MILLI);
    assert_int_equal(ym_budget_tight(b, "a", NULL, &tight, NULL), YM_OK);
    assert_true(tight.certified); /* never above what Renyi says of the same charges, and not by much below */
    assert_true(tight.micro <= expected_tight(1, 1e-5) && tight.micro > expected_tight(1, 1e-5) * 3 / 4);
    assert_int_equal(ym_budget_tight(b, "b", NULL, &tight, NULL), YM_NOT_FOUND);
    assert_figure(ym_budget_at(b, 0)->round_micro, expected_tight(1, 1e-5));
    assert_figure(ym_budget_at(b, 0)->spent_micro, expected(1, 1e-5));
    assert_figure(ym_budget_at(b, 0)->tight_micro, expected_tight(1, 1e-5));
    assert_int_equal(ym_budget_at(b, 0)->order_milli, ORDER_MILLI);
    ym_budget_free(b);
}

/* A cap between the two figures refuses. */
static void the_cap_goes_by_the_order_whatever_order_would_be_better(void **state)
{
    struct fixture *f = *state;
    struct ym_events e = {1, {{2 * YM_CLIP_UNITS, (uint64_t)1 << 63, 10}}, {YM_USE_TRAINING}};
    struct ym_budget *b = NULL;
    int64_t alone, after;

    put_policy(f, expected(2, 1e-5) - 1000, 10000000000000);
    put_card(f, "a", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    assert_true(expected_tight(2, 1e-5) < expected(2, 1e-5) - 2000);
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_check(b, "a", &e, &alone, &after, NULL), YM_EXHAUSTED);
    ym_budget_free(b);
}

static void an_order_that_is_missing_off_the_grid_or_changed_is_a_full_stop(void **state)
{
    static const struct {
        const char *text; /* of order_milli, NULL: missing */
        enum ym_code first, later;
    } each[] = {
        {"3400", YM_OK, YM_OK},
        {"7500", YM_OK, YM_CORRUPT},
        {"1024000", YM_OK, YM_CORRUPT},
        {NULL, YM_CORRUPT, YM_CORRUPT},
        {"0", YM_CORRUPT, YM_CORRUPT},
        {"-3400", YM_CORRUPT, YM_CORRUPT},
        {"1000", YM_CORRUPT, YM_CORRUPT},
        {"3401", YM_CORRUPT, YM_CORRUPT},
        {"11100", YM_CORRUPT, YM_CORRUPT},
        {"64000", YM_CORRUPT, YM_CORRUPT},
        {"9223372036854775807", YM_CORRUPT, YM_CORRUPT},
        {"\"3400\"", YM_CORRUPT, YM_CORRUPT},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
        json_t *first = policy(5000000, 10000000000000), *changed = json_copy(first);
        struct ym_buf line[2] = {{0}, {0}};

        json_object_del(changed, "order_milli");
        if (each[i].text)
            json_object_set_new(changed, "order_milli", json_loads(each[i].text, JSON_DECODE_ANY, NULL));
        assert_int_equal(ym_leaf_sign("policy", first, "h1", 1, f->key, &line[0], NULL), YM_OK);
        assert_int_equal(ym_leaf_sign("policy", changed, "h1", 1, f->key, &line[1], NULL), YM_OK);
        for (int later = 0; later < 2; later++) {
            struct ym_budget *b = NULL;

            assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
            if (later)
                assert_int_equal(ym_budget_take(b, (struct ym_bytes){line[0].data, line[0].len}, NULL), YM_OK);
            assert_int_equal(ym_budget_take(b, (struct ym_bytes){line[1].data, line[1].len}, NULL),
                             later ? each[i].later : each[i].first);
            ym_budget_free(b);
        }
        ym_buf_release(&line[0]);
        ym_buf_release(&line[1]);
        json_decref(first);
        json_decref(changed);
    }
}

static void budget_never_shrinks(void **state)
{
    struct fixture *f = *state;
    int64_t before = 0;

    put_policy(f, 30000000, 10000000000000);
    put_card(f, "a", NULL);
    for (uint32_t round = 1; round <= 20; round++) {
        int64_t now;

        put(f, "charge", charge("s1", round, "a"));
        put(f, "abort", json_pack("{s:s}", "study", "s1"));
        put_card(f, "a", NULL);
        now = spent(f, "a");
        assert_true(now > before);
        before = now;
    }
}

static void latest_policy_decides_and_history_stays(void **state)
{
    struct fixture *f = *state;
    struct ym_budget *b = NULL;
    int64_t micro, cap, delta;

    put_policy(f, 5000000, 10000000000000);
    put_card(f, "a", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    put_policy(f, 1000000, 1000000000000);
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_spent(b, "a", &micro, &cap, &delta, NULL), YM_OK);
    assert_int_equal(cap, 1000000);
    assert_int_equal(delta, 1000000000000);
    assert_figure(micro, expected(1, 1e-6));
    assert_int_equal(ym_budget_count(b), 1);
    assert_int_equal(ym_budget_at(b, 0)->cap_micro, 5000000);
    assert_figure(ym_budget_at(b, 0)->spent_micro, expected(1, 1e-5));
    assert_true(ym_budget_charged(b, "s1", 1, 1));
    assert_false(ym_budget_charged(b, "s1", 1, 2));
    assert_false(ym_budget_charged(b, "s2", 1, 1));
    ym_budget_free(b);
}

static void check_stops_at_the_cap(void **state)
{
    struct fixture *f = *state;
    struct ym_events e = {1, {{2 * YM_CLIP_UNITS, (uint64_t)1 << 63, 10}}, {YM_USE_TRAINING}};
    struct ym_budget *b = NULL;
    struct ym_status st = YM_STATUS_INIT;
    int64_t alone = -1, after = -1;

    put_policy(f, expected(2, 1e-5) + 1, 10000000000000);
    put_card(f, "a", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_check(b, "a", &e, &alone, &after, NULL), YM_OK);
    assert_figure(alone, expected_tight(1, 1e-5));
    assert_figure(after, expected(2, 1e-5));
    e.event[0].steps = 11;
    assert_int_equal(ym_budget_check(b, "a", &e, &alone, &after, &st), YM_EXHAUSTED);
    assert_non_null(strstr(st.message, "cap"));
    assert_int_equal(ym_budget_check(b, "b", &e, &alone, &after, NULL), YM_NOT_FOUND);
    e.event[0].sigma_units = 0;
    assert_int_equal(ym_budget_check(b, "a", &e, &alone, &after, NULL), YM_INVALID);
    ym_budget_free(b);
}

static void without_a_policy_nothing_is_allowed(void **state)
{
    struct fixture *f = *state;
    struct ym_events e = {1, {{2 * YM_CLIP_UNITS, (uint64_t)1 << 63, 10}}, {YM_USE_TRAINING}};
    struct ym_budget *b = NULL;
    int64_t alone, after;

    put_card(f, "a", NULL);
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_check(b, "a", &e, &alone, &after, NULL), YM_DENIED);
    ym_budget_free(b);
}

static void order_of_charges_does_not_matter_to_the_bit(void **state)
{
    struct ym_event e[3] = {{3 << 24, 1ull << 60, 7}, {2 << 24, 1ull << 62, 3}, {3 << 24, 1ull << 61, 5}};
    static const int order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct ym_spend_cache *cache = ym_spend_cache_new();
    int64_t first = 0;

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct ym_spend s = {0};
        struct ym_events last = {1, {e[order[i][2]]}, {YM_USE_TRAINING}};
        int64_t micro, plus;

        ym_spend_add(&s, &e[order[i][0]], NULL);
        ym_spend_add(&s, &e[order[i][1]], NULL);
        assert_int_equal(ym_spend_micro_at(&s, &last, 1000000000000, 3400, cache, &plus, NULL), YM_OK);
        ym_spend_add(&s, &e[order[i][2]], NULL);
        assert_int_equal(ym_spend_micro_at(&s, NULL, 1000000000000, 3400, cache, &micro, NULL), YM_OK);
        assert_int_equal(plus, micro);
        first = i == 0 ? micro : first;
        assert_int_equal(micro, first);
        ym_spend_release(&s);
    }
    ym_spend_cache_free(cache);
}

/* The charge of charge() and, of the same patients, a metric at sigma = 4 C of everybody. */
static json_t *metric_event(void)
{
    return json_pack("{s:s,s:s,s:s,s:i}", "for", "metric", "noise_variance", "4503599627370496", "sampling_k",
                     "18446744073709551615", "steps", 1);
}

static json_t *charge_with(json_t *also)
{
    json_t *o = charge("s1", 1, "a");

    json_object_set_new(o, "also", also);
    return o;
}

static void all_events_of_a_charge_are_spent(void **state)
{
    static const struct ym_events both = {
        2,
        {{2 * YM_CLIP_UNITS, (uint64_t)1 << 63, 10}, {4 * YM_CLIP_UNITS, UINT64_MAX, 1}},
        {YM_USE_TRAINING, YM_USE_METRIC}};
    struct fixture *f = *state;
    const struct ym_budget_line *line;
    struct ym_budget *b = NULL;
    struct ym_rdp r;
    int64_t alone, after;

    put_policy(f, 20000000, 10000000000000);
    put_card(f, "a", NULL);
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_check(b, "a", &both, &alone, &after, NULL), YM_OK);
    ym_budget_free(b);
    put(f, "charge", charge_with(json_pack("[o]", metric_event())));
    ym_rdp_clear(&r);
    ym_rdp_add(&r, &both.event[0], NULL);
    ym_rdp_add(&r, &both.event[1], NULL);
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    line = ym_budget_at(b, 0);
    assert_figure(line->round_micro, ym_epsilon_micro(ym_rdp_epsilon(&r, 1e-5, NULL)));
    assert_figure(line->spent_micro, ym_epsilon_micro(ym_rdp_epsilon_at(&r, 1e-5, ORDER_MILLI / 1000.0)));
    assert_true(line->round_micro > expected_tight(1, 1e-5) + 1000);
    assert_int_equal(line->round_micro, alone);
    assert_int_equal(line->spent_micro, after);
    assert_int_equal(line->events.count, 2);
    assert_int_equal(line->events.use[1], YM_USE_METRIC);
    ym_budget_free(b);
}

static void an_event_that_cannot_be_understood_is_a_full_stop(void **state)
{
    static const struct {
        const char *key, *text;
        int64_t number;
    } bad[] = {{"for", "training", 0}, {"for", "", 0},    {"noise_variance", "2", 0}, {"sampling_k", "0", 0},
               {"steps", NULL, 0},     {"extra", "x", 0}, {"sampling_k", NULL, 1}};
    struct fixture *f = *state;
    struct ym_budget *b = NULL;

    put_policy(f, 5000000, 10000000000000);
    put_card(f, "a", NULL);
    for (size_t i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *list = json_array(), *members;
        struct ym_buf line = {0};

        for (size_t k = 0; k < (i < sizeof(bad) / sizeof(bad[0]) ? 1 : 5); k++)
            json_array_append_new(list, metric_event());
        if (i < sizeof(bad) / sizeof(bad[0]))
            json_object_set_new(json_array_get(list, 0), bad[i].key,
                                bad[i].text ? json_string(bad[i].text) : json_integer(bad[i].number));
        members = charge_with(list);
        assert_int_equal(ym_leaf_sign("charge", members, "h1", 1, f->key, &line, NULL), YM_OK);
        assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
        assert_int_equal(ym_budget_take(b, (struct ym_bytes){line.data, line.len}, NULL), YM_CORRUPT);
        ym_budget_free(b);
        ym_buf_release(&line);
        json_decref(members);
    }
}

static void charges_that_cannot_be_understood_are_a_full_stop(void **state)
{
    static const struct {
        const char *key;
        const char *text; /* NULL: the integer */
        int64_t number;
    } bad[] = {
        {"mechanism", "laplace", 0}, {"unit", "record", 0},      {"relation", "replace-one", 0},
        {"accountant", "prv/9", 0},  {"route", "float", 0},      {"clip_units", NULL, 1},
        {"noise_variance", "0", 0},  {"noise_variance", "2", 0}, {"noise_variance", "01", 0},
        {"noise_variance", NULL, 4}, {"sampling_k", "0", 0},     {"sampling_k", "18446744073709551616", 0},
        {"sampling_k", "-1", 0},     {"steps", NULL, 0},         {"steps", NULL, -1},
        {"steps", "10", 0},          {"dataset", "unknown", 0},  {"dataset", "A", 0},
        {"round", NULL, 0},          {"attempt", NULL, 0},       {"study", "", 0},
        {"also", "metric", 0},       {"also", NULL, 1},
    };
    struct fixture *f = *state;
    struct ym_budget *b = NULL;

    put_policy(f, 5000000, 10000000000000);
    put_card(f, "a", NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *members = charge("s1", 1, "a");
        struct ym_buf line = {0};
        struct ym_status st = YM_STATUS_INIT;

        json_object_set_new(members, bad[i].key, bad[i].text ? json_string(bad[i].text) : json_integer(bad[i].number));
        assert_int_equal(ym_leaf_sign("charge", members, "h1", 1, f->key, &line, NULL), YM_OK);
        assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
        assert_int_equal(ym_budget_take(b, (struct ym_bytes){line.data, line.len}, &st), YM_CORRUPT);
        /* and it stays stopped */
        ym_buf_clear(&line);
        help_leaf(f->key, 1, &line);
        assert_int_equal(ym_budget_take(b, (struct ym_bytes){line.data, line.len}, &st), YM_CORRUPT);
        ym_budget_free(b);
        ym_buf_release(&line);
        json_decref(members);
    }
}

static void the_same_attempt_charged_twice_is_a_full_stop(void **state)
{
    struct fixture *f = *state;
    struct ym_budget *b = NULL;

    put_policy(f, 5000000, 10000000000000);
    put_card(f, "a", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    put(f, "charge", charge("s1", 1, "a"));
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_CORRUPT);
    assert_null(b);
}

/* ---- taking back what was lost ---- */

static struct ym_buf line_of(struct fixture *f, const char *type, json_t *members)
{
    struct ym_buf line = {0};

    assert_non_null(members);
    assert_int_equal(ym_leaf_sign(type, members, "h1", 1700000000, f->key, &line, NULL), YM_OK);
    json_decref(members);
    return line;
}

static struct ym_buf charge_line(struct fixture *f, uint32_t round, int64_t spent_micro)
{
    json_t *o = charge("s1", round, "a");

    json_object_set_new(o, "epsilon_spent_micro", json_integer(spent_micro));
    return line_of(f, "charge", o);
}

/* The recover leaf for one line, and both appended. */
static json_t *take_back(struct fixture *f, struct ym_buf *line)
{
    struct ym_bytes lines[2];
    struct ym_recover r = {.hub_size = 9, .line = &lines[1], .count = 1, .reason = "an old backup"};
    struct ym_buf leaf;
    json_t *members = NULL;

    lines[1] = (struct ym_bytes){line->data, line->len};
    assert_int_equal(ym_recover_members(f->l, &r, &members, NULL), YM_OK);
    leaf = line_of(f, "recover", json_incref(members));
    lines[0] = (struct ym_bytes){leaf.data, leaf.len};
    assert_int_equal(ym_ledger_append(f->l, lines, 2, NULL, NULL), YM_OK);
    ym_buf_release(&leaf);
    ym_buf_release(line);
    return members;
}

static void a_charge_that_comes_back_is_spent_as_before(void **state)
{
    struct fixture *f = *state;
    struct ym_buf line;
    json_t *members;

    put_policy(f, 5000000, 10000000000000);
    put_card(f, "a", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    line = charge_line(f, 2, expected(2, 1e-5));
    members = take_back(f, &line);
    assert_int_equal(json_array_size(json_object_get(members, "lost")), 0);
    assert_figure(spent(f, "a"), expected(2, 1e-5));
    json_decref(members);
}

/* Rounds 2 to 4 are lost; the hub holds 4 alone, which says what was spent with all of them. */
static void spent_is_the_largest_figure_that_a_line_tells_of(void **state)
{
    struct fixture *f = *state;
    struct ym_buf line;
    json_t *members;
    int64_t now;

    put_policy(f, 9000000, 10000000000000);
    put_card(f, "a", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    line = charge_line(f, 4, expected(4, 1e-5));
    members = take_back(f, &line);
    now = spent(f, "a");
    assert_int_equal(json_array_size(json_object_get(members, "lost")), 1);
    assert_true(now >= expected(4, 1e-5) && now <= expected(4, 1e-5) + 100);
    json_decref(members);
}

/* Two workers charged the same attempt: both happened. */
static void an_attempt_that_comes_back_besides_another_is_spent_twice(void **state)
{
    struct fixture *f = *state;
    struct ym_buf line;
    struct ym_budget *b = NULL;

    put_policy(f, 5000000, 10000000000000);
    put_card(f, "a", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    line = charge_line(f, 1, expected(1, 1e-5));
    json_decref(take_back(f, &line));
    assert_figure(spent(f, "a"), expected(2, 1e-5));
    put(f, "charge", charge("s1", 1, "a")); /* behind what came back, once is once again */
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_CORRUPT);
}

static void a_policy_of_another_signer_is_a_full_stop(void **state)
{
    struct fixture *f = *state;
    struct ym_key *own = f->key, *other = help_key();
    struct ym_budget *b = NULL;

    put(f, "genesis", json_pack("{s:s}", "role", "hospital"));
    put_policy(f, 5000000, 10000000000000);
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    ym_budget_free(b);
    b = NULL;
    f->key = other;
    put_policy(f, 50000000, 10000000000000);
    f->key = own;
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_CORRUPT);
    ym_key_free(other);
}

/* ---- what needs an explanation, and deltas ---- */

static enum ym_code may_charge(struct fixture *f, const char *dataset, struct ym_status *st)
{
    struct ym_budget *b = NULL;
    struct ym_events e = {.count = 1, .event = {{20 * (uint64_t)YM_CLIP_UNITS, (uint64_t)1 << 60, 1}}};
    int64_t alone, after;
    enum ym_code code;

    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    code = ym_budget_check(b, dataset, &e, &alone, &after, st);
    ym_budget_free(b);
    return code;
}

static json_t * override(const char *subject, int64_t epsilon_micro)
{
    return json_pack("{s:s,s:I,s:s}", "subject", subject, "epsilon_micro", (json_int_t)epsilon_micro, "reason",
                     "a simulation study on public data");
}

static void a_cap_above_twenty_needs_an_earlier_override(void **state)
{
    struct fixture *f = *state;
    struct ym_status st = YM_STATUS_INIT;

    put_policy(f, 20000000, 10000000000000);
    put_card(f, "a", NULL);
    assert_int_equal(may_charge(f, "a", &st), YM_OK);
    put_policy(f, 20000001, 10000000000000);
    assert_int_equal(may_charge(f, "a", &st), YM_DENIED);
    assert_non_null(strstr(st.message, "--override"));
    put(f, "override", override("policy", 25000000));
    assert_int_equal(may_charge(f, "a", &st), YM_DENIED); /* it came after the policy */
    put_policy(f, 25000000, 10000000000000);
    assert_int_equal(may_charge(f, "a", &st), YM_OK);
    put_policy(f, 25000001, 10000000000000);
    assert_int_equal(may_charge(f, "a", &st), YM_DENIED); /* it allows less */
}

static void an_override_explains_one_subject_up_to_its_epsilon(void **state)
{
    struct fixture *f = *state;
    struct ym_budget *b = NULL;

    put_policy(f, 5000000, 10000000000000);
    put(f, "override", override("00ff", 30000000));
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_true(ym_budget_explained(b, "00fe", 20000000));
    assert_false(ym_budget_explained(b, "00fe", 20000001));
    assert_true(ym_budget_explained(b, "00ff", 30000000));
    assert_false(ym_budget_explained(b, "00ff", 30000001));
    assert_false(ym_budget_explained(b, "policy", 20000001));
    ym_budget_free(b);
}

static void an_override_without_a_reason_is_a_full_stop(void **state)
{
    struct fixture *f = *state;
    struct ym_budget *b = NULL;
    json_t *o = override("policy", 30000000);

    json_object_set_new(o, "reason", json_string(""));
    put(f, "override", o);
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_CORRUPT);
}

/* The cards here say 100-499: 1 / 4990 = 200400801603206 units of 1e-18. */
static void delta_is_held_against_the_size_class(void **state)
{
    struct fixture *f = *state;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_budget *b = NULL;

    put_policy(f, 5000000, 200400801603206);
    put_card(f, "a", "b");
    assert_int_equal(may_charge(f, "a", &st), YM_OK);
    assert_int_equal(may_charge(f, "b", &st), YM_DENIED); /* named in a group only: no card, no class */
    assert_non_null(strstr(st.message, "size class"));
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_delta(b, "a", 200400801603206, true, &st), YM_OK);
    assert_int_equal(ym_budget_delta(b, "a", 200400801603207, true, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "plan"));
    assert_string_equal(ym_budget_card(b, "a")->identified, "row");
    ym_budget_free(b);
    put_policy(f, 5000000, 200400801603207);
    assert_int_equal(may_charge(f, "a", &st), YM_DENIED);
    assert_non_null(strstr(st.message, "10 x 499"));
}

static void size_classes_count_by_their_upper_end(void **state)
{
    (void)state;
    assert_int_equal(ym_size_class_patients("<100"), 99);
    assert_int_equal(ym_size_class_patients("2000-9999"), 9999);
    assert_int_equal(ym_size_class_patients(">=10000"), 10000);
    assert_int_equal(ym_size_class_patients("100"), 0);
    assert_int_equal(ym_size_class_delta_e18(">=10000"), 10000000000000);
    assert_int_equal(ym_size_class_delta_e18(""), 0);
}

/* ---- the month ---- */

#define OCTOBER_31_2359_CHINA 1698767999
#define NOVEMBER_1_CHINA 1698768000

static void months_turn_at_midnight_in_china(void **state)
{
    (void)state;
    assert_int_equal(ym_month_of(0), 0);
    assert_int_equal(ym_month_of(OCTOBER_31_2359_CHINA), 12 * 53 + 9);
    assert_int_equal(ym_month_of(NOVEMBER_1_CHINA), 12 * 53 + 10);
    assert_int_equal(ym_month_of(1709135999), 12 * 54 + 1);     /* 28 February 2024 23:59:59 */
    assert_int_equal(ym_month_of(1709222400 - 1), 12 * 54 + 1); /* 29 February */
    assert_int_equal(ym_month_of(1709222400), 12 * 54 + 2);
    assert_int_equal(ym_month_of(INT64_MAX) > 0, 1);
}

static void put_at(struct fixture *f, const struct ym_key *key, int64_t time, const char *type, json_t *members)
{
    struct ym_buf line = {0};
    struct ym_bytes leaf;

    assert_int_equal(ym_leaf_sign(type, members, "h1", time, key, &line, NULL), YM_OK);
    leaf = (struct ym_bytes){line.data, line.len};
    assert_int_equal(ym_ledger_append(f->l, &leaf, 1, NULL, NULL), YM_OK);
    ym_buf_release(&line);
    json_decref(members);
}

static json_t *policy_with_month(int64_t month_micro)
{
    json_t *o = policy(20000000, 10000000000000);

    json_object_set_new(o, "epsilon_month_micro", json_integer(month_micro));
    return o;
}

static const struct ym_events one_round = {.count = 1, .event = {{2 * (uint64_t)YM_CLIP_UNITS, (uint64_t)1 << 63, 10}}};

/* Sum of n such charges' divergences at the policy's order. */
static int64_t added(uint64_t charges)
{
    struct ym_rdp r = composed(charges);
    const double *order;
    size_t n = ym_rdp_orders(&order), i = 0;

    while (i < n && order[i] != ORDER_MILLI / 1000.0)
        i++;
    assert_true(i < n);
    return ym_epsilon_micro(r.at[i]);
}

static enum ym_code month_check(struct fixture *f, int64_t now, int64_t *so_far, struct ym_status *st)
{
    struct ym_budget *b = NULL;
    enum ym_code code;

    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_month(b, "a", NULL, now, so_far, NULL), YM_OK);
    code = ym_budget_month_check(b, "a", &one_round, now, st);
    ym_budget_free(b);
    return code;
}

static void a_month_takes_no_more_than_its_limit_and_gives_nothing_back(void **state)
{
    struct fixture *f = *state;
    struct ym_status st = YM_STATUS_INIT;
    int64_t so_far, before;

    put_at(f, f->key, OCTOBER_31_2359_CHINA - 100, "policy", policy_with_month(added(2) + 1));
    put_at(f, f->key, OCTOBER_31_2359_CHINA - 100, "dataset_card",
           json_pack("{s:s,s:{s:s},s:[s]}", "dataset", "a", "public", "size_class", "100-499", "group", "a"));
    put_at(f, f->key, OCTOBER_31_2359_CHINA - 90, "charge", charge("s1", 1, "a"));
    assert_int_equal(month_check(f, OCTOBER_31_2359_CHINA, &so_far, &st), YM_OK);
    assert_figure(so_far, added(1));
    put_at(f, f->key, OCTOBER_31_2359_CHINA, "charge", charge("s1", 2, "a"));
    assert_int_equal(month_check(f, OCTOBER_31_2359_CHINA, &so_far, &st), YM_EXHAUSTED);
    assert_non_null(strstr(st.message, "next month"));
    assert_figure(so_far, added(2));
    before = spent(f, "a");
    assert_int_equal(month_check(f, NOVEMBER_1_CHINA, &so_far, &st), YM_OK);
    assert_int_equal(so_far, 0);
    assert_int_equal(spent(f, "a"), before); /* the lifetime budget stays as it is */
    assert_figure(before, expected(2, 1e-5));
}

static void a_clock_that_goes_back_opens_no_month(void **state)
{
    struct fixture *f = *state;
    struct ym_key *other = help_key();
    int64_t so_far;

    put_at(f, f->key, NOVEMBER_1_CHINA, "genesis", json_pack("{s:s}", "role", "hospital"));
    put_at(f, f->key, NOVEMBER_1_CHINA, "policy", policy_with_month(added(1) + 1));
    put_at(f, f->key, NOVEMBER_1_CHINA, "dataset_card",
           json_pack("{s:s,s:{s:s},s:[s]}", "dataset", "a", "public", "size_class", "100-499", "group", "a"));
    put_at(f, f->key, NOVEMBER_1_CHINA, "charge", charge("s1", 1, "a"));
    assert_int_equal(month_check(f, OCTOBER_31_2359_CHINA, &so_far, NULL), YM_EXHAUSTED);
    /* nor does anybody else's clock move this hospital's month */
    put_at(f, other, 1800000000, "enrol", json_pack("{s:s}", "role", "hub"));
    assert_int_equal(month_check(f, NOVEMBER_1_CHINA + 1, &so_far, NULL), YM_EXHAUSTED);
    assert_figure(so_far, added(1));
    /* a charge dated back counts in the newest month */
    put_at(f, f->key, 1600000000, "charge", charge("s1", 2, "a"));
    assert_int_equal(month_check(f, NOVEMBER_1_CHINA + 1, &so_far, NULL), YM_EXHAUSTED);
    assert_figure(so_far, added(2));
    ym_key_free(other);
}

static void a_group_shares_its_month(void **state)
{
    struct fixture *f = *state;
    int64_t so_far;

    put(f, "policy", policy_with_month(added(1) + 1));
    put_card(f, "b", NULL);
    put(f, "charge", charge("s1", 1, "b"));
    put_card(f, "a", NULL);
    assert_int_equal(month_check(f, 1700000000, &so_far, NULL), YM_OK);
    put_card(f, "a", "b");
    assert_int_equal(month_check(f, 1700000000, &so_far, NULL), YM_EXHAUSTED);
    assert_figure(so_far, added(1));
}

/* ---- how many more ---- */

static void repeat(const void *ctx, uint32_t rounds, struct ym_events *out)
{
    const struct ym_events *one = ctx;

    *out = *one;
    for (size_t i = 0; i < out->count; i++)
        out->event[i].steps *= rounds;
}

static void the_rounds_that_fit_are_the_most_that_fit(void **state)
{
    struct fixture *f = *state;
    struct ym_budget *b = NULL;
    struct ym_events e;
    uint64_t under_cap, this_month;
    int64_t alone, after;

    put_policy(f, expected(7, 1e-5) + 1, 10000000000000);
    put_card(f, "a", NULL);
    put(f, "charge", charge("s1", 1, "a"));
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_rounds(b, "a", repeat, &one_round, 1700000000, &under_cap, &this_month, NULL), YM_OK);
    assert_int_equal(under_cap, 6);
    assert_int_equal(this_month, 6); /* the cap itself is the limit of a month */
    repeat(&one_round, 6, &e);
    assert_int_equal(ym_budget_check(b, "a", &e, &alone, &after, NULL), YM_OK);
    assert_int_equal(ym_budget_after(b, "a", &e, &after, NULL), YM_OK);
    assert_figure(after, expected(7, 1e-5));
    repeat(&one_round, 7, &e);
    assert_int_equal(ym_budget_check(b, "a", &e, &alone, &after, NULL), YM_EXHAUSTED);
    ym_budget_free(b);
    b = NULL;
    put(f, "policy", policy_with_month(added(3) + 1));
    assert_int_equal(ym_budget_fold(f->l, &b, NULL), YM_OK);
    assert_int_equal(ym_budget_rounds(b, "a", repeat, &one_round, 1700000000, &under_cap, &this_month, NULL), YM_OK);
    assert_int_equal(this_month, 2);
    ym_budget_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(fresh_data_set_has_spent_nothing),
        CASE(two_studies_compose_on_the_same_patients),
        CASE(data_sets_that_share_patients_share_the_budget),
        CASE(spent_is_counted_at_the_one_order_of_the_policy),
        CASE(the_cap_goes_by_the_order_whatever_order_would_be_better),
        CASE(an_order_that_is_missing_off_the_grid_or_changed_is_a_full_stop),
        CASE(budget_never_shrinks),
        CASE(latest_policy_decides_and_history_stays),
        CASE(check_stops_at_the_cap),
        CASE(without_a_policy_nothing_is_allowed),
        CASE(order_of_charges_does_not_matter_to_the_bit),
        CASE(all_events_of_a_charge_are_spent),
        CASE(an_event_that_cannot_be_understood_is_a_full_stop),
        CASE(charges_that_cannot_be_understood_are_a_full_stop),
        CASE(the_same_attempt_charged_twice_is_a_full_stop),
        CASE(a_charge_that_comes_back_is_spent_as_before),
        CASE(spent_is_the_largest_figure_that_a_line_tells_of),
        CASE(an_attempt_that_comes_back_besides_another_is_spent_twice),
        CASE(a_policy_of_another_signer_is_a_full_stop),
        CASE(a_cap_above_twenty_needs_an_earlier_override),
        CASE(an_override_explains_one_subject_up_to_its_epsilon),
        CASE(an_override_without_a_reason_is_a_full_stop),
        CASE(delta_is_held_against_the_size_class),
        CASE(size_classes_count_by_their_upper_end),
        CASE(months_turn_at_midnight_in_china),
        CASE(a_month_takes_no_more_than_its_limit_and_gives_nothing_back),
        CASE(a_clock_that_goes_back_opens_no_month),
        CASE(a_group_shares_its_month),
        CASE(the_rounds_that_fit_are_the_most_that_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
