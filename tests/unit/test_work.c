#include "site_help.h"

#include <poll.h>

#include "base/clock.h"
#include "base/fs.h"
#include "worker/trainer/work.h"

/* The thread that reads rows: when its answers may be taken. */

static void the_grid_is_public_and_never_early(void **state)
{
    static const int64_t table[][2] = {{0, 32},  {1, 32},  {32, 32},   {33, 48},   {48, 48},        {49, 64},
                                       {64, 64}, {65, 96}, {125, 128}, {129, 192}, {100000, 131072}};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(ym_work_grid_ms(table[i][0]), table[i][1]);
}

static struct ym_job *job(enum ym_job_kind kind, const struct ym_plan *plan)
{
    struct ym_job *j = calloc(1, sizeof *j);

    assert_non_null(j);
    j->kind = kind;
    j->plan = plan;
    snprintf(j->state_path, sizeof j->state_path, "/nonexistent");
    return j;
}

static struct ym_job *take_by(struct ym_work *w, int64_t end)
{
    struct ym_job *j;

    while (!(j = ym_work_take(w)) && ym_clock_mono_ms() < end)
        poll(NULL, 0, 1);
    return j;
}

/* A job that fails at once is not told at once: its time would tell what others
 * were told. */
static void what_a_task_asked_for_waits_for_the_grid(void **state)
{
    static const enum ym_job_kind kinds[] = {YM_JOB_PREPARE, YM_JOB_TRAIN};
    struct ym_plan *plan = plan_from(good_plan);
    struct ym_work *w = NULL;

    (void)state;
    assert_int_equal(ym_work_start(&w, NULL), YM_OK);
    for (size_t i = 0; i < 2; i++) {
        int64_t begin = ym_clock_mono_ms(), took;
        struct ym_job *j = job(kinds[i], plan);

        assert_int_equal(ym_work_push(w, &j, NULL), YM_OK);
        j = take_by(w, begin + 20000);
        took = ym_clock_mono_ms() - begin;
        assert_non_null(j);
        assert_string_equal(j->reason, "state_mismatch");
        assert_true(took >= YM_WORK_GRID_MS);
        assert_int_equal(j->due_ms - j->asked_ms, ym_work_grid_ms(j->due_ms - j->asked_ms));
        ym_job_free(&j);
    }
    assert_true(ym_work_due_ms(w) == INT64_MAX);
    ym_work_stop(&w);
    ym_plan_free(plan);
}

/* Its answer stays in the hospital. */
static void a_dry_run_is_told_when_it_is_done(void **state)
{
    struct ym_plan *plan = plan_from(good_plan);
    struct ym_work *w = NULL;
    struct ym_job *j = job(YM_JOB_CHECK, plan), *held = job(YM_JOB_PREPARE, plan);

    (void)state;
    assert_int_equal(ym_work_start(&w, NULL), YM_OK);
    assert_int_equal(ym_work_push(w, &held, NULL), YM_OK);
    assert_int_equal(ym_work_push(w, &j, NULL), YM_OK);
    j = take_by(w, ym_clock_mono_ms() + 20000);
    assert_non_null(j);
    assert_int_equal(j->kind, YM_JOB_CHECK);
    assert_int_equal(j->due_ms, 0);
    ym_job_free(&j);
    ym_work_stop(&w); /* with one that still waits */
    ym_plan_free(plan);
}

/* Asked before a charge: what cannot be trained must not be paid for. */
static void a_full_queue_is_known_before_it_is_pushed_to(void **state)
{
    struct ym_plan *plan = plan_from(good_plan);
    struct ym_work *w = NULL;
    size_t pushed = 0;

    (void)state;
    assert_int_equal(ym_work_start(&w, NULL), YM_OK);
    for (; pushed < 4 * YM_WORK_QUEUE && !ym_work_full(w); pushed++) {
        struct ym_job *j = job(YM_JOB_PREPARE, plan);

        assert_int_equal(ym_work_push(w, &j, NULL), YM_OK);
    }
    assert_true(pushed >= YM_WORK_QUEUE && pushed < 4 * YM_WORK_QUEUE);
    ym_work_stop(&w);
    ym_plan_free(plan);
}

/* Only what the ledger says was released: neither other bytes, nor fewer, nor more. */
static void last_release_is_what_the_ledger_says(void **state)
{
    struct ym_plan *plan = plan_from(good_plan);
    char path[] = "/tmp/yumen-last-XXXXXX";
    int fd = mkstemp(path);
    struct ym_buf got = {0}, bytes = {0};
    struct ym_model m;
    uint8_t want[YM_HASH_BYTES];

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ym_model_from_plan(plan, &m, NULL), YM_OK);
    for (size_t i = 0; i < 8 * ym_model_update_dim(&m); i++)
        ym_buf_append(&bytes, &(uint8_t){(uint8_t)i}, 1);
    ym_sha256(bytes.data, bytes.len, want);
    assert_false(ym_work_last_release("", want, &m, &got));
    assert_false(ym_work_last_release("/nonexistent", want, &m, &got));
    for (int change = -1; change < 2; change++) {
        assert_int_equal(ym_fs_write(path, (struct ym_bytes){bytes.data, bytes.len - (change < 0)}, 0600, NULL), YM_OK);
        ym_buf_clear(&got);
        assert_int_equal(ym_work_last_release(path, want, &m, &got), change == 0);
        bytes.data[3] ^= change == 0; /* then: other bytes */
    }
    close(fd);
    unlink(path);
    ym_buf_release(&got);
    ym_buf_release(&bytes);
    ym_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_grid_is_public_and_never_early),
        cmocka_unit_test(what_a_task_asked_for_waits_for_the_grid),
        cmocka_unit_test(a_dry_run_is_told_when_it_is_done),
        cmocka_unit_test(a_full_queue_is_known_before_it_is_pushed_to),
        cmocka_unit_test(last_release_is_what_the_ledger_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
