/* Who withdrew stays out: across restarts, crashes and lost files. */

#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "support.h"
#include "worker/trainer/withdraw.h"

struct desk {
    struct ym_site site;
    struct ym_withdrawn *w;
};

static void open_desk(struct desk *d, json_t *const *leaf, size_t count, enum ym_code want)
{
    d->w = ym_withdrawn_new(&d->site);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ym_withdrawn_take(d->w, leaf[i], NULL), YM_OK);
    assert_int_equal(ym_withdrawn_load(d->w, NULL), want);
}

static json_t *keep(struct desk *d, const char *dataset, uint8_t person)
{
    uint8_t id[1][YM_HASH_BYTES] = {{person}};
    struct ym_cohort one = {id, 1};
    json_t *members = NULL;
    assert_int_equal(ym_withdrawn_keep(d->w, dataset, &one, &members, NULL), YM_OK);
    json_object_set_new(members, "type", json_string("withdrawal"));
    return members;
}

static size_t files(const struct desk *d, char last[YM_SITE_PATH])
{
    char dir[YM_SITE_PATH], **name = NULL;
    size_t count = 0;
    assert_int_equal(ym_site_path(&d->site, "withdrawn", NULL, dir), YM_OK);
    assert_int_equal(ym_fs_list(dir, &name, &count, NULL), YM_OK);
    if (count && last)
        assert_int_equal(ym_site_path(&d->site, "withdrawn", name[count - 1], last), YM_OK);
    ym_fs_names_free(name, count);
    return count;
}

static void begin(struct desk *d, const char *dir)
{
    *d = (struct desk){0};
    snprintf(d->site.dir, sizeof d->site.dir, "%s", dir);
}

static void lists_survive_and_grow(void **state)
{
    char dir[] = "/tmp/ym-withdraw-XXXXXX";
    struct desk d;
    json_t *leaf[2];
    (void)state;
    begin(&d, mkdtemp(dir));
    open_desk(&d, NULL, 0, YM_OK);
    assert_int_equal(ym_withdrawn_of(d.w, "a-b")->count, 0);
    leaf[0] = keep(&d, "a-b", 1);
    assert_int_equal(json_integer_value(json_object_get(leaf[0], "people")), 100);
    ym_withdrawn_free(d.w);
    open_desk(&d, leaf, 1, YM_OK);
    leaf[1] = keep(&d, "a-b", 2);
    assert_int_equal(files(&d, NULL), 2);
    ym_withdrawn_take(d.w, leaf[1], NULL);
    assert_int_equal(ym_withdrawn_load(d.w, NULL), YM_OK);
    ym_withdrawn_sweep(d.w);
    assert_int_equal(files(&d, NULL), 1);
    ym_withdrawn_free(d.w);
    open_desk(&d, leaf, 2, YM_OK);
    assert_int_equal(ym_withdrawn_of(d.w, "a-b")->count, 2);
    assert_int_equal(ym_withdrawn_of(d.w, "a")->count, 0);
    ym_withdrawn_free(d.w);
    json_decref(leaf[0]);
    json_decref(leaf[1]);
}

/* Between the file and its leaf. */
static void a_crash_before_the_leaf_forgets_nobody(void **state)
{
    char dir[] = "/tmp/ym-withdraw-XXXXXX";
    struct desk d;
    json_t *leaf, *lost;
    (void)state;
    begin(&d, mkdtemp(dir));
    open_desk(&d, NULL, 0, YM_OK);
    leaf = keep(&d, "wards", 1);
    ym_withdrawn_take(d.w, leaf, NULL);
    assert_int_equal(ym_withdrawn_load(d.w, NULL), YM_OK);
    lost = keep(&d, "wards", 9);
    ym_withdrawn_free(d.w);
    open_desk(&d, &leaf, 1, YM_OK);
    assert_int_equal(ym_withdrawn_of(d.w, "wards")->count, 2);
    ym_withdrawn_free(d.w);
    json_decref(leaf);
    json_decref(lost);
}

static void a_list_that_is_gone_or_changed_stops_everything(void **state)
{
    char dir[] = "/tmp/ym-withdraw-XXXXXX", path[YM_SITE_PATH];
    struct desk d;
    struct ym_buf good = {0};
    json_t *leaf;
    (void)state;
    begin(&d, mkdtemp(dir));
    open_desk(&d, NULL, 0, YM_OK);
    leaf = keep(&d, "wards", 1);
    ym_withdrawn_free(d.w);
    assert_int_equal(files(&d, path), 1);
    assert_int_equal(ym_fs_read(path, 4096, &good, NULL), YM_OK);
    good.data[good.len - 1] ^= 1;
    assert_int_equal(ym_fs_write(path, ym_buf_bytes(&good), 0600, NULL), YM_OK);
    open_desk(&d, &leaf, 1, YM_CORRUPT);
    ym_withdrawn_free(d.w);
    unlink(path);
    open_desk(&d, &leaf, 1, YM_CORRUPT);
    ym_withdrawn_free(d.w);
    good.data[good.len - 1] ^= 1;
    assert_int_equal(ym_fs_write(path, ym_buf_bytes(&good), 0600, NULL), YM_OK);
    open_desk(&d, &leaf, 1, YM_OK);
    ym_withdrawn_free(d.w);
    ym_buf_release(&good);
    json_decref(leaf);
}

/* Whoever left all data sets is out of those that nobody has named yet, and a set's own list stays its own. */
static void all_data_sets_are_those_to_come_too(void **state)
{
    char dir[] = "/tmp/ym-withdraw-XXXXXX";
    const uint8_t one[YM_HASH_BYTES] = {1}, two[YM_HASH_BYTES] = {2}, three[YM_HASH_BYTES] = {3};
    struct desk d;
    json_t *leaf[2];
    (void)state;
    begin(&d, mkdtemp(dir));
    open_desk(&d, NULL, 0, YM_OK);
    leaf[0] = keep(&d, "wards", 1);
    leaf[1] = keep(&d, YM_WITHDRAWN_ALL, 2);
    assert_string_equal(json_string_value(json_object_get(leaf[1], "dataset")), "_all");
    ym_withdrawn_free(d.w);
    open_desk(&d, leaf, 2, YM_OK);
    assert_int_equal(ym_withdrawn_of(d.w, "wards")->count, 2);
    assert_int_equal(ym_withdrawn_of(d.w, "later")->count, 1);
    assert_memory_equal(ym_withdrawn_of(d.w, "later")->id[0], two, sizeof two);
    assert_int_equal(ym_withdrawn_of(d.w, YM_WITHDRAWN_ALL)->count, 1);
    assert_true(ym_withdrawn_any(d.w, one) && ym_withdrawn_any(d.w, two) && !ym_withdrawn_any(d.w, three));
    ym_withdrawn_free(d.w);
    json_decref(leaf[0]);
    json_decref(leaf[1]);
}

static void a_list_with_one_bit_changed_names_nobody(void **state)
{
    static const uint8_t set[YM_HASH_BYTES] = {7}, id[3][YM_HASH_BYTES] = {{1}, {2}, {3}};
    const uint8_t(*got)[YM_HASH_BYTES];
    struct ym_buf b = {0};
    size_t count = 0;
    (void)state;
    assert_int_equal(ym_people_encode(set, id, 3, &b, NULL), YM_OK);
    assert_int_equal(ym_people_ids(ym_buf_bytes(&b), set, &got, &count, NULL), YM_OK);
    assert_int_equal(count, 3);
    assert_memory_equal(got, id, sizeof id);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] ^= 4;
        assert_int_equal(ym_people_ids(ym_buf_bytes(&b), set, &got, &count, NULL), YM_CORRUPT);
        b.data[i] ^= 4;
        assert_int_equal(ym_people_ids((struct ym_bytes){b.data, i}, set, &got, &count, NULL), YM_CORRUPT);
    }
    ym_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_with_one_bit_changed_names_nobody),
        cmocka_unit_test(lists_survive_and_grow),
        cmocka_unit_test(a_crash_before_the_leaf_forgets_nobody),
        cmocka_unit_test(a_list_that_is_gone_or_changed_stops_everything),
        cmocka_unit_test(all_data_sets_are_those_to_come_too),
    };
    return cmocka_run_group_tests_name("withdraw", tests, NULL, NULL);
}
