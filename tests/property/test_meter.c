#include "../unit/ledger_help.h"
#include "../unit/site_help.h"

#include <unistd.h>

#include "base/calendar.h"
#include "base/fs.h"
#include "worker/trainer/meter.h"

/* The people meter: no way of slicing, renaming or copying counts anybody less, and
 * nothing that a crash or a lost file leaves behind does. */

struct house {
    struct ym_site site;
    struct party self;
    struct ym_ledger *ledger;
    struct ym_meter *meter;
    uint32_t round;
};

static const uint8_t salt[YM_SITE_SALT] = {7}, other_salt[YM_SITE_SALT] = {8};
static const uint8_t exporter[YM_HASH_BYTES] = {0xee}, other_exporter[YM_HASH_BYTES] = {0xdd};

static void house_open(struct house *h, const char *dir)
{
    char path[YM_SITE_PATH];

    *h = (struct house){.self.name = "h1"};
    snprintf(path, sizeof path, "%s/h1", dir);
    assert_int_equal(ym_site_load(path, &h->site, &(struct ym_problems){0}, NULL), YM_OK);
    assert_int_equal(ym_site_key(&h->site, &h->self.key, NULL), YM_OK);
    assert_int_equal(ym_site_ledger(&h->site, h->self.key, &h->ledger, NULL), YM_OK);
    assert_int_equal(ym_meter_fold(&h->site, salt, h->ledger, &h->meter, NULL), YM_OK);
    h->round = (uint32_t)ym_ledger_size(h->ledger);
}

static void house_close(struct house *h)
{
    ym_meter_free(h->meter);
    ym_ledger_close(&h->ledger);
    ym_key_free(h->self.key);
}

static int setup(void **state)
{
    struct ym_site_policy policy = {.min_patients = 20};
    struct ym_buf vkey = {0};
    char path[YM_SITE_PATH];

    if (dir_setup(state) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/h1", (char *)*state);
    assert_int_equal(ym_decimal_parse("3", &policy.epsilon_cap, NULL), YM_OK);
    assert_int_equal(ym_decimal_parse("1e-5", &policy.delta, NULL), YM_OK);
    policy.epsilon_month = policy.epsilon_cap;
    assert_int_equal(ym_site_init(path, "h1", &policy, NULL, 1000, &vkey, NULL), YM_OK);
    ym_buf_release(&vkey);
    return 0;
}

/* People from .. to - 1 of the hospital, as a data set of this name and kind would know them. */
static struct ym_cohort people_as(int from, int to, const char *kind, const char *dataset, uint8_t frozen)
{
    uint8_t(*id)[YM_HASH_BYTES] = calloc((size_t)(to - from) + 1, sizeof *id);
    uint8_t patient[YM_HASH_BYTES], bytes[YM_HASH_BYTES] = {frozen};
    struct ym_cohort c = {0};

    for (int i = from; i < to; i++) {
        ym_sha256(&i, sizeof i, patient);
        ym_pseudonym(salt, kind, dataset, bytes, patient, id[i - from]);
    }
    assert_int_equal(ym_cohort_of((const uint8_t(*)[YM_HASH_BYTES])id, (size_t)(to - from), &c, NULL), YM_OK);
    free(id);
    return c;
}

static struct ym_cohort people(int from, int to)
{
    return people_as(from, to, "hospital_id", "d", 1);
}

static json_t *members(const char *study, uint32_t round, json_t *list, const uint8_t who[YM_HASH_BYTES])
{
    return hashed(json_pack("{s:s, s:i, s:i, s:o}", "study", study, "round", (int)round, "attempt", 1, "people", list),
                  "exporter", who);
}

static json_t *keep(struct house *h, const char *study, const struct ym_cohort *c, int first, int last)
{
    const struct ym_meter_charge charge = {.exporter = exporter,
                                           .study = study,
                                           .round = ++h->round,
                                           .attempt = 1,
                                           .first_year = first,
                                           .last_year = last,
                                           .cohort = c};
    json_t *list = NULL;

    assert_int_equal(ym_meter_keep(h->meter, &charge, &list, NULL), YM_OK);
    return list;
}

static void append(struct house *h, const char *type, json_t *o)
{
    struct ym_buf line = line_of(&h->self, type, o);
    struct ym_bytes bytes = ym_buf_bytes(&line);

    assert_int_equal(ym_ledger_append(h->ledger, &bytes, 1, &(uint64_t){0}, NULL), YM_OK);
    assert_int_equal(ym_meter_take(h->meter, bytes, NULL), YM_OK);
    ym_meter_sweep(h->meter);
    ym_buf_release(&line);
}

/* A whole charge; takes c. What it says: the class of its last year. */
static int64_t charge(struct house *h, const char *study, struct ym_cohort c, int first, int last)
{
    json_t *list = keep(h, study, &c, first, last);
    int64_t said = json_integer_value(json_object_get(json_array_get(list, json_array_size(list) - 1), "people"));

    assert_int_equal(json_array_size(list), 1 + last - first);
    append(h, "charge", members(study, h->round, list, exporter));
    ym_cohort_release(&c);
    return said;
}

static int64_t counted(struct house *h, int year)
{
    return ym_meter_counted(h->meter, exporter, year);
}

static size_t sets(const struct house *h)
{
    char dir[YM_SITE_PATH], **name = NULL;
    size_t count = 0, n = 0;

    assert_int_equal(ym_site_path(&h->site, "people", NULL, dir), YM_OK);
    assert_int_equal(ym_fs_list(dir, &name, &count, NULL), YM_OK);
    for (size_t i = 0; i < count; i++)
        n += strstr(name[i], ".set") != NULL;
    ym_fs_names_free(name, count);
    return n;
}

/* ---- slices, names, copies ---- */

static void slices_count_as_the_whole(void **state)
{
    static const int slices[] = {1, 2, 5, 20};
    struct house h;

    house_open(&h, *state);
    for (size_t s = 0; s < 4; s++)
        for (int i = 0, n = slices[s]; i < n; i++) {
            char study[32];

            snprintf(study, sizeof study, "s%d-%d", n, i);
            charge(&h, study, people(9000 * i / n, 9000 * (i + 1) / n + 100 * (i + 1 < n)), 2026 + (int)s,
                   2026 + (int)s);
        }
    for (int year = 2026; year < 2030; year++)
        assert_int_equal(counted(&h, year), 9000);
    assert_int_equal(sets(&h), 4); /* one a year, whatever was written on the way */
    house_close(&h);
}

/* In random order, with random overlaps, over restarts: never less than anybody asked for, and exactly the union. */
static void any_order_counts_the_union(void **state)
{
    struct house h;
    bool seen[600] = {false};
    uint64_t x = 88172645463325252u;

    house_open(&h, *state);
    for (int i = 0; i < 60; i++) {
        int from, to, all = 0;

        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        from = (int)(x % 550);
        to = from + (int)(x / 1000 % (600 - (uint64_t)from));
        for (int k = 0; k < 600; k++)
            all += seen[k] |= k >= from && k < to;
        assert_int_equal(charge(&h, i % 2 ? "a" : "b", people(from, to), 2026, 2026), (all + 99) / 100 * 100);
        assert_int_equal(counted(&h, 2026), all);
        if (i % 10 == 9) {
            house_close(&h);
            house_open(&h, *state);
            assert_int_equal(counted(&h, 2026), all);
        }
    }
    house_close(&h);
}

static void a_copy_or_another_name_is_nobody_new(void **state)
{
    static const char *const kinds[] = {"national_id", "insurance_id", "hospital_id"};
    struct house h;

    house_open(&h, *state);
    for (int i = 0; i < 3; i++) {
        charge(&h, "trial", people_as(0, 4200, kinds[i], "wards", 1), 2026 + i, 2026 + i);
        charge(&h, "other-sponsors", people_as(0, 4300, kinds[i], "copy", 2), 2026 + i, 2026 + i);
        assert_int_equal(counted(&h, 2026 + i), 4300);
    }
    house_close(&h);
}

/* Numbers that mean nothing elsewhere: 1 here is not 1 there. */
static void who_cannot_be_told_apart_counts_again(void **state)
{
    struct house h;

    house_open(&h, *state);
    charge(&h, "trial", people_as(0, 50, "study_id", "a", 1), 2026, 2026);
    charge(&h, "trial", people_as(0, 50, "study_id", "a", 2), 2026, 2026);
    assert_int_equal(counted(&h, 2026), 50);
    charge(&h, "trial", people_as(0, 50, "study_id", "b", 1), 2026, 2026);
    charge(&h, "trial", people_as(0, 50, "unspecified", "b", 1), 2026, 2026);
    assert_int_equal(counted(&h, 2026), 150);
    charge(&h, "trial", people_as(0, 50, "row", "a", 1), 2026, 2026);
    charge(&h, "trial", people_as(0, 50, "row", "b", 1), 2026, 2026);
    assert_int_equal(counted(&h, 2026), 200);
    charge(&h, "trial", people_as(0, 50, "row", "a", 2), 2026, 2026);
    assert_int_equal(counted(&h, 2026), 250);
    house_close(&h);
}

static void exporters_and_years_are_apart(void **state)
{
    struct ym_cohort c = people(0, 30);
    struct house h;

    house_open(&h, *state);
    charge(&h, "trial", people(0, 70), 2026, 2026);
    assert_int_equal(counted(&h, 2027), 0);
    assert_int_equal(ym_meter_counted(h.meter, other_exporter, 2026), 0);
    assert_int_equal(ym_meter_with(h.meter, other_exporter, 2026, &c), 30);
    assert_int_equal(ym_meter_with(h.meter, exporter, 2026, &c), 70);
    assert_int_equal(ym_meter_others(h.meter, other_exporter, 2026),
                     70); /* a new name begins at what the old one counted */
    assert_int_equal(ym_meter_others(h.meter, exporter, 2026), 0);
    assert_int_equal(ym_meter_others(h.meter, other_exporter, 2027), 0);
    ym_cohort_release(&c);
    house_close(&h);
}

/* ---- midnight ---- */

static void the_year_turns_in_china(void **state)
{
    (void)state;
    assert_int_equal(ym_year_of(1798732799), 2026); /* 2026-12-31 23:59:59 there */
    assert_int_equal(ym_year_of(1798732800), 2027);
    assert_int_equal(ym_year_of(1798734600), 2027); /* 31 December, 16:30 UTC */
}

static void a_round_over_midnight_counts_in_both_years(void **state)
{
    struct house h;

    house_open(&h, *state);
    charge(&h, "trial", people(0, 50), 2026, 2026);
    charge(&h, "trial", people(20, 80), 2026, 2027);
    assert_int_equal(counted(&h, 2026), 80);
    assert_int_equal(counted(&h, 2027), 60);
    house_close(&h);
}

/* ---- crashes and lost files ---- */

static void a_set_without_its_charge_counts_nobody(void **state)
{
    struct ym_cohort c = people(0, 5000);
    struct house h;

    house_open(&h, *state);
    charge(&h, "trial", people(0, 40), 2026, 2026);
    json_decref(keep(&h, "trial", &c, 2026, 2026)); /* the power fails here */
    assert_int_equal(sets(&h), 2);
    house_close(&h);
    house_open(&h, *state);
    assert_int_equal(counted(&h, 2026), 40);
    ym_meter_sweep(h.meter);
    assert_int_equal(sets(&h), 1);
    ym_cohort_release(&c);
    house_close(&h);
}

static void remove_sets(const struct house *h)
{
    char dir[YM_SITE_PATH], path[2 * YM_SITE_PATH], **name = NULL;
    size_t count = 0;

    assert_int_equal(ym_site_path(&h->site, "people", NULL, dir), YM_OK);
    assert_int_equal(ym_fs_list(dir, &name, &count, NULL), YM_OK);
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, name[i]);
        assert_int_equal(unlink(path), 0);
    }
    ym_fs_names_free(name, count);
}

static void who_is_on_a_lost_set_stays_counted(void **state)
{
    struct house h;

    house_open(&h, *state);
    charge(&h, "trial", people(0, 4210), 2026, 2026);
    remove_sets(&h);
    house_close(&h);
    house_open(&h, *state);
    assert_int_equal(counted(&h, 2026), 4300); /* as the ledger says, rounded up */
    assert_int_equal(charge(&h, "trial", people(0, 4210), 2026, 2026), 8600);
    charge(&h, "trial", people(0, 4210), 2026, 2026);
    assert_int_equal(counted(&h, 2026), 4300 + 4210); /* once, not at each round */
    house_close(&h);
}

static void a_set_that_was_changed_is_lost(void **state)
{
    char dir[YM_SITE_PATH], path[2 * YM_SITE_PATH], **name = NULL;
    struct ym_buf b = {0};
    size_t count = 0;
    struct house h;

    house_open(&h, *state);
    charge(&h, "trial", people(0, 150), 2026, 2026);
    assert_int_equal(ym_site_path(&h.site, "people", NULL, dir), YM_OK);
    assert_int_equal(ym_fs_list(dir, &name, &count, NULL), YM_OK);
    snprintf(path, sizeof path, "%s/%s", dir, strstr(name[0], ".set") ? name[0] : name[1]);
    assert_int_equal(ym_fs_read(path, 1 << 20, &b, NULL), YM_OK);
    b.len -= 100 * YM_HASH_BYTES; /* fewer people */
    b.data[8 + 32 + 16] = 50;
    assert_int_equal(ym_fs_write(path, ym_buf_bytes(&b), 0600, NULL), YM_OK);
    house_close(&h);
    house_open(&h, *state);
    assert_int_equal(counted(&h, 2026), 200);
    ym_buf_release(&b);
    ym_fs_names_free(name, count);
    house_close(&h);
}

/* How many exactly stands in a file that nothing is decided on. */
static void the_exact_number_is_told_and_not_counted_on(void **state)
{
    char path[YM_SITE_PATH];
    struct ym_cohort c = people(0, 4210);
    struct house h;
    json_t *list, *exact;
    const char *set;

    house_open(&h, *state);
    list = keep(&h, "trial", &c, 2026, 2026);
    set = json_string_value(json_object_get(json_array_get(list, 0), "set"));
    exact = ym_meter_exact(&h.site);
    assert_int_equal(json_integer_value(json_object_get(exact, set)), 4210);
    json_decref(exact);
    append(&h, "charge", members("trial", h.round, list, exporter));
    assert_int_equal(ym_site_path(&h.site, "people", "exact", path), YM_OK);
    assert_int_equal(unlink(path), 0);
    house_close(&h);
    house_open(&h, *state);
    assert_int_equal(counted(&h, 2026), 4210);
    ym_cohort_release(&c);
    house_close(&h);
}

/* What the hub's log gives back was charged by a ledger whose sets are lost with it: other people, for all we know. */
static void charges_that_come_back_count_on_top(void **state)
{
    static const int64_t classes[] = {300, 500, 400};
    struct house h;

    house_open(&h, *state);
    charge(&h, "trial", people(0, 120), 2026, 2026);
    append(&h, "recover", json_pack("{s:i}", "count", 3));
    for (int i = 0; i < 3; i++) {
        json_t *year = json_pack("{s:i, s:I}", "year", 2026, "people", (json_int_t)classes[i]);

        append(&h, "charge", members("trial", ++h.round, json_pack("[o]", hashed(year, "set", exporter)), exporter));
    }
    assert_int_equal(counted(&h, 2026), 620);
    charge(&h, "trial", people(100, 130), 2026, 2026);
    assert_int_equal(counted(&h, 2026), 630);
    house_close(&h);
    house_open(&h, *state);
    assert_int_equal(counted(&h, 2026), 630);
    house_close(&h);
}

static void charges_that_count_nobody_are_corrupt(void **state)
{
    struct house h;
    struct ym_buf line;

    house_open(&h, *state);
    line = line_of(&h.self, "charge", members("trial", 1, json_array(), exporter));
    assert_int_equal(ym_meter_take(h.meter, ym_buf_bytes(&line), NULL), YM_CORRUPT);
    ym_buf_release(&line);
    line = line_of(&h.self, "charge", members("trial", 1, json_pack("[{s:i}]", "year", 2026), exporter));
    assert_int_equal(ym_meter_take(h.meter, ym_buf_bytes(&line), NULL), YM_CORRUPT);
    ym_buf_release(&line);
    house_close(&h);
}

/* ---- what the ledger tells ---- */

static void the_ledger_does_not_tell_whether_two_charges_count_the_same(void **state)
{
    struct ym_cohort c = people(0, 40);
    struct house h;
    json_t *a, *b;

    house_open(&h, *state);
    a = keep(&h, "trial", &c, 2026, 2026);
    b = keep(&h, "trial", &c, 2026, 2026);
    assert_int_equal(sets(&h), 1);
    assert_false(
        json_equal(json_object_get(json_array_get(a, 0), "set"), json_object_get(json_array_get(b, 0), "set")));
    json_decref(a);
    json_decref(b);
    ym_cohort_release(&c);
    house_close(&h);
}

static void pseudonyms_are_of_this_site_alone(void **state)
{
    uint8_t patient[YM_HASH_BYTES] = {1}, a[YM_HASH_BYTES], b[YM_HASH_BYTES];

    (void)state;
    ym_pseudonym(salt, "national_id", "d", patient, patient, a);
    ym_pseudonym(other_salt, "national_id", "d", patient, patient, b);
    assert_memory_not_equal(a, b, sizeof a);
    ym_pseudonym(salt, "hospital_id", "d", patient, patient, b);
    assert_memory_not_equal(a, b, sizeof a);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, dir_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(slices_count_as_the_whole),
                                       CASE(any_order_counts_the_union),
                                       CASE(a_copy_or_another_name_is_nobody_new),
                                       CASE(who_cannot_be_told_apart_counts_again),
                                       CASE(exporters_and_years_are_apart),
                                       cmocka_unit_test(the_year_turns_in_china),
                                       CASE(a_round_over_midnight_counts_in_both_years),
                                       CASE(a_set_without_its_charge_counts_nobody),
                                       CASE(who_is_on_a_lost_set_stays_counted),
                                       CASE(a_set_that_was_changed_is_lost),
                                       CASE(the_exact_number_is_told_and_not_counted_on),
                                       CASE(charges_that_come_back_count_on_top),
                                       CASE(charges_that_count_nobody_are_corrupt),
                                       CASE(the_ledger_does_not_tell_whether_two_charges_count_the_same),
                                       cmocka_unit_test(pseudonyms_are_of_this_site_alone)};

    return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}
