#include "support.h"

#include <string.h>

#include "base/json.h"
#include "gate/border/seal.h"

/* Whose seals count on what: keys, matrix, time, use. */

#define NOW 1800000000
#define DAY 86400

struct kit {
    struct ym_key *key[YM_OFFICES], *stranger;
    struct ym_offices offices;
};

static void rotate(struct kit *k, enum ym_office office, const struct ym_key *key)
{
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_buf text = {0};
    json_t *leaf;

    if (key) {
        ym_key_public(key, pub);
        assert_int_equal(ym_base64_encode(pub, sizeof pub, &text), YM_OK);
    }
    leaf = json_pack("{s:s, s:s, s:s, s:[]}", "type", "rotate", "office", ym_office_word(office), "public_key",
                     ym_buf_str(&text), "seals");
    assert_int_equal(ym_offices_take(&k->offices, leaf, NULL), YM_OK);
    json_decref(leaf);
    ym_buf_release(&text);
}

static int setup(void **state)
{
    struct kit *k = calloc(1, sizeof *k);

    for (int i = 0; i < YM_OFFICES; i++) {
        assert_int_equal(ym_key_generate(&k->key[i], NULL), YM_OK);
        rotate(k, (enum ym_office)i, k->key[i]);
    }
    assert_int_equal(ym_key_generate(&k->stranger, NULL), YM_OK);
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    struct kit *k = *state;

    for (int i = 0; i < YM_OFFICES; i++)
        ym_key_free(k->key[i]);
    ym_key_free(k->stranger);
    ym_offices_release(&k->offices);
    free(k);
    return 0;
}

static json_t *policy(int cap, int month, int delta, int patients)
{
    return json_pack("{s:i, s:i, s:i, s:i}", "epsilon_cap_micro", cap, "epsilon_month_micro", month, "delta_e18", delta,
                     "min_patients", patients);
}

static json_t *seal(const char *type, const json_t *members, enum ym_office office, int64_t time,
                    const struct ym_key *key)
{
    json_t *out = NULL;

    assert_int_equal(ym_seal_make(type, "h1", members, office, time, key, &out, NULL), YM_OK);
    return out;
}

static enum ym_code check(struct kit *k, const char *type, const json_t *members, json_t *s)
{
    enum ym_office office;
    enum ym_code code = ym_seal_check(&k->offices, type, "h1", members, s, NOW, &office, NULL);

    json_decref(s);
    return code;
}

#define IT 1
#define DATA 2
#define ETHICS 4
#define AUDIT 8

static void each_office_seals_only_its_own(void **state)
{
    static const struct {
        const char *type, *member, *value;
        unsigned may;
    } row[] = {{"approval", "study", "s", IT | DATA | ETHICS},
               {"policy", "unit", "patient", IT | DATA | AUDIT},
               {"override", "subject", "policy", DATA | ETHICS | AUDIT},
               {"border", "reason", "r", IT | DATA | AUDIT},
               {"ruleset", "name", "n", IT | DATA | ETHICS | AUDIT},
               {"dossier", "record", "ethics", ETHICS},
               {"dossier", "record", "pipia", DATA},
               {"dossier", "record", "ai_filing", DATA},
               {"dossier", "record", "none_such", 0},
               {"rotate", "office", "it", DATA | ETHICS | AUDIT},
               {"rotate", "office", "audit", IT | DATA | ETHICS},
               {"rotate", "office", "sponsor", 0},
               {"veto", "study", "s", 0},
               {"pause", "study", "s", 0},
               {"charge", "study", "s", 0}};
    struct kit *k = *state;

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        json_t *m = json_pack("{s:s}", row[i].member, row[i].value);

        assert_int_equal(ym_seal_may(row[i].type, m), row[i].may);
        for (int o = 0; o < YM_OFFICES; o++)
            assert_int_equal(check(k, row[i].type, m, seal(row[i].type, m, (enum ym_office)o, NOW, k->key[o])),
                             row[i].may & (1u << o) ? YM_OK : YM_DENIED);
        json_decref(m);
    }
}

static struct ym_seal_need need_of(struct kit *k, const char *type, json_t *m)
{
    json_t *terms = json_pack("{s:[s]}", "sponsors", "acme");
    struct ym_seal_limits before = {true, 100, 50, 10, 20, terms};
    struct ym_seal_need need = ym_seal_need(type, m, &before, &k->offices);

    json_decref(m);
    json_decref(terms);
    return need;
}

static void what_loosens_needs_two(void **state)
{
    struct kit *k = *state;
    json_t *m = policy(100, 50, 10, 20);

    assert_int_equal(need_of(k, "policy", policy(100, 50, 10, 20)).count, 0);
    assert_int_equal(need_of(k, "policy", policy(99, 49, 9, 21)).count, 0);
    assert_int_equal(need_of(k, "policy", policy(101, 50, 10, 20)).count, 2);
    assert_int_equal(need_of(k, "policy", policy(100, 51, 10, 20)).count, 2);
    assert_int_equal(need_of(k, "policy", policy(100, 50, 11, 20)).count, 2);
    assert_int_equal(need_of(k, "policy", policy(100, 50, 10, 19)).count, 2);
    json_object_set_new(m, "terms", json_pack("{s:[s]}", "sponsors", "acme"));
    assert_int_equal(need_of(k, "policy", m).count, 0);
    m = policy(100, 50, 10, 20);
    json_object_set_new(m, "terms", json_pack("{s:s}", "sponsors", "any"));
    assert_int_equal(need_of(k, "policy", m).count, 2);
    assert_int_equal(need_of(k, "border", json_pack("{s:b}", "asked", 0)).count, 2);
    assert_int_equal(need_of(k, "border", json_pack("{s:b}", "asked", 1)).count, 0);
    assert_int_equal(need_of(k, "approval", json_object()).count, 2);
    assert_int_equal(need_of(k, "override", json_object()).count, 2);
    assert_int_equal(need_of(k, "rotate", json_pack("{s:s}", "office", "it")).count, 2);
    assert_int_equal(need_of(k, "ruleset", json_object()).must, DATA);
    assert_int_equal(need_of(k, "dossier", json_pack("{s:s}", "record", "ethics")).count, 1);
    assert_int_equal(need_of(k, "veto", json_object()).count, 0);
    assert_int_equal(need_of(k, "pause", json_object()).count, 0);
}

static void nothing_is_needed_where_fewer_than_two_have_keys(void **state)
{
    struct kit *k = *state;

    rotate(k, YM_OFFICE_IT, NULL);
    rotate(k, YM_OFFICE_AUDIT, NULL);
    assert_int_equal(need_of(k, "approval", json_object()).count, 2);
    rotate(k, YM_OFFICE_ETHICS, NULL);
    assert_int_equal(need_of(k, "approval", json_object()).count, 0);
}

static void who_is_missing_is_named(void **state)
{
    struct ym_seal_need two = {IT | DATA | ETHICS, 0, 2}, rules = {15, DATA, 2}, own = {ETHICS, ETHICS, 1};
    unsigned from;

    (void)state;
    assert_int_equal(ym_seal_missing(&two, 0, &from), 2);
    assert_int_equal(from, IT | DATA | ETHICS);
    assert_int_equal(ym_seal_missing(&two, IT, &from), 1);
    assert_int_equal(from, DATA | ETHICS);
    assert_int_equal(ym_seal_missing(&two, AUDIT, &from), 2); /* not its own */
    assert_int_equal(ym_seal_missing(&two, IT | ETHICS, &from), 0);
    assert_int_equal(ym_seal_missing(&rules, IT | AUDIT, &from), 1);
    assert_int_equal(from, DATA);
    assert_int_equal(ym_seal_missing(&rules, DATA, &from), 1);
    assert_int_equal(from, IT | ETHICS | AUDIT);
    assert_int_equal(ym_seal_missing(&rules, DATA | AUDIT, &from), 0);
    assert_int_equal(ym_seal_missing(&own, IT, &from), 1);
    assert_int_equal(ym_seal_missing(&own, ETHICS, &from), 0);
}

static void a_seal_is_for_these_words_alone(void **state)
{
    struct kit *k = *state;
    json_t *m = json_pack("{s:s, s:s}", "study", "s", "plan", "p"),
           *other = json_pack("{s:s, s:s}", "study", "s", "plan", "q");
    json_t *with = json_pack("{s:s, s:s, s:[]}", "study", "s", "plan", "p", "seals"), *s;
    enum ym_office office;

    assert_int_equal(check(k, "approval", m, seal("approval", m, YM_OFFICE_IT, NOW, k->key[0])), YM_OK);
    assert_int_equal(check(k, "approval", with, seal("approval", m, YM_OFFICE_IT, NOW, k->key[0])), YM_OK);
    assert_int_equal(check(k, "approval", other, seal("approval", m, YM_OFFICE_IT, NOW, k->key[0])), YM_DENIED);
    assert_int_equal(check(k, "ruleset", m, seal("approval", m, YM_OFFICE_IT, NOW, k->key[0])), YM_DENIED);
    assert_int_equal(check(k, "approval", m, seal("approval", m, YM_OFFICE_IT, NOW, k->stranger)), YM_DENIED);
    assert_int_equal(check(k, "approval", m, seal("approval", m, YM_OFFICE_IT, NOW, k->key[1])), YM_DENIED);
    s = seal("approval", m, YM_OFFICE_IT, NOW, k->key[0]);
    assert_int_equal(ym_seal_check(&k->offices, "approval", "h2", m, s, NOW, &office, NULL), YM_DENIED);
    json_object_set_new(s, "time", json_integer(NOW - 1));
    assert_int_equal(check(k, "approval", m, s), YM_DENIED);
    json_decref(m);
    json_decref(other);
    json_decref(with);
}

static void a_seal_lapses_and_counts_once(void **state)
{
    struct kit *k = *state;
    json_t *m = json_pack("{s:s}", "study", "s"), *s, *leaf;

    assert_int_equal(check(k, "approval", m, seal("approval", m, YM_OFFICE_IT, NOW - 30 * DAY, k->key[0])), YM_OK);
    assert_int_equal(check(k, "approval", m, seal("approval", m, YM_OFFICE_IT, NOW - 30 * DAY - 1, k->key[0])),
                     YM_DENIED);
    assert_int_equal(check(k, "approval", m, seal("approval", m, YM_OFFICE_IT, NOW + 300, k->key[0])), YM_OK);
    assert_int_equal(check(k, "approval", m, seal("approval", m, YM_OFFICE_IT, NOW + 301, k->key[0])), YM_DENIED);
    s = seal("approval", m, YM_OFFICE_IT, NOW, k->key[0]);
    leaf = json_pack("{s:s, s:[O]}", "type", "approval", "seals", s);
    assert_int_equal(ym_offices_take(&k->offices, leaf, NULL), YM_OK);
    assert_int_equal(check(k, "approval", m, s), YM_DENIED);
    json_decref(leaf);
    json_decref(m);
}

static void a_replaced_key_counts_no_more(void **state)
{
    struct kit *k = *state;
    json_t *m = json_pack("{s:s}", "study", "s");

    rotate(k, YM_OFFICE_IT, k->stranger);
    assert_int_equal(check(k, "approval", m, seal("approval", m, YM_OFFICE_IT, NOW, k->key[0])), YM_DENIED);
    assert_int_equal(check(k, "approval", m, seal("approval", m, YM_OFFICE_IT, NOW, k->stranger)), YM_OK);
    rotate(k, YM_OFFICE_IT, NULL);
    assert_int_equal(check(k, "approval", m, seal("approval", m, YM_OFFICE_IT, NOW, k->stranger)), YM_DENIED);
    json_decref(m);
}

static enum ym_code may_rotate(struct kit *k, const char *office, const struct ym_key *key)
{
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_buf text = {0};
    json_t *m;
    enum ym_code code;

    if (key) {
        ym_key_public(key, pub);
        assert_int_equal(ym_base64_encode(pub, sizeof pub, &text), YM_OK);
    }
    m = json_pack("{s:s, s:s}", "office", office, "public_key", ym_buf_str(&text));
    code = ym_offices_may_rotate(&k->offices, m, NULL);
    json_decref(m);
    ym_buf_release(&text);
    return code;
}

static void three_offices_and_the_data_office_stay(void **state)
{
    struct kit *k = *state;

    assert_int_equal(may_rotate(k, "it", k->stranger), YM_OK);
    assert_int_equal(may_rotate(k, "it", k->key[2]), YM_DENIED); /* one person would be two */
    assert_int_equal(may_rotate(k, "sponsor", k->stranger), YM_INVALID);
    assert_int_equal(may_rotate(k, "data_office", NULL), YM_DENIED);
    assert_int_equal(may_rotate(k, "audit", NULL), YM_OK);
    rotate(k, YM_OFFICE_AUDIT, NULL);
    assert_int_equal(may_rotate(k, "it", NULL), YM_DENIED);
    assert_int_equal(may_rotate(k, "audit", NULL), YM_DENIED);
    assert_int_equal(may_rotate(k, "audit", k->stranger), YM_OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(each_office_seals_only_its_own),
                                       CASE(what_loosens_needs_two),
                                       CASE(nothing_is_needed_where_fewer_than_two_have_keys),
                                       CASE(who_is_missing_is_named),
                                       CASE(a_seal_is_for_these_words_alone),
                                       CASE(a_seal_lapses_and_counts_once),
                                       CASE(a_replaced_key_counts_no_more),
                                       CASE(three_offices_and_the_data_office_stay)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
