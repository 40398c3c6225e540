#include "site_help.h"

#include <unistd.h>

#include "base/fs.h"
#include "worker/trainer/trainer_internal.h"

/* What a gateway may leave on the hospital's disk. */

struct house {
    struct ym_trainer t;
    char objects[YM_SITE_PATH];
};

static int open_house(void **state)
{
    struct ym_core_world world = {0};
    struct house *h = calloc(1, sizeof *h);
    void *dir = NULL;

    if (!h || dir_setup(&dir) != 0)
        return -1;
    snprintf(h->t.site.dir, sizeof h->t.site.dir, "%s", (char *)dir);
    h->t.in.fd = -1;
    h->t.core = ym_core_new("h1", &world);
    assert_int_equal(ym_site_path(&h->t.site, "objects", NULL, h->objects), YM_OK);
    assert_int_equal(ym_fs_mkdirs(h->objects, 0700, NULL), YM_OK);
    free(dir);
    *state = h;
    return 0;
}

static int close_house(void **state)
{
    struct house *h = *state;
    void *dir = strdup(h->t.site.dir);

    if (h->t.in.fd >= 0)
        close(h->t.in.fd);
    ym_sha256_free(h->t.in.sha);
    ym_core_free(h->t.core);
    free(h);
    return dir_teardown(&dir);
}

static size_t files(const struct house *h)
{
    char **name = NULL;
    size_t count = 0;

    assert_int_equal(ym_fs_list(h->objects, &name, &count, NULL), YM_OK);
    ym_fs_names_free(name, count);
    return count;
}

/* An object of four bytes; hash: out. */
static void give(struct house *h, uint32_t content, size_t bytes_now, uint8_t hash[YM_HASH_BYTES])
{
    uint8_t payload[YM_HASH_BYTES + sizeof content];

    ym_sha256(&content, sizeof content, payload);
    memcpy(hash, payload, YM_HASH_BYTES);
    memcpy(payload + YM_HASH_BYTES, &content, sizeof content);
    ym_trainer_object(&h->t, &(struct ym_frame){.kind = YM_FRAME_OBJECT,
                                                .total = sizeof content,
                                                .payload = {payload, YM_HASH_BYTES + bytes_now}});
}

static void only_the_last_few_objects_are_kept(void **state)
{
    struct house *h = *state;
    uint8_t hash[100][YM_HASH_BYTES];

    for (uint32_t i = 0; i < 100; i++) {
        give(h, i, 4, hash[i]);
        assert_true(ym_trainer_have_state(&h->t, hash[i]));
        assert_true(files(h) <= YM_TRAINER_RECENT + 1);
    }
    assert_false(ym_trainer_have_state(&h->t, hash[0]));
}

/* The tasks of several studies may come after all of their states. */
static void a_state_waits_for_its_task(void **state)
{
    struct house *h = *state;
    uint8_t first[YM_HASH_BYTES], second[YM_HASH_BYTES];

    give(h, 1, 4, first);
    give(h, 2, 4, second);
    ym_trainer_sweep_objects(&h->t); /* as a task of the second study does */
    assert_true(ym_trainer_have_state(&h->t, first));
    assert_true(ym_trainer_have_state(&h->t, second));
}

static void halves_and_other_bytes_are_not_kept(void **state)
{
    struct house *h = *state;
    uint8_t hash[YM_HASH_BYTES], wrong[YM_HASH_BYTES + 4] = {1};

    for (uint32_t i = 0; i < 50; i++)
        give(h, i, 2, hash);
    assert_int_equal(files(h), 1); /* the one that arrives */
    ym_trainer_object(&h->t, &(struct ym_frame){.kind = YM_FRAME_OBJECT, .total = 4, .payload = {wrong, sizeof wrong}});
    assert_false(ym_trainer_have_state(&h->t, wrong));
    assert_int_equal(files(h), 0);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, open_house, close_house)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(only_the_last_few_objects_are_kept),
        CASE(a_state_waits_for_its_task),
        CASE(halves_and_other_bytes_are_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
