#include "coordinator/store/sqlite_internal.h"

#include <string.h>

/* ---- parties ---- */

enum ym_code ym_sql_put_party(struct ym_store *s, const struct ym_store_party *p, struct ym_bytes enrol_leaf,
                              struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_PUT_PARTY);

    ym_sql_bind_text(&r, p->name);
    ym_sql_bind_int(&r, p->role);
    ym_sql_bind_blob(&r, p->identity_key, sizeof p->identity_key);
    ym_sql_bind_int(&r, p->enrolled_s);
    ym_sql_bind_int(&r, p->revoked);
    ym_sql_bind_blob(&r, enrol_leaf.data, enrol_leaf.len);
    return ym_sql_run_write(&r, st);
}

static enum ym_code read_party(struct run *r, struct ym_store_party *p)
{
    memset(p, 0, sizeof *p);
    ym_sql_column_text(r, 0, p->name, sizeof p->name);
    p->role = (enum ym_role)sqlite3_column_int(r->q, 1);
    p->enrolled_s = sqlite3_column_int64(r->q, 3);
    p->revoked = sqlite3_column_int(r->q, 4) != 0;
    return ym_sql_column_fixed(r, 2, p->identity_key, sizeof p->identity_key) ? YM_OK : YM_CORRUPT;
}

enum ym_code ym_sql_get_party(struct ym_store *s, const char *name, struct ym_store_party *p, struct ym_buf *enrol_leaf,
                              struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_GET_PARTY);
    struct ym_store_party got = {0};
    enum ym_code fill = YM_OK;
    bool found;

    ym_sql_bind_text(&r, name);
    found = ym_sql_next_row(&r);
    if (found)
        fill = read_party(&r, &got);
    if (found && fill == YM_OK)
        fill = ym_sql_column_buf(&r, 5, enrol_leaf);
    fill = ym_sql_end_get(&r, found, fill, "party", st);
    if (fill == YM_OK)
        *p = got;
    return fill;
}

enum ym_code ym_sql_each_party(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_party *p), void *ctx,
                               struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_EACH_PARTY);
    struct ym_store_party p;
    enum ym_code fill = YM_OK;

    while (fill == YM_OK && ym_sql_next_row(&r))
        if ((fill = read_party(&r, &p)) == YM_OK)
            fn(ctx, &p);
    return ym_sql_end_get(&r, true, fill, "party", st);
}

enum ym_code ym_sql_revoke_party(struct ym_store *s, const char *name, struct ym_status *st)
{
    struct ym_store_party p;
    struct run r;
    enum ym_code code = ym_sql_get_party(s, name, &p, NULL, st);

    if (code != YM_OK)
        return code;
    r = ym_sql_open_run(s, Q_REVOKE_PARTY);
    ym_sql_bind_text(&r, name);
    return ym_sql_run_one(&r, YM_CONFLICT, "the party is revoked already", st);
}

enum ym_code ym_sql_put_cert(struct ym_store *s, const struct ym_store_cert *c, struct ym_bytes pem,
                             struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_PUT_CERT);
    enum ym_code code;

    ym_sql_bind_blob(&r, c->fingerprint, YM_HASH_BYTES);
    ym_sql_bind_blob(&r, c->spki, YM_HASH_BYTES);
    ym_sql_bind_text(&r, c->party);
    ym_sql_bind_int(&r, c->not_after_s);
    ym_sql_bind_blob(&r, pem.data, pem.len);
    code = ym_sql_run_write(&r, st);
    if (code != YM_OK)
        return code;
    r = ym_sql_open_run(s, Q_TRIM_CERTS);
    ym_sql_bind_text(&r, c->party);
    ym_sql_bind_int(&r, YM_STORE_CERTS_OF_ONE);
    return ym_sql_run_write(&r, st);
}

enum ym_code ym_sql_get_cert_pem(struct ym_store *s, const uint8_t spki[YM_HASH_BYTES], struct ym_buf *pem,
                                 struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_GET_CERT);
    enum ym_code fill = YM_OK;
    bool found;

    ym_sql_bind_blob(&r, spki, YM_HASH_BYTES);
    found = ym_sql_next_row(&r);
    if (found)
        fill = ym_sql_column_buf(&r, 0, pem);
    return ym_sql_end_get(&r, found, fill, "certificate", st);
}

enum ym_code ym_sql_each_cert(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_cert *c), void *ctx,
                              struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_EACH_CERT);
    enum ym_code fill = YM_OK;

    while (fill == YM_OK && ym_sql_next_row(&r)) {
        struct ym_store_cert c = {0};

        if (!ym_sql_column_fixed(&r, 0, c.fingerprint, YM_HASH_BYTES) ||
            !ym_sql_column_fixed(&r, 1, c.spki, YM_HASH_BYTES))
            fill = YM_CORRUPT;
        ym_sql_column_text(&r, 2, c.party, sizeof c.party);
        c.not_after_s = sqlite3_column_int64(r.q, 3);
        if (fill == YM_OK)
            fn(ctx, &c);
    }
    return ym_sql_end_get(&r, true, fill, "certificate", st);
}

enum ym_code ym_sql_drop_certs(struct ym_store *s, int64_t expired_before_s, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_DROP_CERTS);

    ym_sql_bind_int(&r, expired_before_s);
    return ym_sql_run_write(&r, st);
}

/* ---- tokens ---- */

enum ym_code ym_sql_put_token(struct ym_store *s, const struct ym_store_token *t, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_PUT_TOKEN);

    ym_sql_bind_blob(&r, t->id, sizeof t->id);
    ym_sql_bind_blob(&r, t->secret_hash, YM_HASH_BYTES);
    ym_sql_bind_int(&r, t->role);
    ym_sql_bind_text(&r, t->name);
    ym_sql_bind_int(&r, t->expires_s);
    return ym_sql_run_write(&r, st);
}

enum ym_code ym_sql_get_token(struct ym_store *s, const uint8_t id[8], struct ym_store_token *t, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_GET_TOKEN);
    struct ym_store_token got = {0};
    enum ym_code fill = YM_OK;
    bool found;

    ym_sql_bind_blob(&r, id, 8);
    found = ym_sql_next_row(&r);
    if (found) {
        if (!ym_sql_column_fixed(&r, 0, got.id, 8) || !ym_sql_column_fixed(&r, 1, got.secret_hash, YM_HASH_BYTES))
            fill = YM_CORRUPT;
        got.role = (enum ym_role)sqlite3_column_int(r.q, 2);
        ym_sql_column_text(&r, 3, got.name, sizeof got.name);
        got.expires_s = sqlite3_column_int64(r.q, 4);
        got.failures = (uint32_t)sqlite3_column_int64(r.q, 5);
        got.used = sqlite3_column_int(r.q, 6) != 0;
        if (got.used && !ym_sql_column_fixed(&r, 7, got.spki, YM_HASH_BYTES))
            fill = YM_CORRUPT;
    }
    fill = ym_sql_end_get(&r, found, fill, "token", st);
    if (fill == YM_OK)
        *t = got;
    return fill;
}

enum ym_code ym_sql_fail_token(struct ym_store *s, const uint8_t id[8], struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_FAIL_TOKEN);

    ym_sql_bind_blob(&r, id, 8);
    return ym_sql_run_one(&r, YM_NOT_FOUND, "no such token in the store", st);
}

enum ym_code ym_sql_use_token(struct ym_store *s, const uint8_t id[8], const uint8_t spki[YM_HASH_BYTES],
                              struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_USE_TOKEN);

    ym_sql_bind_blob(&r, id, 8);
    ym_sql_bind_blob(&r, spki, YM_HASH_BYTES);
    return ym_sql_run_one(&r, YM_CONFLICT, "the token is used or unknown", st);
}
