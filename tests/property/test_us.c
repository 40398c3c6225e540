#include "tests/support/border.h"

#include "../unit/ledger_help.h"
#include "../unit/site_help.h"

#include "base/fs.h"
#include "worker/trainer/us.h"

/* US persons of the last twelve months, from one party to one recipient (28 CFR 202.205). */

static const uint8_t salt[YM_SITE_SALT] = {7};
static const int64_t begin = 1790000000;

struct house {
    struct ym_site site;
    struct ym_us *us;
    json_t *leaves; /* the ledger, as far as it matters here */
    int round;
};

static int open_house(void **state)
{
    struct house *h = calloc(1, sizeof *h);
    char dir[64];

    help_temp(dir);
    snprintf(h->site.dir, sizeof h->site.dir, "%s", dir);
    h->us = ym_us_new(&h->site, salt);
    h->leaves = json_array();
    assert_non_null(h->us);
    *state = h;
    return 0;
}

static int close_house(void **state)
{
    struct house *h = *state;

    ym_us_free(h->us);
    json_decref(h->leaves);
    help_remove(h->site.dir);
    free(h);
    return 0;
}

static void restart(struct house *h)
{
    json_t *leaf;
    size_t i;

    ym_us_free(h->us);
    h->us = ym_us_new(&h->site, salt);
    json_array_foreach(h->leaves, i, leaf)
    {
        assert_int_equal(ym_us_take(h->us, leaf, NULL), YM_OK);
    }
}

static struct ym_cohort people(int from, int to)
{
    uint8_t(*id)[YM_HASH_BYTES] = calloc((size_t)(to - from) + 1, sizeof *id);
    struct ym_cohort c = {0};

    for (int i = from; i < to; i++)
        ym_sha256(&i, sizeof i, id[i - from]);
    assert_int_equal(ym_cohort_of((const uint8_t(*)[YM_HASH_BYTES])id, (size_t)(to - from), &c, NULL), YM_OK);
    free(id);
    return c;
}

/* One letter for each party and recipient; ' ' none. The party of no name is a hash too. */
static struct ym_us_transfer pair(const char *letters, unsigned categories)
{
    struct ym_us_transfer t = {.categories = categories};
    static const struct ym_card unnamed;

    if (letters[0] == ' ')
        ym_exporter_of(&unnamed, t.party);
    else
        t.party[0] = (uint8_t)letters[0];
    t.recipient[0] = letters[1] == ' ' ? 0 : (uint8_t)letters[1];
    return t;
}

static json_t *charge_leaf(struct house *h, const struct ym_us_transfer *t, json_t *us)
{
    static const uint8_t data[YM_HASH_BYTES] = {1};
    json_t *o = json_pack("{s:s, s:s, s:i, s:i, s:o}", "type", "charge", "study", "trial", "round", h->round, "attempt",
                          1, "us", us);

    hashed(o, "exporter", t->party);
    hashed(o, "plan", data);
    return hashed(o, "data", data);
}

/* A whole charge; its leaf, borrowed. */
static json_t *charge(struct house *h, struct ym_us_transfer t, int from, int to, int64_t until)
{
    struct ym_cohort c = people(from, to);
    const struct ym_us_charge charge = {&t, "trial", (uint32_t)++h->round, 1, until, &c};
    json_t *us = NULL, *leaf;

    assert_int_equal(ym_us_keep(h->us, &charge, &us, NULL), YM_OK);
    leaf = charge_leaf(h, &t, us);
    json_array_append_new(h->leaves, leaf);
    assert_int_equal(ym_us_take(h->us, leaf, NULL), YM_OK);
    ym_us_sweep(h->us, until);
    ym_cohort_release(&c);
    return leaf;
}

static int64_t with(struct house *h, struct ym_us_transfer t, int from, int to, int64_t now, unsigned *categories)
{
    struct ym_cohort c = people(from, to);
    unsigned all;
    int64_t n = ym_us_with(h->us, &t, &c, now, categories ? categories : &all);

    ym_cohort_release(&c);
    return n;
}

static int64_t counted(struct house *h, const char *letters, int64_t now)
{
    return with(h, pair(letters, 0), 0, 0, now, NULL);
}

static const unsigned genome = 1 << YM_US_GENOME, health = 1 << YM_US_HEALTH;

/* ---- the thresholds, on the set as it is shipped ---- */

static enum ym_outcome outcome(int64_t n, unsigned categories, enum ym_label *label)
{
    struct ym_facts f = facts_v1();
    struct ym_crossing d;

    choose(&f, YM_CHOICE_US_PERSONS, "yes");
    ym_us_facts(n, categories, &f);
    ym_border_decide(sets, 2, &f, "2026-11-22", false, &d);
    *label = d.track[YM_TRACK_US].label;
    return d.track[YM_TRACK_US].outcome;
}

static void at_the_number_it_proceeds_and_above_it_does_not(void **state)
{
    static const struct {
        int number;
        enum ym_outcome above;
    } law[YM_US_CATEGORIES] = {
        {100, YM_REFUSE}, {1000, YM_REFUSE}, {1000, YM_HOLD}, {10000, YM_HOLD}, {100000, YM_HOLD}};
    struct house *h = *state;
    enum ym_label label;

    for (unsigned c = 0; c < YM_US_CATEGORIES; c++) {
        char letters[3] = {'a', (char)('b' + c), 0};
        struct ym_us_transfer t = pair(letters, 1u << c);
        unsigned all;
        int64_t n;

        charge(h, t, 0, law[c].number - 1, begin);
        n = with(h, t, law[c].number - 1, law[c].number, begin, &all);
        assert_int_equal(outcome(n, all, &label), YM_PROCEED);
        n = with(h, t, law[c].number - 1, law[c].number + 1, begin, &all);
        assert_int_equal(outcome(n, all, &label), law[c].above);
    }
}

static void taking_names_away_changes_nothing(void **state)
{
    struct ym_facts f = facts_v1();
    struct ym_crossing d;
    (void)state;

    choose(&f, YM_CHOICE_US_PERSONS, "yes");
    choose(&f, YM_CHOICE_PI, "no");
    choose(&f, YM_CHOICE_SENSITIVE_PI, "no");
    choose(&f, YM_CHOICE_POSITION, "p2");
    ym_us_facts(101, genome, &f);
    ym_border_decide(sets, 2, &f, "2026-11-22", false, &d);
    assert_int_equal(d.track[YM_TRACK_US].outcome, YM_REFUSE);
}

static void combined_data_take_the_lowest_number(void **state)
{
    struct house *h = *state;
    unsigned all;
    enum ym_label label;

    charge(h, pair("ab", genome), 0, 60, begin);
    assert_int_equal(with(h, pair("ab", health), 60, 120, begin, &all), 120);
    assert_int_equal(all, genome | health);
    assert_int_equal(outcome(120, all, &label), YM_REFUSE);
    assert_int_equal(outcome(120, health, &label), YM_PROCEED); /* as many without a genome among them */
}

static void the_larger_of_counted_and_declared_counts(void **state)
{
    struct ym_facts f;
    (void)state;

    ym_facts_init(&f);
    f.people[YM_PEOPLE_US_GENOME] = 500;
    f.people[YM_PEOPLE_US_HEALTH] = 500;
    f.people[YM_PEOPLE_US_BIOMETRIC] = 0;
    ym_us_facts(700, health | 1 << YM_US_OMIC, &f);
    assert_int_equal(f.people[YM_PEOPLE_US_GENOME], 500); /* none of that counted */
    assert_int_equal(f.people[YM_PEOPLE_US_HEALTH], 700);
    assert_int_equal(f.people[YM_PEOPLE_US_BIOMETRIC], 0);
    assert_int_equal(f.people[YM_PEOPLE_US_OMIC], YM_PEOPLE_UNKNOWN); /* nobody said: counting does not tell all */
    ym_us_facts(300, health, &f);
    assert_int_equal(f.people[YM_PEOPLE_US_HEALTH], 700);
    ym_us_facts(-1, health, &f);
    assert_int_equal(f.people[YM_PEOPLE_US_HEALTH], YM_PEOPLE_UNKNOWN);
}

/* ---- the window ---- */

static void people_count_until_the_last_second_of_the_window(void **state)
{
    struct house *h = *state;

    charge(h, pair("ab", health), 0, 70, begin);
    charge(h, pair("ab", health), 50, 100, begin + 1000);
    assert_int_equal(counted(h, "ab", begin + 1000), 100);
    assert_int_equal(counted(h, "ab", begin + YM_US_WINDOW_S), 100);
    assert_int_equal(counted(h, "ab", begin + YM_US_WINDOW_S + 1), 50);
    assert_int_equal(counted(h, "ab", begin + YM_US_WINDOW_S + 1000), 50);
    assert_int_equal(counted(h, "ab", begin + YM_US_WINDOW_S + 1001), 0);
    charge(h, pair("ab", health), 0, 70, begin + 500); /* again: from its newest time on */
    assert_int_equal(counted(h, "ab", begin + YM_US_WINDOW_S + 1), 100);
    assert_true(YM_US_WINDOW_S >=
                366 * INT64_C(86400)); /* 29 February to 29 February is less than twelve months more */
}

static void a_year_that_ends_takes_nobody_off(void **state)
{
    struct house *h = *state;
    const int64_t new_years_eve = 1798732799; /* 2026-12-31 23:59:59 in China */

    charge(h, pair("ab", health), 0, 70, new_years_eve);
    assert_int_equal(with(h, pair("ab", health), 70, 100, new_years_eve + 2, NULL), 100);
}

/* ---- pairs ---- */

static void pairs_are_apart_and_who_has_no_name_counts_with_all(void **state)
{
    struct house *h = *state;

    charge(h, pair("ab", health), 0, 10, begin);
    charge(h, pair("ac", health), 10, 30, begin);
    charge(h, pair("xb", health), 30, 70, begin);
    assert_int_equal(counted(h, "ab", begin), 10);
    assert_int_equal(counted(h, "ac", begin), 20);
    assert_int_equal(counted(h, "xb", begin), 40);
    assert_int_equal(counted(h, "xc", begin), 0);
    assert_int_equal(counted(h, "a ", begin), 30);
    assert_int_equal(counted(h, " b", begin), 50);
    assert_int_equal(counted(h, "  ", begin), 70);
    charge(h, pair("a ", genome), 70, 71, begin);
    assert_int_equal(counted(h, "ab", begin), 11);
    assert_int_equal(counted(h, "xb", begin), 40);
}

static void slices_and_rounds_count_people_once(void **state)
{
    struct house *h = *state;

    for (int i = 0; i < 20; i++)
        charge(h, pair("ab", health), 30 * i, 30 * i + 60, begin + i);
    for (int i = 0; i < 5; i++)
        charge(h, pair("ab", health), 0, 600, begin + 100 + i);
    assert_int_equal(counted(h, "ab", begin + 200), 630);
    restart(h);
    assert_int_equal(counted(h, "ab", begin + 200), 630);
}

/* ---- what is on disk ---- */

static size_t files(const struct house *h, char first[YM_SITE_PATH])
{
    char dir[YM_SITE_PATH], **name = NULL;
    size_t count = 0, n;

    assert_int_equal(ym_site_path(&h->site, "people", NULL, dir), YM_OK);
    assert_int_equal(ym_fs_list(dir, &name, &count, NULL), YM_OK);
    n = count;
    if (count > 0)
        assert_int_equal(ym_site_path(&h->site, "people", name[0], first), YM_OK);
    ym_fs_names_free(name, count);
    return n;
}

static void a_file_stays_as_long_as_somebody_in_it_counts(void **state)
{
    struct house *h = *state;
    char path[YM_SITE_PATH];

    charge(h, pair("ab", health), 0, 70, begin);
    charge(h, pair("ab", health), 0, 70, begin + 10);
    assert_int_equal(files(h, path), 1);
    ym_us_sweep(h->us, begin + 10 + YM_US_WINDOW_S);
    assert_int_equal(files(h, path), 1);
    ym_us_sweep(h->us, begin + 11 + YM_US_WINDOW_S);
    assert_int_equal(files(h, path), 0);
}

static void people_of_a_lost_or_changed_file_stay_counted(void **state)
{
    struct house *h = *state;
    char path[YM_SITE_PATH];

    charge(h, pair("ab", health), 0, 170, begin);
    charge(h, pair("ab", health), 0, 170, begin + 1);
    assert_int_equal(files(h, path), 1);
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){(const uint8_t *)"x", 1}, 0600, NULL), YM_OK);
    assert_int_equal(with(h, pair("ab", health), 0, 170, begin, NULL), 200 + 170); /* nobody can name them */
    unlink(path);
    restart(h);
    assert_int_equal(counted(h, "ab", begin), 200); /* two rounds of one plan on one data set: the same people */
    assert_int_equal(counted(h, "ab", begin + YM_US_WINDOW_S + 2), 0);
}

static void a_charge_that_cannot_be_is_corrupt(void **state)
{
    struct house *h = *state;
    json_t *leaf = charge(h, pair("ab", health), 0, 70, begin), *bad;

    for (int i = 0; i < 4; i++) {
        static const char *const key[] = {"recipient", "people", "until", "categories"};

        bad = json_deep_copy(leaf);
        json_object_set_new(json_object_get(bad, "us"), key[i], json_string("genome wealth"));
        assert_int_equal(ym_us_take(h->us, bad, NULL), YM_CORRUPT);
        json_decref(bad);
    }
    assert_int_equal(counted(h, "ab", begin), 70);
}

static void the_ledger_says_hundreds_and_never_twice_the_same_hash(void **state)
{
    struct house *h = *state;
    json_t *one = json_object_get(charge(h, pair("ab", health | genome), 0, 70, begin), "us");
    json_t *two = json_object_get(charge(h, pair("ab", health | genome), 0, 70, begin), "us");

    assert_int_equal(json_integer_value(json_object_get(one, "people")), 100);
    assert_string_equal(json_string_value(json_object_get(one, "categories")), "genome health");
    assert_false(json_equal(json_object_get(one, "set"), json_object_get(two, "set")));
}

/* ---- cards and plans ---- */

static struct ym_card *card_that(const char *declares)
{
    char text[1024];

    snprintf(text, sizeof text,
             "yumen: card/1\nname: breast\ntitle: t\nfile: d.csv\npatient_column: p\nsize_class: \"100-499\"\n"
             "tier: general\nvariables:\n  - {name: radius, column: r, unit: mm, low: 6, high: 30}\n"
             "border: {exporter: Acme US, declares: {%s}}\n",
             declares);
    return card_must(text);
}

static void the_card_says_who_is_a_us_person_and_of_what(void **state)
{
    static const char none[] = "us_persons: \"yes\", us_genome_n: 0, us_omic_n: 0, us_biometric_n: 0, us_health_n: 0, "
                               "us_identifiers_n: 0";
    static const struct {
        const char *declares;
        bool counts;
        unsigned categories;
    } said[] = {{"us_persons: \"no\"", false, 0},
                {"us_health_n: 5", false, 0}, /* unknown: the track holds */
                {"us_persons: \"yes\"", true, 31},
                {"us_persons: \"yes\", us_genome_n: 0, us_omic_n: 0, us_biometric_n: 0, us_identifiers_n: 0", true, 8},
                {none, false, 0}};
    char *text = text_edit(good_plan, "",
                           "border: {recipient: Acme, contact: c, method: m, categories: c, rights: r, storage: s, "
                           "foreign_law: f}\n");
    struct ym_plan *plan = plan_must(text);
    (void)state;

    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct ym_card *card = card_that(said[i].declares);
        struct ym_us_transfer t = {0};

        assert_int_equal(ym_us_transfer_of(plan, card, &t), said[i].counts);
        if (said[i].counts)
            assert_int_equal(t.categories, said[i].categories);
        ym_card_free(card);
    }
    ym_plan_free(plan);
    free(text);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, open_house, close_house)
    const struct CMUnitTest tests[] = {
        CASE(at_the_number_it_proceeds_and_above_it_does_not),
        CASE(taking_names_away_changes_nothing),
        CASE(combined_data_take_the_lowest_number),
        CASE(the_larger_of_counted_and_declared_counts),
        CASE(people_count_until_the_last_second_of_the_window),
        CASE(a_year_that_ends_takes_nobody_off),
        CASE(pairs_are_apart_and_who_has_no_name_counts_with_all),
        CASE(slices_and_rounds_count_people_once),
        CASE(a_file_stays_as_long_as_somebody_in_it_counts),
        CASE(people_of_a_lost_or_changed_file_stay_counted),
        CASE(a_charge_that_cannot_be_is_corrupt),
        CASE(the_ledger_says_hundreds_and_never_twice_the_same_hash),
        CASE(the_card_says_who_is_a_us_person_and_of_what),
    };

    return cmocka_run_group_tests(tests, sets_open, sets_close);
}
