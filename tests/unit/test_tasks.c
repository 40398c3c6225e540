#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/ledger/leaf.h"
#include "base/fs.h"
#include "worker/gateway/tasks.h"

/* Which fetched objects the gateway keeps. The courier fetches ahead: the state
 * of round 2 can be whole on disk while the end of round 1 still waits. */

static char dir[] = "/tmp/yumen-tasks.XXXXXX";

static void path_of(const char *name, char path[300])
{
    assert_int_equal(ym_fs_join(path, 300, dir, name), YM_OK);
}

static void put_state(uint8_t fill, char name[65])
{
    char path[300];

    for (int i = 0; i < 32; i++)
        snprintf(name + 2 * i, 3, "%02x", fill);
    path_of(name, path);
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){(const uint8_t *)"state", 5}, 0600, NULL), YM_OK);
}

static bool there(const char *name)
{
    char path[300];

    path_of(name, path);
    return ym_fs_exists(path);
}

static void add(struct ym_tasks *t, Yumen__V1__TaskKind kind, const char *type, int round, int last, uint8_t fill)
{
    struct ym_courier_event e = {.kind = YM_EVENT_TASK, .task = kind};
    struct ym_key *key = NULL;
    json_t *o = json_pack("{s:s, s:i, s:b}", "study", "s", "round", round, "last", last);

    assert_int_equal(ym_key_generate(&key, NULL), YM_OK);
    assert_int_equal(ym_leaf_sign(type, o, "hub", 1, key, &e.leaf, NULL), YM_OK);
    if (fill) {
        memset(e.object_hash, fill, sizeof e.object_hash);
        e.object_bytes = 5;
    }
    assert_int_equal(ym_tasks_add(t, &e, NULL), YM_OK);
    ym_buf_release(&e.leaf);
    ym_key_free(key);
    json_decref(o);
}

static void a_round_that_ends_leaves_the_next_state_alone(void **unused)
{
    char first[65], second[65];
    struct ym_tasks *t = ym_tasks_new(dir);

    (void)unused;
    assert_non_null(t);
    put_state(1, first);
    add(t, YUMEN__V1__TASK_KIND__TASK_KIND_ROUND, "round_open", 1, 0, 1);
    put_state(2, second); /* fetched, its task not taken yet */
    add(t, YUMEN__V1__TASK_KIND__TASK_KIND_CLOSED, "round_result", 1, 0, 0);
    assert_true(there(second));
    assert_true(there(first)); /* a next attempt may begin from it */
    add(t, YUMEN__V1__TASK_KIND__TASK_KIND_ROUND, "round_open", 2, 0, 2);
    assert_true(there(second));
    assert_false(there(first));
    add(t, YUMEN__V1__TASK_KIND__TASK_KIND_CLOSED, "round_result", 2, 1, 0);
    assert_false(there(second));
    ym_tasks_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_round_that_ends_leaves_the_next_state_alone)};
    int failed;

    if (!mkdtemp(dir))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
