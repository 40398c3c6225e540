#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "coordinator/aggregate/block.h"
#include "coordinator/aggregate/fold.h"
#include "coordinator/aggregate/object.h"
#include "coordinator/aggregate/spool.h"
#include "models/model.h"
#include "models/state.h"
#include "tests/unit/gate_help.h"

struct place {
    char dir[64], spool[80], objects[80];
    struct ym_plan *plan;
    size_t dim, averaged;
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    struct ym_model m;

    strcpy(p->dir, "/tmp/yumen-spool-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->spool, sizeof p->spool, "%s/spool", p->dir);
    snprintf(p->objects, sizeof p->objects, "%s/objects", p->dir);
    assert_int_equal(ym_fs_mkdirs(p->spool, 0700, NULL), YM_OK);
    assert_int_equal(ym_fs_mkdirs(p->objects, 0700, NULL), YM_OK);
    p->plan = plan_must(good_plan); /* study s1, hospitals h1 h2 of weight 1 */
    p->plan->site[1].weight = 3;
    p->plan->clip_bit_units = 1; /* one more coordinate averaged, three summed */
    p->plan->scaling_sigma_units = 1;
    p->plan->scaling_least = 0.1;
    assert_int_equal(ym_model_from_plan(p->plan, &m, NULL), YM_OK);
    p->dim = ym_model_update_dim(&m);
    p->averaged = m.averaged;
    *state = p;
    return 0;
}

static int end_place(void **state)
{
    struct place *p = *state;
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
    ym_plan_free(p->plan);
    free(p);
    return system(command);
}

static struct ym_spool_key key_of(const struct place *p, const char *site)
{
    return (struct ym_spool_key){p->spool, "s1", site, 1, 1};
}

static struct ym_bytes as_bytes(const int64_t *v, size_t n)
{
    return (struct ym_bytes){(const uint8_t *)v, n * sizeof *v};
}

static void put_whole(const struct place *p, const char *site, const int64_t *v, size_t n)
{
    struct ym_spool_key key = key_of(p, site);
    struct ym_spool *s = NULL;
    uint64_t offset;

    assert_int_equal(ym_spool_open(&key, n * 8, &s, &offset, NULL), YM_OK);
    assert_int_equal(ym_spool_append(s, offset, as_bytes(v, n), NULL), YM_OK);
    assert_int_equal(ym_spool_sync(s, NULL), YM_OK);
    ym_spool_close(&s);
}

static enum ym_code check(const struct place *p, const char *site, const int64_t *v, size_t n, uint32_t bits,
                          const char **reason)
{
    struct ym_spool_key key = key_of(p, site);
    uint8_t hash[YM_HASH_BYTES];

    ym_sha256(v, n * 8, hash);
    return ym_spool_check(&key, n * 8, hash, bits, NULL, 0, reason, NULL);
}

static void an_upload_goes_on_where_the_file_ends(void **state)
{
    struct place *p = *state;
    struct ym_spool_key key = key_of(p, "h1");
    struct ym_spool *s = NULL;
    int64_t v[4] = {1, -2, 3, -4};
    const char *reason;
    uint64_t offset = 99;

    assert_int_equal(ym_spool_arrived(&key), 0);
    assert_int_equal(ym_spool_open(&key, sizeof v, &s, &offset, NULL), YM_OK);
    assert_int_equal(offset, 0);
    assert_int_equal(ym_spool_append(s, 0, (struct ym_bytes){(uint8_t *)v, 13}, NULL), YM_OK);
    ym_spool_close(&s); /* dies in the middle of a value */
    assert_int_equal(ym_spool_arrived(&key), 13);
    assert_int_equal(check(p, "h1", v, 4, 40, &reason), YM_CONFLICT);
    assert_string_equal(reason, "incomplete");
    assert_int_equal(ym_spool_open(&key, sizeof v, &s, &offset, NULL), YM_OK);
    assert_int_equal(offset, 13);
    assert_int_equal(ym_spool_append(s, 12, (struct ym_bytes){(uint8_t *)v, 1}, NULL), YM_CONFLICT);
    assert_int_equal(ym_spool_append(s, 14, (struct ym_bytes){(uint8_t *)v, 1}, NULL), YM_CONFLICT);
    assert_int_equal(ym_spool_append(s, 13, (struct ym_bytes){(uint8_t *)v + 13, 20}, NULL), YM_INVALID);
    assert_int_equal(ym_spool_append(s, 13, (struct ym_bytes){(uint8_t *)v + 13, 19}, NULL), YM_OK);
    assert_int_equal(ym_spool_length(s), 32);
    ym_spool_close(&s);
    assert_int_equal(check(p, "h1", v, 4, 40, &reason), YM_OK);
    assert_string_equal(reason, "");
}

static void other_bytes_are_dropped_so_that_the_right_ones_can_come(void **state)
{
    struct place *p = *state;
    struct ym_spool_key key = key_of(p, "h1");
    int64_t right[2] = {5, 6}, wrong[2] = {5, 7};
    const char *reason;

    put_whole(p, "h1", wrong, 2);
    assert_int_equal(check(p, "h1", right, 2, 40, &reason), YM_CORRUPT);
    assert_string_equal(reason, "wrong_hash");
    assert_int_equal(ym_spool_arrived(&key), 0);
    put_whole(p, "h1", right, 2);
    assert_int_equal(check(p, "h1", right, 2, 40, &reason), YM_OK);
}

static void values_outside_the_width_are_refused(void **state)
{
    static const struct {
        int64_t value;
        uint32_t bits;
        enum ym_code code;
    } table[] = {
        {127, 8, YM_OK},
        {-128, 8, YM_OK},
        {128, 8, YM_INVALID},
        {-129, 8, YM_INVALID},
        {INT64_MAX, 64, YM_OK},
        {INT64_MIN, 64, YM_OK},
        {INT64_MAX, 60, YM_INVALID},
        {INT64_MIN, 60, YM_INVALID},
        {(1LL << 39) - 1, 40, YM_OK},
        {1LL << 39, 40, YM_INVALID},
        {-(1LL << 39), 40, YM_OK},
    };
    struct place *p = *state;
    const char *reason;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t v[3] = {0, table[i].value, 0};

        put_whole(p, "h1", v, 3);
        assert_int_equal(check(p, "h1", v, 3, table[i].bits, &reason), table[i].code);
        assert_string_equal(reason, table[i].code == YM_OK ? "" : "out_of_range");
        ym_spool_drop(&(struct ym_spool_key){p->spool, "s1", NULL, 1, 1});
    }
}

/* Counts in a round that is not charged for them, changes of frozen parameters. */
static void values_where_there_should_be_none_are_refused(void **state)
{
    static const struct ym_run behind = {1, 3};
    struct place *p = *state;
    struct ym_spool_key key = key_of(p, "h1");
    const char *reason;

    for (size_t at = 0; at < 3; at++) {
        int64_t v[3] = {0};
        uint8_t hash[YM_HASH_BYTES];

        v[at] = at + 1;
        ym_sha256(v, sizeof v, hash);
        put_whole(p, "h1", v, 3);
        assert_int_equal(ym_spool_check(&key, sizeof v, hash, 40, &behind, 1, &reason, NULL),
                         at == 0 ? YM_OK : YM_INVALID);
        assert_string_equal(reason, at == 0 ? "" : "out_of_range");
        ym_spool_drop(&(struct ym_spool_key){p->spool, "s1", NULL, 1, 1});
    }
}

static void names_that_climb_are_refused(void **state)
{
    struct place *p = *state;
    struct ym_spool_key key = {p->spool, "s1", "../../etc", 1, 1};
    struct ym_spool *s = NULL;
    uint64_t offset;

    assert_int_equal(ym_spool_open(&key, 8, &s, &offset, NULL), YM_INVALID);
    key = (struct ym_spool_key){p->spool, "..", "h1", 1, 1};
    assert_int_equal(ym_spool_open(&key, 8, &s, &offset, NULL), YM_INVALID);
}

static void a_full_disk_keeps_what_was_there(void **state)
{
    struct place *p = *state;
    struct ym_spool_key key = key_of(p, "h1");
    struct ym_spool *s = NULL;
    struct rlimit old, small = {4096, RLIM_INFINITY};
    static int64_t v[2048];
    uint64_t offset;

    v[0] = 42;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(ym_spool_open(&key, sizeof v, &s, &offset, NULL), YM_OK);
    assert_int_equal(ym_spool_append(s, 0, (struct ym_bytes){(uint8_t *)v, 4000}, NULL), YM_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0); /* the disk ends in the middle of the next write */
    assert_int_equal(ym_spool_append(s, 4000, (struct ym_bytes){(uint8_t *)v + 4000, 8000}, NULL), YM_EXHAUSTED);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(ym_spool_length(s), 4000);
    assert_int_equal(ym_spool_arrived(&key), 4000);
    assert_int_equal(ym_spool_append(s, 4000, (struct ym_bytes){(uint8_t *)v + 4000, sizeof v - 4000}, NULL), YM_OK);
    ym_spool_close(&s);
}

/* ---- folding ---- */

static void prepare(struct place *p, int64_t *a, int64_t *b, uint8_t state[YM_HASH_BYTES])
{
    struct ym_buf first = {0};

    for (size_t i = 0; i < p->dim; i++) {
        a[i] = (int64_t)(i * 31 % 17) - 8;
        b[i] = 1000 - (int64_t)i;
    }
    put_whole(p, "h1", a, p->dim);
    put_whole(p, "h2", b, p->dim);
    assert_int_equal(ym_state_initial(p->plan, &first, NULL), YM_OK);
    assert_int_equal(ym_object_put(p->objects, (struct ym_bytes){first.data, first.len}, state, NULL), YM_OK);
    ym_buf_release(&first);
}

static void the_sum_is_exact_and_the_state_follows(void **state)
{
    struct place *p = *state;
    int64_t a[64], b[64], sum[64];
    size_t both[2] = {0, 1};
    const char *names[2] = {"h1", "h2"};
    struct ym_fold f = {p->plan, p->spool, p->objects, 1, 1, {0}, both, 2};
    struct ym_round_sum rs = {1, sum, names, 2};
    uint8_t sum_hash[YM_HASH_BYTES], next[YM_HASH_BYTES], again[YM_HASH_BYTES], again_next[YM_HASH_BYTES];
    bool stops;
    struct ym_buf first = {0}, want = {0}, got = {0};

    assert_true(p->dim <= 64);
    prepare(p, a, b, f.state);
    for (size_t i = 0; i < p->dim; i++)
        sum[i] = a[i] + (i < p->averaged ? 3 : 1) * b[i]; /* by hand: weights 1 and 3 */
    assert_int_equal(ym_fold_run(&f, sum_hash, next, &stops, NULL), YM_OK);
    assert_int_equal(ym_object_get(p->objects, sum_hash, 1 << 20, &got, NULL), YM_OK);
    assert_int_equal(got.len, p->dim * 8);
    assert_memory_equal(got.data, sum, got.len);
    ym_buf_clear(&got);
    assert_int_equal(ym_object_get(p->objects, f.state, 1 << 20, &first, NULL), YM_OK);
    assert_int_equal(ym_state_next(p->plan, (struct ym_bytes){first.data, first.len}, &rs, &want, NULL), YM_OK);
    assert_int_equal(ym_object_get(p->objects, next, 1 << 20, &got, NULL), YM_OK);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.data, want.data, want.len);
    assert_int_equal(ym_fold_run(&f, again, again_next, &stops, NULL), YM_OK); /* killed after it, it runs again */
    assert_memory_equal(again, sum_hash, YM_HASH_BYTES);
    assert_memory_equal(again_next, next, YM_HASH_BYTES);
    ym_buf_release(&first);
    ym_buf_release(&want);
    ym_buf_release(&got);
}

static void a_survivor_alone_is_the_sum(void **state)
{
    struct place *p = *state;
    int64_t a[64], b[64];
    size_t one[1] = {1};
    struct ym_fold f = {p->plan, p->spool, p->objects, 1, 1, {0}, one, 1};
    uint8_t sum_hash[YM_HASH_BYTES], next[YM_HASH_BYTES];
    bool stops;
    struct ym_buf got = {0};

    prepare(p, a, b, f.state);
    assert_int_equal(ym_fold_run(&f, sum_hash, next, &stops, NULL), YM_OK);
    assert_int_equal(ym_object_get(p->objects, sum_hash, 1 << 20, &got, NULL), YM_OK);
    for (size_t i = 0; i < p->dim; i++)
        assert_int_equal(((int64_t *)got.data)[i], (i < p->averaged ? 3 : 1) * b[i]);
    ym_buf_release(&got);
}

/* Patients are counted once, whatever a hospital's weight; and no metrics leave in other rounds. */
static void metrics_are_added_without_weights(void **state)
{
    struct place *p = *state;
    int64_t a[64], b[64];
    size_t both[2] = {0, 1}, dim = p->dim;
    struct ym_fold f = {p->plan, p->spool, p->objects, 1, 1, {0}, both, 2};
    uint8_t sum_hash[YM_HASH_BYTES], next[YM_HASH_BYTES];
    bool stops;
    struct ym_buf got = {0};

    p->plan->metric_every = 1;
    p->plan->metric_bins = 2;
    p->dim += ym_plan_metric_dim(p->plan);
    assert_true(p->dim == dim + 4 && p->dim <= 64);
    prepare(p, a, b, f.state);
    assert_int_equal(ym_fold_run(&f, sum_hash, next, &stops, NULL), YM_OK);
    assert_int_equal(ym_object_get(p->objects, sum_hash, 1 << 20, &got, NULL), YM_OK);
    assert_int_equal(got.len, p->dim * 8);
    for (size_t i = 0; i < p->dim; i++)
        assert_int_equal(((int64_t *)got.data)[i], a[i] + (i < p->averaged ? 3 : 1) * b[i]);
    p->plan->metric_every = 2;
    assert_int_equal(ym_fold_run(&f, sum_hash, next, &stops, NULL), YM_INVALID);
    ym_buf_release(&got);
}

static void a_torn_spool_is_never_folded(void **state)
{
    struct place *p = *state;
    int64_t a[64], b[64];
    size_t both[2] = {0, 1};
    struct ym_fold f = {p->plan, p->spool, p->objects, 1, 1, {0}, both, 2};
    uint8_t sum[YM_HASH_BYTES] = {1}, next[YM_HASH_BYTES] = {2};
    bool stops;
    struct ym_spool_key key = key_of(p, "h2");
    char path[256];

    prepare(p, a, b, f.state);
    assert_int_equal(ym_spool_path(&key, path, sizeof path), YM_OK);
    assert_int_equal(truncate(path, (off_t)(p->dim * 8 - 1)), 0);
    assert_int_equal(ym_fold_run(&f, sum, next, &stops, NULL), YM_CORRUPT);
    assert_int_equal(truncate(path, (off_t)(p->dim * 8 + 8)), 0);
    assert_int_equal(ym_fold_run(&f, sum, next, &stops, NULL), YM_CORRUPT);
    b[0] = INT64_MAX;
    ym_spool_drop(&key);
    put_whole(p, "h2", b, p->dim);
    assert_int_equal(ym_fold_run(&f, sum, next, &stops, NULL), YM_CORRUPT); /* would wrap */
    ym_spool_drop(&key);
    assert_int_equal(ym_fold_run(&f, sum, next, &stops, NULL), YM_NOT_FOUND);
    assert_int_equal(sum[0], 1);
    assert_int_equal(next[0], 2);
}

static void dropping_an_attempt_leaves_the_others(void **state)
{
    struct place *p = *state;
    struct ym_spool_key all = {p->spool, "s1", NULL, 1, 1}, other = {p->spool, "s1", "h1", 1, 2}, key = key_of(p, "h1");
    struct ym_spool *s = NULL;
    int64_t v[1] = {1};
    uint64_t offset;

    put_whole(p, "h1", v, 1);
    put_whole(p, "h2", v, 1);
    assert_int_equal(ym_spool_open(&other, 8, &s, &offset, NULL), YM_OK);
    assert_int_equal(ym_spool_append(s, 0, as_bytes(v, 1), NULL), YM_OK);
    ym_spool_close(&s);
    ym_spool_drop(&all);
    ym_spool_drop(&all);
    assert_int_equal(ym_spool_arrived(&key), 0);
    assert_int_equal(ym_spool_arrived(&other), 8);
}

static void objects_are_what_their_name_says(void **state)
{
    struct place *p = *state;
    struct ym_bytes data = {(const uint8_t *)"state", 5};
    uint8_t hash[YM_HASH_BYTES], none[YM_HASH_BYTES] = {0};
    struct ym_buf got = {0};
    char path[YM_OBJECT_PATH];
    FILE *f;

    assert_int_equal(ym_object_put(p->objects, data, hash, NULL), YM_OK);
    assert_int_equal(ym_object_put(p->objects, data, hash, NULL), YM_OK);
    assert_int_equal(ym_object_get(p->objects, hash, 100, &got, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&got), "state");
    assert_int_equal(ym_object_get(p->objects, hash, 4, &got, NULL), YM_EXHAUSTED);
    assert_int_equal(ym_object_get(p->objects, none, 100, &got, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_object_path(p->objects, hash, path), YM_OK);
    f = fopen(path, "wb");
    assert_non_null(f);
    fputs("stale", f);
    fclose(f);
    assert_int_equal(ym_object_get(p->objects, hash, 100, &got, NULL), YM_CORRUPT);
    ym_buf_release(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_upload_goes_on_where_the_file_ends, make_place, end_place),
        cmocka_unit_test_setup_teardown(other_bytes_are_dropped_so_that_the_right_ones_can_come, make_place, end_place),
        cmocka_unit_test_setup_teardown(values_outside_the_width_are_refused, make_place, end_place),
        cmocka_unit_test_setup_teardown(values_where_there_should_be_none_are_refused, make_place, end_place),
        cmocka_unit_test_setup_teardown(names_that_climb_are_refused, make_place, end_place),
        cmocka_unit_test_setup_teardown(a_full_disk_keeps_what_was_there, make_place, end_place),
        cmocka_unit_test_setup_teardown(the_sum_is_exact_and_the_state_follows, make_place, end_place),
        cmocka_unit_test_setup_teardown(a_survivor_alone_is_the_sum, make_place, end_place),
        cmocka_unit_test_setup_teardown(metrics_are_added_without_weights, make_place, end_place),
        cmocka_unit_test_setup_teardown(a_torn_spool_is_never_folded, make_place, end_place),
        cmocka_unit_test_setup_teardown(dropping_an_attempt_leaves_the_others, make_place, end_place),
        cmocka_unit_test_setup_teardown(objects_are_what_their_name_says, make_place, end_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
