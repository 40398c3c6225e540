#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "ledger_help.h"

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/tree.h"
#include "base/fs.h"

struct fixture {
    char dir[64], path[128];
    struct ym_key *key;
    struct ym_ledger *l;
    struct ym_status st;
};

static enum ym_code reopen(struct fixture *f)
{
    ym_ledger_close(&f->l);
    return ym_ledger_open(f->path, ORIGIN, f->key, &f->l, &f->st);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    help_temp(f->dir);
    snprintf(f->path, sizeof(f->path), "%s/ledger", f->dir);
    f->key = help_key();
    assert_int_equal(reopen(f), YM_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ym_ledger_close(&f->l);
    ym_key_free(f->key);
    help_remove(f->dir);
    free(f);
    return 0;
}

static void file_path(const struct fixture *f, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", f->path, name);
}

static bool there(const struct fixture *f, const char *name)
{
    char path[256];

    file_path(f, name, path);
    return access(path, F_OK) == 0;
}

static bool expect_entry(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    uint64_t *next = ctx;
    char reason[40];

    assert_int_equal(index, *next);
    snprintf(reason, sizeof(reason), "\"reason\":\"entry %llu\"", (unsigned long long)index);
    assert_non_null(memmem(leaf.data, leaf.len, reason, strlen(reason)));
    (*next)++;
    return true;
}

static void expect_entries(struct fixture *f, uint64_t from)
{
    uint64_t next = from;

    assert_int_equal(ym_ledger_each(f->l, from, expect_entry, &next, NULL), YM_OK);
    assert_int_equal(next, ym_ledger_size(f->l));
}

static void what_was_appended_is_there_after_reopening(void **state)
{
    static const size_t batch[] = {1, 1, 253, 1, 1, 300, 1000, 1};
    struct fixture *f = *state;
    uint64_t size = 0;
    uint8_t before[32], after[32];

    for (size_t i = 0; i < sizeof(batch) / sizeof(batch[0]); i++) {
        assert_int_equal(help_append(f->l, f->key, size, batch[i], NULL), YM_OK);
        size += batch[i];
        assert_int_equal(ym_ledger_size(f->l), size);
        ym_ledger_root(f->l, before);
        assert_int_equal(reopen(f), YM_OK);
        ym_ledger_root(f->l, after);
        assert_memory_equal(before, after, 32);
        expect_entries(f, 0);
    }
    expect_entries(f, 255);
    expect_entries(f, 256);
    expect_entries(f, size);
}

static void layout_is_tlog_tiles(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(help_append(f->l, f->key, 0, 3, NULL), YM_OK);
    assert_true(there(f, "tile/entries/000.p/3") && there(f, "tile/0/000.p/3"));
    assert_int_equal(help_append(f->l, f->key, 3, 1, NULL), YM_OK);
    assert_true(there(f, "tile/entries/000.p/4") && !there(f, "tile/entries/000.p/3"));
    assert_int_equal(help_append(f->l, f->key, 4, 259, NULL), YM_OK);
    assert_true(there(f, "tile/entries/000") && there(f, "tile/entries/001.p/7") && there(f, "tile/0/000"));
    assert_true(there(f, "tile/0/001.p/7") && there(f, "tile/1/000.p/1"));
    assert_false(there(f, "tile/entries/000.p") || there(f, "tile/0/000.p"));
}

static void checkpoint_is_signed_over_size_and_root(void **state)
{
    struct fixture *f = *state;
    struct ym_buf note = {0};
    uint8_t root[32], own[32], pub[32];
    uint64_t size = 0;

    ym_key_public(f->key, pub);
    assert_int_equal(help_append(f->l, f->key, 0, 5, NULL), YM_OK);
    assert_int_equal(ym_ledger_checkpoint(f->l, &note, NULL), YM_OK);
    assert_int_equal(ym_checkpoint_open((struct ym_bytes){note.data, note.len}, ORIGIN, pub, &size, root, NULL), YM_OK);
    ym_ledger_root(f->l, own);
    assert_int_equal(size, 5);
    assert_memory_equal(root, own, 32);
    for (size_t i = 0; i < note.len; i++) {
        note.data[i] ^= 1;
        assert_int_equal(ym_checkpoint_open((struct ym_bytes){note.data, note.len}, ORIGIN, pub, &size, root, NULL),
                         YM_CORRUPT);
        note.data[i] ^= 1;
    }
    ym_buf_release(&note);
}

static void leaves_are_found_by_their_bytes(void **state)
{
    struct fixture *f = *state;
    struct ym_buf line = {0};
    uint64_t index = 0;

    assert_int_equal(help_append(f->l, f->key, 0, 600, NULL), YM_OK);
    assert_int_equal(reopen(f), YM_OK);
    for (uint64_t i = 0; i < 600; i += 37) {
        ym_buf_clear(&line);
        help_leaf(f->key, i, &line);
        assert_int_equal(ym_ledger_find(f->l, (struct ym_bytes){line.data, line.len}, &index), YM_OK);
        assert_int_equal(index, i);
    }
    line.data[3] ^= 1;
    assert_int_equal(ym_ledger_find(f->l, (struct ym_bytes){line.data, line.len}, &index), YM_NOT_FOUND);
    ym_buf_release(&line);
}

static void malformed_leaves_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct ym_buf line = {0};
    struct ym_bytes leaf[2];

    help_leaf(f->key, 0, &line);
    leaf[0] = (struct ym_bytes){line.data, line.len};
    leaf[1] = (struct ym_bytes){line.data, line.len - 1};
    assert_int_equal(ym_ledger_append(f->l, leaf, 2, NULL, NULL), YM_INVALID);
    assert_int_equal(ym_ledger_size(f->l), 0);
    assert_false(there(f, "tile"));
    ym_buf_release(&line);
}

static void a_second_process_is_refused(void **state)
{
    struct fixture *f = *state;
    struct ym_ledger *second = NULL;

    assert_int_equal(ym_ledger_open(f->path, ORIGIN, f->key, &second, NULL), YM_CONFLICT);
    assert_null(second);
}

static void another_key_or_origin_is_a_full_stop(void **state)
{
    struct fixture *f = *state;
    struct ym_key *own = f->key, *other = help_key();
    struct ym_ledger *l = NULL;

    assert_int_equal(help_append(f->l, f->key, 0, 2, NULL), YM_OK);
    ym_ledger_close(&f->l);
    assert_int_equal(ym_ledger_open(f->path, ORIGIN, other, &l, NULL), YM_CORRUPT);
    assert_int_equal(ym_ledger_open(f->path, "yumen/hospital/h2", own, &l, NULL), YM_CORRUPT);
    assert_int_equal(ym_ledger_open(f->path, ORIGIN, own, &f->l, NULL), YM_OK);
    ym_key_free(other);
}

static void flip(const struct fixture *f, const char *name, off_t at)
{
    char path[256];
    uint8_t byte;
    int fd;

    file_path(f, name, path);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void shorten(const struct fixture *f, const char *name, off_t by)
{
    char path[256];
    struct stat s;

    file_path(f, name, path);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(truncate(path, s.st_size - by), 0);
}

static void damage_is_a_full_stop_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct ym_buf before = {0}, after = {0};
    char path[256];

    assert_int_equal(help_append(f->l, f->key, 0, 300, NULL), YM_OK);
    file_path(f, "checkpoint", path);
    assert_int_equal(ym_fs_read(path, 4096, &before, NULL), YM_OK);
    flip(f, "tile/entries/000", 20000);
    assert_int_equal(reopen(f), YM_CORRUPT);
    flip(f, "tile/entries/000", 20000);
    flip(f, "tile/0/000", 77);
    assert_int_equal(reopen(f), YM_CORRUPT);
    flip(f, "tile/0/000", 77);
    flip(f, "tile/0/001.p/44", 77);
    assert_int_equal(reopen(f), YM_CORRUPT);
    flip(f, "tile/0/001.p/44", 77);
    assert_int_equal(reopen(f), YM_OK);
    shorten(f, "tile/entries/001.p/44", 1);
    assert_int_equal(reopen(f), YM_CORRUPT);
    assert_int_equal(ym_fs_read(path, 4096, &after, NULL), YM_OK);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    ym_buf_release(&before);
    ym_buf_release(&after);
}

/* Three appends of a process that never closes: the last two are only the journal's. */
static void leave_unclosed(struct fixture *f)
{
    int status;
    pid_t child;

    ym_ledger_close(&f->l);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool good = ym_ledger_open(f->path, ORIGIN, f->key, &f->l, NULL) == YM_OK;

        for (uint64_t i = 0; good && i < 3; i++)
            good = help_append(f->l, f->key, i, 1, NULL) == YM_OK;
        _exit(!good);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void what_was_not_closed_is_made_whole_from_the_journal(void **state)
{
    struct fixture *f = *state;

    leave_unclosed(f);
    shorten(f, "tile/entries/000.p/3", 100);
    shorten(f, "tile/0/000.p/3", 40);
    shorten(f, "checkpoint", 20);
    assert_int_equal(reopen(f), YM_OK);
    assert_int_equal(ym_ledger_size(f->l), 3);
    assert_int_equal(reopen(f), YM_OK); /* this time by its files alone */
    assert_false(there(f, "journal"));
    assert_int_equal(ym_ledger_size(f->l), 3);
}

/* Inside the last record. */
static off_t journal_end(const struct fixture *f)
{
    struct ym_buf b = {0};
    char path[256];
    off_t at = 0;

    file_path(f, "journal", path);
    assert_int_equal(ym_fs_read(path, 1 << 20, &b, NULL), YM_OK);
    for (size_t i = 0; i + 4 < b.len; i++)
        if (memcmp(b.data + i, "ymj\1", 4) == 0)
            at = (off_t)i + 100;
    ym_buf_release(&b);
    return at;
}

static void a_damaged_journal_is_a_full_stop(void **state)
{
    struct fixture *f = *state;
    off_t at;

    leave_unclosed(f);
    at = journal_end(f);
    flip(f, "journal", at); /* like a torn end, but files name three entries */
    assert_int_equal(reopen(f), YM_CORRUPT);
    shorten(f, "checkpoint", 20);
    assert_int_equal(reopen(f), YM_CORRUPT);
    flip(f, "journal", at);
    assert_int_equal(reopen(f), YM_OK);
    assert_int_equal(ym_ledger_size(f->l), 3);
}

static void missing_entries_are_a_full_stop(void **state)
{
    struct fixture *f = *state;
    char path[256];

    assert_int_equal(help_append(f->l, f->key, 0, 300, NULL), YM_OK);
    file_path(f, "tile/entries/001.p/44", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(reopen(f), YM_CORRUPT);
}

static void a_missing_checkpoint_is_a_full_stop(void **state)
{
    struct fixture *f = *state;
    char path[256];

    assert_int_equal(help_append(f->l, f->key, 0, 3, NULL), YM_OK);
    ym_ledger_close(&f->l);
    file_path(f, "checkpoint", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(reopen(f), YM_CORRUPT);
}

static void missing_tiles_are_made_again(void **state)
{
    struct fixture *f = *state;
    char path[256];

    assert_int_equal(help_append(f->l, f->key, 0, 300, NULL), YM_OK);
    file_path(f, "tile/0/000", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(reopen(f), YM_OK);
    assert_true(there(f, "tile/0/000"));
}

/* A limit on file size is a disk that fills up inside a write. */
static void a_full_disk_changes_nothing(void **state)
{
    struct fixture *f = *state;
    pid_t child;
    int status;

    assert_int_equal(help_append(f->l, f->key, 0, 100, NULL), YM_OK);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = {10000, 10000};

        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        if (help_append(f->l, f->key, 100, 1, &f->st) != YM_EXHAUSTED || ym_ledger_size(f->l) != 100)
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(there(f, "tile/entries/000.p/100") && !there(f, "tile/entries/000.p/101"));
    assert_int_equal(reopen(f), YM_OK);
    assert_int_equal(ym_ledger_size(f->l), 100);
}

static void collect_all(struct fixture *f, size_t count, struct ym_buf *line, struct ym_bytes *leaf)
{
    for (size_t i = 0; i < count; i++) {
        help_leaf(f->key, i, &line[i]);
        leaf[i] = (struct ym_bytes){line[i].data, line[i].len};
    }
}

static void a_mirror_follows_and_refuses_another_past(void **state)
{
    struct fixture *f = *state;
    struct ym_buf line[300] = {0}, early = {0}, late = {0};
    struct ym_bytes leaf[300];
    char dir[128];
    uint8_t pub[32];

    ym_key_public(f->key, pub);
    snprintf(dir, sizeof(dir), "%s/mirror", f->dir);
    collect_all(f, 300, line, leaf);
    assert_int_equal(ym_ledger_append(f->l, leaf, 200, NULL, NULL), YM_OK);
    assert_int_equal(ym_ledger_checkpoint(f->l, &early, NULL), YM_OK);
    assert_int_equal(ym_ledger_append(f->l, leaf + 200, 100, NULL, NULL), YM_OK);
    assert_int_equal(ym_ledger_checkpoint(f->l, &late, NULL), YM_OK);
#define MIRROR(n, note) ym_ledger_mirror(dir, ORIGIN, pub, leaf, n, (struct ym_bytes){(note).data, (note).len}, NULL)
    assert_int_equal(MIRROR(200, late), YM_CORRUPT);
    assert_int_equal(MIRROR(200, early), YM_OK);
    assert_int_equal(MIRROR(300, late), YM_OK);
    assert_int_equal(MIRROR(300, late), YM_OK);
    assert_int_equal(MIRROR(200, early), YM_CONFLICT);
    leaf[5] = leaf[6];
    assert_int_equal(MIRROR(300, late), YM_CONFLICT);
#undef MIRROR
    for (size_t i = 0; i < 300; i++)
        ym_buf_release(&line[i]);
    ym_buf_release(&early);
    ym_buf_release(&late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(what_was_appended_is_there_after_reopening),
        CASE(layout_is_tlog_tiles),
        CASE(checkpoint_is_signed_over_size_and_root),
        CASE(leaves_are_found_by_their_bytes),
        CASE(malformed_leaves_change_nothing),
        CASE(a_second_process_is_refused),
        CASE(another_key_or_origin_is_a_full_stop),
        CASE(damage_is_a_full_stop_and_changes_nothing),
        CASE(missing_entries_are_a_full_stop),
        CASE(a_missing_checkpoint_is_a_full_stop),
        CASE(what_was_not_closed_is_made_whole_from_the_journal),
        CASE(a_damaged_journal_is_a_full_stop),
        CASE(missing_tiles_are_made_again),
        CASE(a_full_disk_changes_nothing),
        CASE(a_mirror_follows_and_refuses_another_past),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
