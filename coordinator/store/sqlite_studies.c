#include "coordinator/store/sqlite_internal.h"

#include <string.h>

/* ---- studies ---- */

enum ym_code ym_sql_put_study(struct ym_store *s, const struct ym_store_study *y, struct ym_bytes plan_leaf,
                              struct ym_bytes kept, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_PUT_STUDY);

    ym_sql_bind_text(&r, y->study);
    ym_sql_bind_text(&r, y->sponsor);
    ym_sql_bind_blob(&r, y->plan, YM_HASH_BYTES);
    ym_sql_bind_int(&r, y->phase);
    ym_sql_bind_int(&r, y->round);
    ym_sql_bind_int(&r, y->attempt);
    ym_sql_bind_int(&r, y->created_s);
    ym_sql_bind_int(&r, y->changed_s);
    ym_sql_bind_blob(&r, plan_leaf.data, plan_leaf.len);
    ym_sql_bind_blob(&r, kept.data, kept.len);
    return ym_sql_run_write(&r, st);
}

enum ym_code ym_sql_set_study(struct ym_store *s, const struct ym_store_study *y, struct ym_bytes kept,
                              struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_SET_STUDY);

    ym_sql_bind_text(&r, y->study);
    ym_sql_bind_int(&r, y->phase);
    ym_sql_bind_int(&r, y->round);
    ym_sql_bind_int(&r, y->attempt);
    ym_sql_bind_int(&r, y->changed_s);
    ym_sql_bind_blob(&r, kept.data, kept.len);
    return ym_sql_run_one(&r, YM_NOT_FOUND, "no such study in the store", st);
}

static enum ym_code read_study(struct run *r, struct ym_store_study *y)
{
    memset(y, 0, sizeof *y);
    ym_sql_column_text(r, 0, y->study, sizeof y->study);
    ym_sql_column_text(r, 1, y->sponsor, sizeof y->sponsor);
    y->phase = (uint32_t)sqlite3_column_int64(r->q, 3);
    y->round = (uint32_t)sqlite3_column_int64(r->q, 4);
    y->attempt = (uint32_t)sqlite3_column_int64(r->q, 5);
    y->created_s = sqlite3_column_int64(r->q, 6);
    y->changed_s = sqlite3_column_int64(r->q, 7);
    return ym_sql_column_fixed(r, 2, y->plan, YM_HASH_BYTES) ? YM_OK : YM_CORRUPT;
}

enum ym_code ym_sql_get_study(struct ym_store *s, const char *study, struct ym_store_study *y, struct ym_buf *plan_leaf,
                              struct ym_buf *kept, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_GET_STUDY);
    struct ym_store_study got = {0};
    enum ym_code fill = YM_OK;
    bool found;

    ym_sql_bind_text(&r, study);
    found = ym_sql_next_row(&r);
    if (found)
        fill = read_study(&r, &got);
    if (found && fill == YM_OK)
        fill = ym_sql_column_buf(&r, 8, plan_leaf);
    if (found && fill == YM_OK)
        fill = ym_sql_column_buf(&r, 9, kept);
    fill = ym_sql_end_get(&r, found, fill, "study", st);
    if (fill == YM_OK)
        *y = got;
    return fill;
}

enum ym_code ym_sql_each_study(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_study *y), void *ctx,
                               struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_EACH_STUDY);
    struct ym_store_study y;
    enum ym_code fill = YM_OK;

    while (fill == YM_OK && ym_sql_next_row(&r))
        if ((fill = read_study(&r, &y)) == YM_OK)
            fn(ctx, &y);
    return ym_sql_end_get(&r, true, fill, "study", st);
}

/* ---- cards ---- */

enum ym_code ym_sql_put_card(struct ym_store *s, const char *site, const char *dataset, struct ym_bytes leaf,
                             struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_PUT_CARD);

    ym_sql_bind_text(&r, site);
    ym_sql_bind_text(&r, dataset);
    ym_sql_bind_blob(&r, leaf.data, leaf.len);
    return ym_sql_run_write(&r, st);
}

enum ym_code ym_sql_each_card(struct ym_store *s,
                              void (*fn)(void *ctx, const char *site, const char *dataset, struct ym_bytes leaf),
                              void *ctx, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_EACH_CARD);
    char site[64], dataset[64];

    while (ym_sql_next_row(&r)) {
        ym_sql_column_text(&r, 0, site, sizeof site);
        ym_sql_column_text(&r, 1, dataset, sizeof dataset);
        fn(ctx, site, dataset, ym_sql_column_bytes(&r, 2));
    }
    return ym_sql_end_run(&r, st);
}

/* ---- attempts ---- */

enum ym_code ym_sql_put_task(struct ym_store *s, const char *study, enum ym_store_task task, struct ym_bytes leaf,
                             struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_PUT_TASK);

    ym_sql_bind_text(&r, study);
    ym_sql_bind_int(&r, task);
    ym_sql_bind_blob(&r, leaf.data, leaf.len);
    return ym_sql_run_write(&r, st);
}

enum ym_code ym_sql_get_task(struct ym_store *s, const char *study, enum ym_store_task task, struct ym_buf *leaf,
                             struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_GET_TASK);
    enum ym_code fill = YM_OK;
    bool found;

    ym_sql_bind_text(&r, study);
    ym_sql_bind_int(&r, task);
    found = ym_sql_next_row(&r);
    if (found)
        fill = ym_sql_column_buf(&r, 0, leaf);
    return ym_sql_end_get(&r, found, fill, "task", st);
}

static void bind_upload_key(struct run *r, const struct ym_store_upload *u)
{
    ym_sql_bind_text(r, u->study);
    ym_sql_bind_text(r, u->site);
    ym_sql_bind_int(r, u->round);
    ym_sql_bind_int(r, u->attempt);
}

enum ym_code ym_sql_put_upload(struct ym_store *s, const struct ym_store_upload *u, struct ym_bytes charge,
                               struct ym_bytes release, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_PUT_UPLOAD);

    bind_upload_key(&r, u);
    ym_sql_bind_int(&r, u->complete);
    ym_sql_bind_optional(&r, charge);
    ym_sql_bind_optional(&r, release);
    return ym_sql_run_write(&r, st);
}

enum ym_code ym_sql_get_upload(struct ym_store *s, struct ym_store_upload *u, struct ym_buf *charge,
                               struct ym_buf *release, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_GET_UPLOAD);
    enum ym_code fill = YM_OK;
    bool found, complete = false;

    bind_upload_key(&r, u);
    found = ym_sql_next_row(&r);
    if (found) {
        complete = sqlite3_column_int(r.q, 0) != 0;
        fill = ym_sql_column_buf(&r, 1, charge);
        if (fill == YM_OK)
            fill = ym_sql_column_buf(&r, 2, release);
    }
    fill = ym_sql_end_get(&r, found, fill, "upload", st);
    if (fill == YM_OK)
        u->complete = complete;
    return fill;
}

/* ---- objects ---- */

enum ym_code ym_sql_put_object(struct ym_store *s, const uint8_t hash[YM_HASH_BYTES], const char *study,
                               enum ym_store_object kind, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_PUT_OBJECT);

    ym_sql_bind_blob(&r, hash, YM_HASH_BYTES);
    ym_sql_bind_text(&r, study);
    ym_sql_bind_int(&r, kind);
    return ym_sql_run_write(&r, st);
}

enum ym_code ym_sql_each_owner(struct ym_store *s, const uint8_t hash[YM_HASH_BYTES],
                               void (*fn)(void *ctx, const char *study, enum ym_store_object kind), void *ctx,
                               struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_EACH_OWNER);
    char study[64];

    ym_sql_bind_blob(&r, hash, YM_HASH_BYTES);
    while (ym_sql_next_row(&r)) {
        ym_sql_column_text(&r, 0, study, sizeof study);
        fn(ctx, study, (enum ym_store_object)sqlite3_column_int(r.q, 1));
    }
    return ym_sql_end_run(&r, st);
}

/* ---- the outbox ---- */

enum ym_code ym_sql_put_leaf(struct ym_store *s, struct ym_bytes leaf, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_PUT_LEAF);
    uint8_t id[YM_HASH_BYTES];

    ym_sha256(leaf.data, leaf.len, id);
    ym_sql_bind_blob(&r, id, sizeof id);
    ym_sql_bind_blob(&r, leaf.data, leaf.len);
    return ym_sql_run_write(&r, st);
}

enum ym_code ym_sql_has_leaf(struct ym_store *s, struct ym_bytes leaf, bool *out, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_HAS_LEAF);
    uint8_t id[YM_HASH_BYTES];

    ym_sha256(leaf.data, leaf.len, id);
    ym_sql_bind_blob(&r, id, sizeof id);
    *out = ym_sql_next_row(&r);
    return ym_sql_end_run(&r, st);
}

enum ym_code ym_sql_count_leaves(struct ym_store *s, uint64_t *out, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_COUNT_LEAVES);

    if (ym_sql_next_row(&r))
        *out = (uint64_t)sqlite3_column_int64(r.q, 0);
    return ym_sql_end_run(&r, st);
}

enum ym_code ym_sql_each_leaf(struct ym_store *s, uint64_t from, uint64_t limit,
                              bool (*fn)(void *ctx, uint64_t index, struct ym_bytes leaf), void *ctx,
                              struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_EACH_LEAF);

    ym_sql_bind_int(&r, (int64_t)from);
    ym_sql_bind_int(&r, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    while (ym_sql_next_row(&r))
        if (!fn(ctx, (uint64_t)sqlite3_column_int64(r.q, 0), ym_sql_column_bytes(&r, 1)))
            break;
    return ym_sql_end_run(&r, st);
}

/* ---- commands ---- */

enum ym_code ym_sql_put_command(struct ym_store *s, enum ym_store_command kind, const char *name, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_PUT_COMMAND);

    ym_sql_bind_int(&r, kind);
    ym_sql_bind_text(&r, name);
    return ym_sql_run_write(&r, st);
}

enum ym_code ym_sql_next_command(struct ym_store *s, uint64_t *id, enum ym_store_command *kind, char name[64],
                                 struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_NEXT_COMMAND);
    bool found = ym_sql_next_row(&r);

    if (found) {
        *id = (uint64_t)sqlite3_column_int64(r.q, 0);
        *kind = (enum ym_store_command)sqlite3_column_int(r.q, 1);
        ym_sql_column_text(&r, 2, name, 64);
    }
    return ym_sql_end_get(&r, found, YM_OK, "command", st);
}

enum ym_code ym_sql_drop_command(struct ym_store *s, uint64_t id, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_DROP_COMMAND);

    ym_sql_bind_int(&r, (int64_t)id);
    return ym_sql_run_write(&r, st);
}
