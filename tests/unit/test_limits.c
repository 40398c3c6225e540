/* What a site's policy grants a job: threads and memory, refused before and held by the kernel. */
#include <malloc.h>
#include <sys/resource.h>

#include "base/pool.h"
#include "base/rng_internal.h"
#include "base/text.h"
#include "tests/support/plan.h"
#include "tests/unit/support.h"
#include "worker/trainer/limits.h"
#include "worker/trainer/local.h"

#define MIB ((uint64_t)1 << 20)

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define OWN_MALLOC 1 /* the sanitizer's: not counted by mallinfo2, and it never gives up a page */
#else
#define OWN_MALLOC 0
#endif

static void no_pool_is_wider_than_the_policy_says(void **state)
{
    const struct ym_limits two = {.threads = 2};
    struct ym_pool *p;

    (void)state;
    setenv("YUMEN_THREADS", "8", 1);
    assert_int_equal(ym_limits_begin(&two, NULL), YM_OK);
    assert_int_equal(ym_pool_cores(), 2);
    p = ym_pool_new(8); /* whoever asks, and however */
    assert_int_equal(ym_pool_width(p), 2);
    ym_pool_free(p);
    ym_limits_end();
    assert_int_equal(ym_pool_cores(), 8);
    unsetenv("YUMEN_THREADS");
}

static void kernel_holds_what_was_not_foreseen(void **state)
{
    const struct ym_limits l = {.threads = 1, .memory = 128 * MIB};
    struct rlimit before, after;
    void *p;

    (void)state;
    if (OWN_MALLOC)
        skip();
    assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
    assert_int_equal(ym_limits_begin(&l, NULL), YM_OK);
    p = malloc(64 * MIB);
    assert_non_null(p);
    free(p);
    p = malloc(l.memory + YM_LIMITS_THREAD);
    assert_null(p);
    ym_limits_end();
    assert_int_equal(getrlimit(RLIMIT_DATA, &after), 0);
    assert_true(after.rlim_cur == before.rlim_cur && after.rlim_max == before.rlim_max);
    p = malloc(l.memory + YM_LIMITS_THREAD);
    assert_non_null(p);
    free(p);
}

static void what_does_not_fit_is_refused_with_both_figures(void **state)
{
    const struct ym_limits l = {.memory = 256 * MIB}, any = {0};
    struct ym_status st = YM_STATUS_INIT;

    (void)state;
    assert_int_equal(ym_limits_room(&l, 64 * MIB, NULL), YM_OK);
    assert_int_equal(ym_limits_room(&l, 256 * MIB, &st), YM_EXHAUSTED);
    assert_non_null(strstr(st.message, "policy grants 256 (memory_mib)"));
    assert_int_equal(ym_limits_room(&l, UINT64_MAX / 2, NULL), YM_EXHAUSTED);
    assert_int_equal(ym_limits_room(&any, UINT64_MAX / 2, NULL), YM_OK);
    if (!OWN_MALLOC) { /* what is held already counts */
        void *p = malloc(128 * MIB);

        assert_non_null(p);
        assert_int_equal(ym_limits_room(&l, 128 * MIB, NULL), YM_EXHAUSTED);
        free(p);
    }
}

/* ---- what a round takes, as worked out and as counted ---- */

struct round {
    struct ym_plan *plan;
    struct ym_model m;
    struct ym_table table;
    struct ym_local_work *w;
};

static void round_open(struct round *r, enum ym_route route, uint32_t hidden, size_t patients)
{
    *r = (struct round){.plan = plan_make(YM_FAMILY_MLP, 40, 3)};
    r->plan->route = route;
    r->plan->hidden_count = 1;
    r->plan->hidden[0] = hidden;
    assert_int_equal(ym_model_from_plan(r->plan, &r->m, NULL), YM_OK);
    r->table = (struct ym_table){.columns = 40, .patients = patients, .rows = patients};
    r->table.first_row = calloc(patients + 1, sizeof *r->table.first_row);
    for (size_t i = 0; i < patients; i++)
        r->table.first_row[i + 1] = i + 1;
    r->table.x = calloc(patients * 40, sizeof *r->table.x);
    r->table.y = calloc(patients, sizeof *r->table.y);
}

static void round_close(struct round *r)
{
    ym_local_work_free(r->w);
    plan_drop(r->plan);
    free(r->table.first_row);
    free(r->table.x);
    free(r->table.y);
}

static uint64_t allocated(void)
{
    struct mallinfo2 i = mallinfo2();

    return i.uordblks + i.hblkhd;
}

/* Of every route, many and few threads: at least what the allocator counts, and no more than twice that and 42 MiB a
 * thread, so that nobody is refused for nothing. */
static void a_round_takes_no_more_than_was_worked_out(void **state)
{
    static const struct {
        enum ym_route route;
        uint32_t hidden;
        size_t patients, threads;
    } table[] = {{YM_ROUTE_INTEGER, 64, 500, 1},      {YM_ROUTE_INTEGER, 20000, 500, 1},
                 {YM_ROUTE_INTEGER, 20000, 500, 3},   {YM_ROUTE_INTEGER, 64, 300000, 2},
                 {YM_ROUTE_BOUNDED, 64, 300000, 2},   {YM_ROUTE_BOUNDED, 20000, 500, 3},
                 {YM_ROUTE_BOUNDED, 200000, 5000, 1}, {YM_ROUTE_INTEGER, 200000, 5000, 2}};

    (void)state;
    if (OWN_MALLOC)
        skip();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char threads[8];
        struct round r;
        uint64_t before, took, said;

        snprintf(threads, sizeof threads, "%zu", table[i].threads);
        setenv("YUMEN_THREADS", threads, 1);
        round_open(&r, table[i].route, table[i].hidden, table[i].patients);
        said = ym_local_bytes(r.plan, &r.m, &r.table);
        before = allocated();
        r.w = ym_local_work_new(r.plan, &r.m, &r.table);
        assert_non_null(r.w);
        took = allocated() - before + 44 * r.m.dim - 20 * r.m.dim; /* and the optimiser's, the iterate, the sum */
        if (said < took || said > 2 * took + 42 * MIB * table[i].threads)
            fail_msg("case %zu: said %llu, took %llu", i, (unsigned long long)said, (unsigned long long)took);
        round_close(&r);
    }
    unsetenv("YUMEN_THREADS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_pool_is_wider_than_the_policy_says),
        cmocka_unit_test(kernel_holds_what_was_not_foreseen),
        cmocka_unit_test(what_does_not_fit_is_refused_with_both_figures),
        cmocka_unit_test(a_round_takes_no_more_than_was_worked_out),
    };

    ym_text_init("en");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
