#ifndef YM_TESTS_LEDGER_HELP_H
#define YM_TESTS_LEDGER_HELP_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit/ledger/leaf.h"
#include "audit/ledger/ledger.h"

#define ORIGIN "yumen/hospital/h1"

static inline struct ym_key *help_key(void)
{
    struct ym_key *key = NULL;

    assert_int_equal(ym_key_generate(&key, NULL), YM_OK);
    return key;
}

static inline int help_remove_one(const char *path, const struct stat *s, int flag, struct FTW *f)
{
    (void)s;
    (void)flag;
    (void)f;
    return remove(path);
}

static inline void help_remove(const char *dir)
{
    nftw(dir, help_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void help_temp(char out[64])
{
    snprintf(out, 64, "/tmp/yumen-test-XXXXXX");
    assert_non_null(mkdtemp(out));
}

/* An incident leaf whose text depends on i alone (but for the key). */
static inline void help_leaf(const struct ym_key *key, uint64_t i, struct ym_buf *out)
{
    char reason[32];
    json_t *members = json_object();

    snprintf(reason, sizeof(reason), "entry %llu", (unsigned long long)i);
    json_object_set_new(members, "reason", json_string(reason));
    assert_int_equal(ym_leaf_sign("incident", members, "h1", 1700000000 + (int64_t)i, key, out, NULL), YM_OK);
    json_decref(members);
}

/* Append entries from..from+count-1 in one call. */
static inline enum ym_code help_append(struct ym_ledger *l, const struct ym_key *key, uint64_t from, size_t count,
                                       struct ym_status *st)
{
    struct ym_buf *line = calloc(count, sizeof(*line));
    struct ym_bytes *leaf = calloc(count, sizeof(*leaf));
    enum ym_code code;

    for (size_t i = 0; i < count; i++) {
        help_leaf(key, from + i, &line[i]);
        leaf[i] = (struct ym_bytes){line[i].data, line[i].len};
    }
    code = ym_ledger_append(l, leaf, count, NULL, st);
    for (size_t i = 0; i < count; i++)
        ym_buf_release(&line[i]);
    free(line);
    free(leaf);
    return code;
}

#endif
