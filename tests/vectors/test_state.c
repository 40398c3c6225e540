/* The state chain to the bit against tests/vectors/state, which
 * tests/vectors/state_vectors.py computes in Python from docs/formats.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "models/state.h"
#include "tests/support/plan.h"

#define FOLDER YM_TEST_SOURCE_ROOT "/tests/vectors/state/"
#define ROUNDS 3

static const char *const survivors[ROUNDS][3] = {{"h1", "h2", "h3"}, {"h2"}, {"h1", "h3"}};
static const size_t survivor_count[ROUNDS] = {3, 1, 2};

static void adam(struct ym_plan *p)
{
    p->server = YM_SERVER_FEDADAM;
    p->server_lr = 0.1;
    p->beta1 = 0.9;
    p->beta2 = 0.99;
    p->server_eps = 1e-3;
}

/* Control variates, and early stop on the AUC of two bins. */
static void corrected(struct ym_plan *p)
{
    p->scaffold = true;
    p->steps_per_round = 3;
    p->learning_rate = 0.3;
    p->metric_every = 1;
    p->metric_bins = 2;
    p->metric_sigma_units = 1;
    p->stop_figure = YM_STOP_AUC;
    p->stop_by = 0.01;
    p->stop_after = 2;
}

static const struct server {
    const char *name;
    enum ym_server_opt server;
    double lr, beta1, beta2, tau;
    uint64_t seed;
} servers[] = {
    {"fedadam", YM_SERVER_FEDADAM, 0.1, 0.9, 0.99, 1e-3, 20240117},
    {"fedavgm", YM_SERVER_FEDAVGM, 0.5, 0.9, 0, 0, 7},
    {"fedyogi", YM_SERVER_FEDYOGI, 0.1, 0.9, 0.99, 1e-3, 8},
    {"fedadagrad", YM_SERVER_FEDADAGRAD, 0.1, 0.25, 0, 1e-3, 9},
};

static void deep_plan(struct ym_plan *p, const struct server *s)
{
    p->hidden_count = 1;
    p->hidden[0] = 4;
    p->server = s->server;
    p->server_lr = s->lr;
    p->beta1 = s->beta1;
    p->beta2 = s->beta2;
    p->server_eps = s->tau;
    p->init_seed = s->seed;
    p->update_scale_bits = 24;
}

static struct ym_plan *plan_of(const char *name)
{
    static const uint32_t weight[] = {1, 3, 2};
    struct ym_plan *p;

    if (strcmp(name, "fedavg") == 0) {
        p = plan_make(YM_FAMILY_LOGISTIC, 3, 1);
        p->server_lr = 0.75;
        p->init_seed = 1;
    } else if (strcmp(name, "adaptive") == 0 || strcmp(name, "scaling") == 0) {
        bool scaling = strcmp(name, "scaling") == 0;

        p = plan_make(YM_FAMILY_LOGISTIC, 3, 1);
        adam(p);
        p->init_seed = scaling ? 6 : 5;
        p->scaling_sigma_units = scaling;
        p->scaling_least = 0.1;
        p->update_scale_bits = 28;
        p->clip_bit_units = 1677721;
    } else if (strcmp(name, "scaffold") == 0) {
        p = plan_make(YM_FAMILY_LOGISTIC, 3, 1);
        adam(p);
        corrected(p);
        p->init_seed = 12;
        p->update_scale_bits = 24;
        p->clip_bit_units = 1677721;
    } else {
        p = plan_make(YM_FAMILY_MLP, 5, 3);
        for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
            if (strcmp(name, servers[i].name) == 0)
                deep_plan(p, &servers[i]);
    }
    plan_add_sites(p, 3, weight);
    return p;
}

static void load(const char *name, const char *suffix, int round, struct ym_buf *out)
{
    char path[512];

    snprintf(path, sizeof path, FOLDER "%s.%s%d", name, suffix, round);
    assert_int_equal(ym_fs_read(path, 1 << 20, out, NULL), YM_OK);
}

static void assert_same(const struct ym_buf *a, const struct ym_buf *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->data, b->data, a->len);
}

static struct ym_round_sum sum_of(int round, const struct ym_buf *sum)
{
    return (struct ym_round_sum){(uint32_t)round, (const int64_t *)(const void *)sum->data, survivors[round - 1],
                                 survivor_count[round - 1]};
}

static const char *const cases[] = {"fedavg",     "fedadam",  "fedavgm", "fedyogi",
                                    "fedadagrad", "adaptive", "scaling", "scaffold"};

static void chain_is_the_published_one_to_the_bit(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct ym_plan *plan = plan_of(cases[c]);
        struct ym_buf now = {0}, want = {0};

        assert_int_equal(ym_state_initial(plan, &now, NULL), YM_OK);
        load(cases[c], "", 0, &want);
        assert_same(&now, &want);
        for (int r = 1; r <= ROUNDS; r++) {
            struct ym_buf sum = {0}, next = {0};
            struct ym_round_sum folded;

            load(cases[c], "sum", r, &sum);
            folded = sum_of(r, &sum);
            assert_int_equal(ym_state_next(plan, ym_buf_bytes(&now), &folded, &next, NULL), YM_OK);
            ym_buf_release(&want);
            load(cases[c], "", r, &want);
            assert_same(&next, &want);
            ym_buf_release(&sum);
            ym_buf_release(&now);
            now = next;
        }
        ym_buf_release(&now);
        ym_buf_release(&want);
        plan_drop(plan);
    }
}

/* Blocks of the streaming form must join without a seam: a model of several blocks. */
static struct ym_plan *large_plan(void)
{
    static const uint32_t weight[] = {1, 3, 2};
    struct ym_plan *p = plan_make(YM_FAMILY_MLP, 100, 2);

    p->hidden_count = 1;
    p->hidden[0] = 101; /* 10303 parameters: two blocks and a piece */
    p->clip_bit_units = 1;
    p->scaling_sigma_units = 1;
    p->scaling_least = 0.5;
    adam(p);
    corrected(p);
    p->stop_figure = YM_STOP_ACCURACY; /* two outputs */
    plan_add_sites(p, 3, weight);
    return p;
}

static void file_form_gives_the_same_bytes(void **state)
{
    char folder[] = "/tmp/ym-state-XXXXXX", old_path[64], new_path[64];
    struct ym_plan *plan = large_plan();
    struct ym_buf now = {0}, next = {0}, file = {0};
    struct ym_model m;
    uint8_t hash[YM_HASH_BYTES], want[YM_HASH_BYTES];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(old_path, sizeof old_path, "%s/old", folder);
    snprintf(new_path, sizeof new_path, "%s/new", folder);
    assert_int_equal(ym_model_from_plan(plan, &m, NULL), YM_OK);
    assert_int_equal(m.dim, 10303);
    assert_int_equal(ym_state_initial(plan, &now, NULL), YM_OK);
    int64_t *sum = calloc(ym_model_update_dim(&m), sizeof *sum);

    for (int r = 1; r <= ROUNDS; r++) {
        struct ym_round_sum folded = {(uint32_t)r, sum, survivors[r - 1], survivor_count[r - 1]};

        for (size_t i = 0; i < ym_model_update_dim(&m); i++)
            sum[i] = (int64_t)(i * 2654435761u % 4000003) * (r % 2 ? 1 : -1);
        assert_int_equal(ym_fs_write(old_path, ym_buf_bytes(&now), 0600, NULL), YM_OK);
        assert_int_equal(ym_state_next(plan, ym_buf_bytes(&now), &folded, &next, NULL), YM_OK);
        assert_int_equal(ym_state_next_file(plan, old_path, &folded, new_path, hash, NULL), YM_OK);
        assert_int_equal(ym_fs_read(new_path, 1 << 20, &file, NULL), YM_OK);
        assert_same(&file, &next);
        ym_sha256(next.data, next.len, want);
        assert_memory_equal(hash, want, sizeof want);
        ym_buf_release(&now);
        ym_buf_release(&file);
        now = next;
        next = (struct ym_buf){0};
    }
    free(sum);
    ym_buf_release(&now);
    unlink(old_path);
    unlink(new_path);
    assert_int_equal(rmdir(folder), 0); /* nothing temporary is left */
    plan_drop(plan);
}

static void wrong_sums_are_refused(void **state)
{
    struct ym_plan *plan = plan_of("fedavg");
    struct ym_buf now = {0}, next = {0}, raw = {0};
    static const char *const stranger[] = {"h1", "nobody"}, *const backwards[] = {"h2", "h1"},
                             *const twice[] = {"h1", "h1"};

    (void)state;
    assert_int_equal(ym_state_initial(plan, &now, NULL), YM_OK);
    load("fedavg", "sum", 1, &raw);
    const int64_t *sum = (const int64_t *)(const void *)raw.data;
    const struct ym_round_sum bad[] = {
        {2, sum, survivors[0], 3}, {0, sum, survivors[0], 3}, {1, sum, survivors[0], 0},
        {1, sum, stranger, 2},     {1, sum, backwards, 2},    {1, sum, twice, 2},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ym_state_next(plan, ym_buf_bytes(&now), &bad[i], &next, NULL), YM_INVALID);
    assert_int_equal(next.len, 0);
    plan->server_lr = 1e300;
    const struct ym_round_sum good = {1, sum, survivors[0], 3};

    assert_int_equal(ym_state_next(plan, ym_buf_bytes(&now), &good, &next, NULL), YM_INVALID); /* leaves float32 */
    ym_buf_release(&now);
    ym_buf_release(&raw);
    plan_drop(plan);
}

/* Every byte of header and length is pinned: flip each, cut anywhere, append one. */
static void damaged_state_is_corrupt(void **state)
{
    struct ym_plan *plan = plan_of("fedadam");
    struct ym_buf file = {0};
    const uint8_t *params;
    uint32_t round;
    size_t data_at;

    (void)state;
    load("fedadam", "", 2, &file);
    assert_int_equal(ym_state_params(plan, ym_buf_bytes(&file), &round, &params, NULL), YM_OK);
    assert_int_equal(round, 2);
    data_at = (size_t)(params - file.data);
    for (size_t i = 0; i < data_at; i++) {
        enum ym_code code;

        file.data[i] ^= 1;
        code = ym_state_params(plan, ym_buf_bytes(&file), &round, &params, NULL);
        file.data[i] ^= 1;
        if (code == YM_OK) {
            /* round, previous and sum are free: another digit there is the header of another state */
            assert_true((file.data[i] >= '0' && file.data[i] <= '9') || (file.data[i] >= 'a' && file.data[i] <= 'f'));
            continue;
        }
        assert_int_equal(code, YM_CORRUPT);
    }
    for (size_t cut = 0; cut < file.len; cut += 7)
        assert_int_equal(ym_state_params(plan, (struct ym_bytes){file.data, cut}, &round, &params, NULL), YM_CORRUPT);
    assert_int_equal(ym_buf_append(&file, "x", 1), YM_OK);
    assert_int_equal(ym_state_params(plan, ym_buf_bytes(&file), &round, &params, NULL), YM_CORRUPT);
    assert_int_equal(round, 2);
    ym_buf_release(&file);
    plan_drop(plan);
}

/* What the trainer takes the exponential of comes from the hub: bounded before use. */
static void log_clip_out_of_range_is_corrupt(void **state)
{
    static const double bad[] = {11.000001, -12, NAN, INFINITY, -INFINITY};
    struct ym_plan *plan = plan_of("adaptive");
    struct ym_buf file = {0}, raw = {0}, next = {0};
    struct ym_round_sum folded;
    double log_clip = 7;

    (void)state;
    load("adaptive", "", 1, &file);
    load("adaptive", "sum", 2, &raw);
    folded = sum_of(2, &raw);
    assert_int_equal(ym_state_extra(plan, ym_buf_bytes(&file), &log_clip, NULL), YM_OK);
    assert_true(log_clip != 0 && fabs(log_clip) < 0.01); /* 20 bits of 28 */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(file.data + file.len - 8, &bad[i], 8);
        assert_int_equal(ym_state_extra(plan, ym_buf_bytes(&file), &log_clip, NULL), YM_CORRUPT);
        assert_int_equal(ym_state_next(plan, ym_buf_bytes(&file), &folded, &next, NULL), YM_CORRUPT);
    }
    assert_int_equal(next.len, 0);
    ym_buf_release(&file);
    ym_buf_release(&raw);
    plan_drop(plan);
}

/* Rows are divided by what stands here. */
static void scaling_out_of_range_is_corrupt(void **state)
{
    static const double bad_mean[] = {1.000001, -2, NAN}, bad_scale[] = {0, 0.0999, 1.01, -0.5, NAN, INFINITY};
    struct ym_plan *plan = plan_of("scaling");
    struct ym_buf file = {0};
    double extra[7], good;

    (void)state;
    load("scaling", "", 2, &file);
    assert_int_equal(ym_state_extra(plan, ym_buf_bytes(&file), extra, NULL), YM_OK);
    assert_true(extra[1] < -0.8 && extra[2] == 1 && extra[5] == 1 &&
                extra[6] == 0.1); /* cut: 3, sqrt(2), a narrow one */
    for (size_t i = 0; i < 9; i++) {
        uint8_t *at = file.data + file.len - (i < 3 ? 48 : 24);

        memcpy(&good, at, 8);
        memcpy(at, i < 3 ? &bad_mean[i] : &bad_scale[i - 3], 8);
        assert_int_equal(ym_state_extra(plan, ym_buf_bytes(&file), extra, NULL), YM_CORRUPT);
        memcpy(at, &good, 8);
    }
    assert_int_equal(ym_state_extra(plan, ym_buf_bytes(&file), extra, NULL), YM_OK);
    ym_buf_release(&file);
    plan_drop(plan);
}

static void another_plan_cannot_read_it(void **state)
{
    struct ym_plan *plan = plan_of("fedavg");
    struct ym_buf file = {0};
    const uint8_t *params;
    uint32_t round;

    (void)state;
    load("fedavg", "", 1, &file);
    plan->hash[0] ^= 1;
    assert_int_equal(ym_state_params(plan, ym_buf_bytes(&file), &round, &params, NULL), YM_CORRUPT);
    plan->hash[0] ^= 1;
    plan->site[1].weight++;
    assert_int_equal(ym_state_params(plan, ym_buf_bytes(&file), &round, &params, NULL), YM_CORRUPT);
    plan->site[1].weight--;
    plan->rounds = 0;
    assert_int_equal(ym_state_params(plan, ym_buf_bytes(&file), &round, &params, NULL), YM_CORRUPT);
    ym_buf_release(&file);
    plan_drop(plan);
}

static void missing_state_file_is_not_found(void **state)
{
    struct ym_plan *plan = plan_of("fedavg");
    struct ym_buf raw = {0};
    struct ym_round_sum folded;
    uint8_t hash[YM_HASH_BYTES];

    (void)state;
    load("fedavg", "sum", 1, &raw);
    folded = sum_of(1, &raw);
    assert_int_equal(ym_state_next_file(plan, "/nonexistent/a", &folded, "/nonexistent/b", hash, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_state_next_file(plan, FOLDER "fedavg.0", &folded, "/nonexistent/b", hash, NULL),
                     YM_UNAVAILABLE);
    ym_buf_release(&raw);
    plan_drop(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain_is_the_published_one_to_the_bit),
        cmocka_unit_test(file_form_gives_the_same_bytes),
        cmocka_unit_test(wrong_sums_are_refused),
        cmocka_unit_test(damaged_state_is_corrupt),
        cmocka_unit_test(log_clip_out_of_range_is_corrupt),
        cmocka_unit_test(scaling_out_of_range_is_corrupt),
        cmocka_unit_test(another_plan_cannot_read_it),
        cmocka_unit_test(missing_state_file_is_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
