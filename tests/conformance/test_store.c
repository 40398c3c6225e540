#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coordinator/store/store.h"

/* Run on every store: a row here for each way to open one. */
static const struct kind {
    const char *name;
    enum ym_code (*open)(const char *dir, bool create, struct ym_store **out, struct ym_status *st);
} kinds[] = {{"sqlite", ym_store_open_sqlite}};

struct place {
    const struct kind *kind;
    char dir[64];
    struct ym_store *s;
};

static int make_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    p->kind = &kinds[0];
    strcpy(p->dir, "/tmp/yumen-store-XXXXXX");
    if (!mkdtemp(p->dir) || p->kind->open(p->dir, true, &p->s, NULL) != YM_OK)
        return -1;
    *state = p;
    return 0;
}

static int end_place(void **state)
{
    struct place *p = *state;
    char command[128];

    ym_store_close(&p->s);
    snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
    free(p);
    return system(command);
}

static void reopen(struct place *p)
{
    ym_store_close(&p->s);
    assert_int_equal(p->kind->open(p->dir, false, &p->s, NULL), YM_OK);
}

static struct ym_bytes bytes(const char *text)
{
    return (struct ym_bytes){(const uint8_t *)text, strlen(text)};
}

#define BEGIN(p) assert_int_equal((p)->s->ops->begin((p)->s, NULL), YM_OK)
#define COMMIT(p) assert_int_equal((p)->s->ops->commit((p)->s, NULL), YM_OK)
#define DO(p, call, ...) (p)->s->ops->call((p)->s, __VA_ARGS__, NULL)

static void what_is_not_committed_never_was(void **state)
{
    struct place *p = *state;
    uint64_t n = 9;

    BEGIN(p);
    assert_int_equal(DO(p, put_leaf, bytes("a")), YM_OK);
    p->s->ops->abort(p->s);
    BEGIN(p);
    assert_int_equal(DO(p, put_leaf, bytes("b")), YM_OK);
    reopen(p); /* dies inside the transaction */
    assert_int_equal(DO(p, count_leaves, &n), YM_OK);
    assert_int_equal(n, 0);
    BEGIN(p);
    assert_int_equal(DO(p, put_leaf, bytes("c")), YM_OK);
    COMMIT(p);
    reopen(p);
    assert_int_equal(DO(p, count_leaves, &n), YM_OK);
    assert_int_equal(n, 1);
}

struct seen {
    uint64_t next;
    char text[64];
};

static bool see_leaf(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    struct seen *s = ctx;

    assert_int_equal(index, s->next++);
    strncat(s->text, (const char *)leaf.data, leaf.len);
    return strlen(s->text) < 4;
}

static void leaves_are_numbered_from_zero_and_put_once(void **state)
{
    struct place *p = *state;
    struct seen s = {1, ""};
    uint64_t n;

    for (int round = 0; round < 2; round++) {
        BEGIN(p);
        for (int i = 0; i < 6; i++)
            assert_int_equal(DO(p, put_leaf, bytes((const char *[]){"a", "b", "c", "d", "e", "f"}[i])), YM_OK);
        COMMIT(p);
    }
    BEGIN(p); /* an aborted one leaves no gap */
    assert_int_equal(DO(p, put_leaf, bytes("x")), YM_OK);
    p->s->ops->abort(p->s);
    BEGIN(p);
    assert_int_equal(DO(p, put_leaf, bytes("g")), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, count_leaves, &n), YM_OK);
    assert_int_equal(n, 7);
    assert_int_equal(DO(p, each_leaf, 1, 100, see_leaf, &s), YM_OK);
    assert_string_equal(s.text, "bcde"); /* and stops when told */
}

static void parties_are_found_and_revoked_once(void **state)
{
    struct place *p = *state;
    struct ym_store_party h = {"h1", YM_ROLE_HOSPITAL, {1, 2, 3}, 77, false}, got;
    struct ym_buf leaf = {0};

    assert_int_equal(DO(p, get_party, "h1", &got, NULL), YM_NOT_FOUND);
    BEGIN(p);
    assert_int_equal(DO(p, put_party, &h, bytes("leaf")), YM_OK);
    COMMIT(p);
    reopen(p);
    assert_int_equal(DO(p, get_party, "h1", &got, &leaf), YM_OK);
    assert_memory_equal(got.identity_key, h.identity_key, sizeof h.identity_key);
    assert_int_equal(got.role, YM_ROLE_HOSPITAL);
    assert_int_equal(got.enrolled_s, 77);
    assert_string_equal(ym_buf_str(&leaf), "leaf");
    BEGIN(p);
    assert_int_equal(DO(p, revoke_party, "h2"), YM_NOT_FOUND);
    assert_int_equal(DO(p, revoke_party, "h1"), YM_OK);
    assert_int_equal(DO(p, revoke_party, "h1"), YM_CONFLICT);
    COMMIT(p);
    assert_int_equal(DO(p, get_party, "h1", &got, NULL), YM_OK);
    assert_true(got.revoked);
    ym_buf_release(&leaf);
}

static void count_cert(void *ctx, const struct ym_store_cert *c)
{
    assert_string_equal(c->party, "h1");
    ++*(int *)ctx;
}

static void who_is_revoked_stays_so(void **state)
{
    struct place *p = *state;
    struct ym_store_party h = {"h1", YM_ROLE_HOSPITAL, {1}, 77, false}, got;

    BEGIN(p);
    assert_int_equal(DO(p, put_party, &h, bytes("leaf")), YM_OK);
    assert_int_equal(DO(p, revoke_party, "h1"), YM_OK);
    COMMIT(p);
    BEGIN(p); /* an enrolment that looked before the revocation came */
    assert_int_equal(DO(p, put_party, &h, bytes("again")), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, get_party, "h1", &got, NULL), YM_OK);
    assert_true(got.revoked);
}

static void count_certs(void *ctx, const struct ym_store_cert *c)
{
    size_t *n = ctx;

    n[0]++;
    n[1] += c->fingerprint[0];
}

static void one_party_keeps_its_newest_certificates(void **state)
{
    struct place *p = *state;
    struct ym_store_cert c = {.party = "h1", .not_after_s = 100}, other = {.fingerprint = {200}, .party = "h2"};
    size_t seen[2] = {0, 0};

    BEGIN(p);
    assert_int_equal(DO(p, put_cert, &other, bytes("pem")), YM_OK);
    for (int i = 1; i <= 2 * YM_STORE_CERTS_OF_ONE; i++) {
        c.fingerprint[0] = (uint8_t)i;
        assert_int_equal(DO(p, put_cert, &c, bytes("pem")), YM_OK);
    }
    COMMIT(p);
    assert_int_equal(DO(p, each_cert, count_certs, seen), YM_OK);
    assert_int_equal(seen[0], YM_STORE_CERTS_OF_ONE + 1);
    assert_int_equal(seen[1], 200 + 17 * 16 + 15 * 16 / 2); /* 17 to 32 */
}

static void a_leaf_is_known_once_it_was_put(void **state)
{
    struct place *p = *state;
    bool there = true;

    assert_int_equal(DO(p, has_leaf, bytes("a"), &there), YM_OK);
    assert_false(there);
    BEGIN(p);
    assert_int_equal(DO(p, put_leaf, bytes("a")), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, has_leaf, bytes("a"), &there), YM_OK);
    assert_true(there);
}

static void old_certificates_go(void **state)
{
    struct place *p = *state;
    struct ym_store_cert a = {{1}, {9}, "h1", 100}, b = {{2}, {9}, "h1", 200};
    struct ym_buf pem = {0};
    int n = 0;

    BEGIN(p);
    assert_int_equal(DO(p, put_cert, &a, bytes("old")), YM_OK);
    assert_int_equal(DO(p, put_cert, &b, bytes("new")), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, get_cert_pem, a.spki, &pem), YM_OK);
    assert_string_equal(ym_buf_str(&pem), "new");
    BEGIN(p);
    assert_int_equal(DO(p, drop_certs, 150), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, each_cert, count_cert, &n), YM_OK);
    assert_int_equal(n, 1);
    ym_buf_release(&pem);
}

static void a_token_is_used_once(void **state)
{
    struct place *p = *state;
    struct ym_store_token t = {
        .id = {7}, .secret_hash = {8}, .role = YM_ROLE_SPONSOR, .name = "acme", .expires_s = 500};
    struct ym_store_token got;
    uint8_t spki[YM_HASH_BYTES] = {3};

    BEGIN(p);
    assert_int_equal(DO(p, put_token, &t), YM_OK);
    assert_int_equal(DO(p, put_token, &t), YM_CONFLICT);
    assert_int_equal(DO(p, fail_token, t.id), YM_OK);
    assert_int_equal(DO(p, fail_token, t.id), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, get_token, t.id, &got), YM_OK);
    assert_int_equal(got.failures, 2);
    assert_false(got.used);
    assert_int_equal(got.expires_s, 500);
    BEGIN(p);
    assert_int_equal(DO(p, use_token, t.id, spki), YM_OK);
    assert_int_equal(DO(p, use_token, t.id, spki), YM_CONFLICT);
    COMMIT(p);
    assert_int_equal(DO(p, get_token, t.id, &got), YM_OK);
    assert_true(got.used);
    assert_memory_equal(got.spki, spki, sizeof spki);
    assert_int_equal(DO(p, get_token, spki, &got), YM_NOT_FOUND);
}

static void see_study(void *ctx, const struct ym_store_study *y)
{
    strcat(ctx, y->study);
}

static void studies_are_kept_and_listed_oldest_first(void **state)
{
    struct place *p = *state;
    struct ym_store_study a = {"sa", "acme", {1}, 1, 0, 0, 20, 20}, b = {"sb", "acme", {2}, 1, 0, 0, 10, 10}, got;
    struct ym_buf leaf = {0}, kept = {0};
    char list[64] = "";

    BEGIN(p);
    assert_int_equal(DO(p, put_study, &a, bytes("pl"), bytes("k0")), YM_OK);
    assert_int_equal(DO(p, put_study, &b, bytes("pl"), bytes("k0")), YM_OK);
    assert_int_equal(DO(p, put_study, &a, bytes("xx"), bytes("xx")), YM_CONFLICT);
    a.phase = 5;
    a.round = 3;
    assert_int_equal(DO(p, set_study, &a, bytes("k1")), YM_OK);
    COMMIT(p);
    reopen(p);
    assert_int_equal(DO(p, get_study, "sa", &got, &leaf, &kept), YM_OK);
    assert_int_equal(got.phase, 5);
    assert_int_equal(got.round, 3);
    assert_string_equal(ym_buf_str(&leaf), "pl");
    assert_string_equal(ym_buf_str(&kept), "k1");
    assert_int_equal(DO(p, each_study, see_study, list), YM_OK);
    assert_string_equal(list, "sbsa");
    strcpy(got.study, "none");
    BEGIN(p);
    assert_int_equal(DO(p, set_study, &got, bytes("k")), YM_NOT_FOUND);
    p->s->ops->abort(p->s);
    ym_buf_release(&leaf);
    ym_buf_release(&kept);
}

static void uploads_remember_charge_and_release_apart(void **state)
{
    struct place *p = *state;
    struct ym_store_upload u = {.study = "s", .site = "h1", .round = 1, .attempt = 2}, got = u;
    struct ym_buf charge = {0}, release = {0};
    struct ym_bytes none = {NULL, 0};

    assert_int_equal(DO(p, get_upload, &got, &charge, &release), YM_NOT_FOUND);
    BEGIN(p);
    assert_int_equal(DO(p, put_upload, &u, bytes("charge"), none), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, get_upload, &got, &charge, &release), YM_OK);
    assert_int_equal(release.len, 0);
    assert_false(got.complete);
    BEGIN(p);
    u.complete = true;
    assert_int_equal(DO(p, put_upload, &u, none, bytes("release")), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, get_upload, &got, &charge, &release), YM_OK);
    assert_string_equal(ym_buf_str(&charge), "charge");
    assert_string_equal(ym_buf_str(&release), "release");
    assert_true(got.complete);
    got.attempt = 3;
    assert_int_equal(DO(p, get_upload, &got, &charge, &release), YM_NOT_FOUND);
    ym_buf_release(&charge);
    ym_buf_release(&release);
}

static void see_card(void *ctx, const char *site, const char *dataset, struct ym_bytes leaf)
{
    snprintf((char *)ctx + strlen(ctx), 60, "%s/%s=%.*s ", site, dataset, (int)leaf.len, (const char *)leaf.data);
}

static void see_owner(void *ctx, const char *study, enum ym_store_object kind)
{
    char text[80];

    snprintf(text, sizeof text, "%s%d", study, (int)kind);
    strcat(ctx, text);
}

static void cards_tasks_and_owners_keep_the_newest(void **state)
{
    struct place *p = *state;
    uint8_t hash[YM_HASH_BYTES] = {5};
    char text[128] = "", owners[64] = "";
    struct ym_buf leaf = {0};

    BEGIN(p);
    assert_int_equal(DO(p, put_card, "h1", "d1", bytes("1")), YM_OK);
    assert_int_equal(DO(p, put_card, "h1", "d1", bytes("2")), YM_OK);
    assert_int_equal(DO(p, put_card, "h1", "d2", bytes("3")), YM_OK);
    assert_int_equal(DO(p, put_task, "s", YM_STORE_TASK_OPEN, bytes("one")), YM_OK);
    assert_int_equal(DO(p, put_task, "s", YM_STORE_TASK_OPEN, bytes("two")), YM_OK);
    assert_int_equal(DO(p, put_object, hash, "s", YM_STORE_STATE), YM_OK);
    assert_int_equal(DO(p, put_object, hash, "s", YM_STORE_STATE), YM_OK);
    assert_int_equal(DO(p, put_object, hash, "t", YM_STORE_STATE), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, each_card, see_card, text), YM_OK);
    assert_string_equal(text, "h1/d1=2 h1/d2=3 ");
    assert_int_equal(DO(p, get_task, "s", YM_STORE_TASK_OPEN, &leaf), YM_OK);
    assert_string_equal(ym_buf_str(&leaf), "two");
    assert_int_equal(DO(p, get_task, "s", YM_STORE_TASK_CLOSED, &leaf), YM_NOT_FOUND);
    assert_int_equal(DO(p, each_owner, hash, see_owner, owners), YM_OK);
    assert_string_equal(owners, "s2t2");
    ym_buf_release(&leaf);
}

static void another_process_is_noticed_and_waited_for(void **state)
{
    struct place *p = *state;
    struct ym_store *other = NULL;
    enum ym_store_command kind;
    uint64_t before, same, after, id;
    char name[64];

    assert_int_equal(p->kind->open(p->dir, false, &other, NULL), YM_OK);
    assert_int_equal(DO(p, generation, &before), YM_OK);
    BEGIN(p);
    assert_int_equal(DO(p, put_leaf, bytes("own")), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, generation, &same), YM_OK);
    assert_int_equal(same, before);
    assert_int_equal(DO(p, next_command, &id, &kind, name), YM_NOT_FOUND);
    assert_int_equal(other->ops->begin(other, NULL), YM_OK);
    assert_int_equal(other->ops->put_command(other, YM_STORE_REVOKE, "h1", NULL), YM_OK);
    assert_int_equal(other->ops->put_command(other, YM_STORE_RESUME, "s1", NULL), YM_OK);
    assert_int_equal(other->ops->commit(other, NULL), YM_OK);
    assert_int_equal(DO(p, generation, &after), YM_OK);
    assert_int_not_equal(after, before);
    assert_int_equal(DO(p, next_command, &id, &kind, name), YM_OK);
    assert_int_equal(kind, YM_STORE_REVOKE);
    assert_string_equal(name, "h1");
    BEGIN(p);
    assert_int_equal(DO(p, drop_command, id), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, next_command, &id, &kind, name), YM_OK);
    assert_string_equal(name, "s1");
    BEGIN(p); /* it holds on too long: told, not hung */
    assert_int_equal(other->ops->begin(other, NULL), YM_UNAVAILABLE);
    p->s->ops->abort(p->s);
    ym_store_close(&other);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void absent_foreign_and_damaged_stores_are_told_apart(void **state)
{
    struct place *p = *state;
    struct ym_store *s = NULL;
    struct ym_status st = YM_STATUS_INIT;
    char path[128];
    struct stat info;

    assert_int_equal(p->kind->open("/tmp/no-such-folder", false, &s, &st), YM_NOT_FOUND);
    snprintf(path, sizeof path, "%s/store.db", p->dir);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 077, 0); /* keys' fingerprints and token hashes are nobody's business */
    ym_store_close(&p->s);
    snprintf(path, sizeof path, "rm -f '%s'/store.db*", p->dir);
    assert_int_equal(system(path), 0);
    snprintf(path, sizeof path, "%s/store.db", p->dir);
    write_file(path, "this is not a database, it only looks like a file of some length or other\n");
    assert_int_equal(p->kind->open(p->dir, false, &s, &st), YM_CORRUPT);
    assert_int_equal(p->kind->open(p->dir, true, &s, &st), YM_CORRUPT); /* and is not overwritten */
    assert_null(s);
}

static void strange_texts_are_data(void **state)
{
    struct place *p = *state;
    struct ym_store_study y = {"x'); DROP TABLE leaves; --", "acme", {1}, 1, 0, 0, 1, 1}, got;
    uint64_t n;

    BEGIN(p);
    assert_int_equal(DO(p, put_study, &y, bytes("l"), bytes("k")), YM_OK);
    COMMIT(p);
    assert_int_equal(DO(p, get_study, y.study, &got, NULL, NULL), YM_OK);
    assert_int_equal(DO(p, count_leaves, &n), YM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_committed_never_was, make_place, end_place),
        cmocka_unit_test_setup_teardown(leaves_are_numbered_from_zero_and_put_once, make_place, end_place),
        cmocka_unit_test_setup_teardown(parties_are_found_and_revoked_once, make_place, end_place),
        cmocka_unit_test_setup_teardown(who_is_revoked_stays_so, make_place, end_place),
        cmocka_unit_test_setup_teardown(one_party_keeps_its_newest_certificates, make_place, end_place),
        cmocka_unit_test_setup_teardown(a_leaf_is_known_once_it_was_put, make_place, end_place),
        cmocka_unit_test_setup_teardown(old_certificates_go, make_place, end_place),
        cmocka_unit_test_setup_teardown(a_token_is_used_once, make_place, end_place),
        cmocka_unit_test_setup_teardown(studies_are_kept_and_listed_oldest_first, make_place, end_place),
        cmocka_unit_test_setup_teardown(uploads_remember_charge_and_release_apart, make_place, end_place),
        cmocka_unit_test_setup_teardown(cards_tasks_and_owners_keep_the_newest, make_place, end_place),
        cmocka_unit_test_setup_teardown(another_process_is_noticed_and_waited_for, make_place, end_place),
        cmocka_unit_test_setup_teardown(absent_foreign_and_damaged_stores_are_told_apart, make_place, end_place),
        cmocka_unit_test_setup_teardown(strange_texts_are_data, make_place, end_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
