#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "coordinator/store/store.h"

/* WAL with synchronous=FULL: a commit is on the disk when it returns, readers
 * do not wait, and a second process may write between our transactions. */

#define BUSY_MS 5000
#define APPLICATION_ID 0x594d4855 /* "YMHU" */

enum query {
    Q_PUT_PARTY,
    Q_GET_PARTY,
    Q_EACH_PARTY,
    Q_REVOKE_PARTY,
    Q_PUT_CERT,
    Q_GET_CERT,
    Q_EACH_CERT,
    Q_DROP_CERTS,
    Q_PUT_TOKEN,
    Q_GET_TOKEN,
    Q_FAIL_TOKEN,
    Q_USE_TOKEN,
    Q_PUT_STUDY,
    Q_SET_STUDY,
    Q_GET_STUDY,
    Q_EACH_STUDY,
    Q_PUT_CARD,
    Q_EACH_CARD,
    Q_PUT_TASK,
    Q_GET_TASK,
    Q_PUT_UPLOAD,
    Q_GET_UPLOAD,
    Q_PUT_OBJECT,
    Q_EACH_OWNER,
    Q_PUT_LEAF,
    Q_COUNT_LEAVES,
    Q_EACH_LEAF,
    Q_PUT_COMMAND,
    Q_NEXT_COMMAND,
    Q_DROP_COMMAND,
    Q_BEGIN,
    Q_COMMIT,
    Q_ROLLBACK,
    Q_GENERATION,
    Q_COUNT
};

static const char *const sql[Q_COUNT] = {
    [Q_PUT_PARTY] = "INSERT INTO parties(name, role, identity_key, enrolled, revoked, enrol_leaf) VALUES(?,?,?,?,?,?) "
                    "ON CONFLICT(name) DO UPDATE SET role=excluded.role, identity_key=excluded.identity_key, "
                    "enrolled=excluded.enrolled, revoked=excluded.revoked, enrol_leaf=excluded.enrol_leaf",
    [Q_GET_PARTY] = "SELECT name, role, identity_key, enrolled, revoked, enrol_leaf FROM parties WHERE name=?",
    [Q_EACH_PARTY] = "SELECT name, role, identity_key, enrolled, revoked FROM parties ORDER BY name",
    [Q_REVOKE_PARTY] = "UPDATE parties SET revoked=1 WHERE name=? AND revoked=0",
    [Q_PUT_CERT] = "INSERT OR REPLACE INTO certs(fingerprint, spki, party, not_after, pem) VALUES(?,?,?,?,?)",
    [Q_GET_CERT] = "SELECT pem FROM certs WHERE spki=? ORDER BY not_after DESC LIMIT 1",
    [Q_EACH_CERT] = "SELECT fingerprint, spki, party, not_after FROM certs",
    [Q_DROP_CERTS] = "DELETE FROM certs WHERE not_after < ?",
    [Q_PUT_TOKEN] = "INSERT INTO tokens(id, secret_hash, role, name, expires, failures, used) VALUES(?,?,?,?,?,0,0)",
    [Q_GET_TOKEN] = "SELECT id, secret_hash, role, name, expires, failures, used, spki FROM tokens WHERE id=?",
    [Q_FAIL_TOKEN] = "UPDATE tokens SET failures=failures+1 WHERE id=?",
    [Q_USE_TOKEN] = "UPDATE tokens SET used=1, spki=?2 WHERE id=?1 AND used=0",
    [Q_PUT_STUDY] =
        "INSERT INTO studies(study, sponsor, plan, phase, round, attempt, created, changed, plan_leaf, kept) "
        "VALUES(?,?,?,?,?,?,?,?,?,?)",
    [Q_SET_STUDY] = "UPDATE studies SET phase=?2, round=?3, attempt=?4, changed=?5, kept=?6 WHERE study=?1",
    [Q_GET_STUDY] =
        "SELECT study, sponsor, plan, phase, round, attempt, created, changed, plan_leaf, kept FROM studies "
        "WHERE study=?",
    [Q_EACH_STUDY] =
        "SELECT study, sponsor, plan, phase, round, attempt, created, changed FROM studies ORDER BY created, study",
    [Q_PUT_CARD] = "INSERT OR REPLACE INTO cards(site, dataset, leaf) VALUES(?,?,?)",
    [Q_EACH_CARD] = "SELECT site, dataset, leaf FROM cards ORDER BY site, dataset",
    [Q_PUT_TASK] = "INSERT OR REPLACE INTO tasks(study, task, leaf) VALUES(?,?,?)",
    [Q_GET_TASK] = "SELECT leaf FROM tasks WHERE study=? AND task=?",
    [Q_PUT_UPLOAD] =
        "INSERT INTO uploads(study, site, round, attempt, complete, charge, release) VALUES(?,?,?,?,?,?,?) "
        "ON CONFLICT(study, site, round, attempt) DO UPDATE SET complete=excluded.complete, "
        "charge=coalesce(excluded.charge, charge), release=coalesce(excluded.release, release)",
    [Q_GET_UPLOAD] = "SELECT complete, charge, release FROM uploads WHERE study=? AND site=? AND round=? AND attempt=?",
    [Q_PUT_OBJECT] = "INSERT OR IGNORE INTO objects(hash, study, kind) VALUES(?,?,?)",
    [Q_EACH_OWNER] = "SELECT study FROM objects WHERE hash=?",
    [Q_PUT_LEAF] = "INSERT INTO leaves(seq, id, leaf) SELECT coalesce((SELECT max(seq)+1 FROM leaves), 0), ?1, ?2 "
                   "WHERE NOT EXISTS (SELECT 1 FROM leaves WHERE id=?1)",
    [Q_COUNT_LEAVES] = "SELECT coalesce(max(seq)+1, 0) FROM leaves",
    [Q_EACH_LEAF] = "SELECT seq, leaf FROM leaves WHERE seq>=? ORDER BY seq LIMIT ?",
    [Q_PUT_COMMAND] = "INSERT INTO commands(kind, name) VALUES(?,?)",
    [Q_NEXT_COMMAND] = "SELECT id, kind, name FROM commands ORDER BY id LIMIT 1",
    [Q_DROP_COMMAND] = "DELETE FROM commands WHERE id=?",
    [Q_BEGIN] = "BEGIN IMMEDIATE",
    [Q_COMMIT] = "COMMIT",
    [Q_ROLLBACK] = "ROLLBACK",
    [Q_GENERATION] = "PRAGMA data_version",
};

static const char *const schema =
    "CREATE TABLE parties(name TEXT PRIMARY KEY, role INTEGER NOT NULL, identity_key BLOB NOT NULL, enrolled INTEGER "
    "NOT NULL,"
    " revoked INTEGER NOT NULL, enrol_leaf BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE certs(fingerprint BLOB PRIMARY KEY, spki BLOB NOT NULL, party TEXT NOT NULL, not_after INTEGER NOT "
    "NULL,"
    " pem BLOB NOT NULL);"
    "CREATE INDEX certs_spki ON certs(spki);"
    "CREATE TABLE tokens(id BLOB PRIMARY KEY, secret_hash BLOB NOT NULL, role INTEGER NOT NULL, name TEXT NOT NULL,"
    " expires INTEGER NOT NULL, failures INTEGER NOT NULL, used INTEGER NOT NULL, spki BLOB) WITHOUT ROWID;"
    "CREATE TABLE studies(study TEXT PRIMARY KEY, sponsor TEXT NOT NULL, plan BLOB NOT NULL, phase INTEGER NOT NULL,"
    " round INTEGER NOT NULL, attempt INTEGER NOT NULL, created INTEGER NOT NULL, changed INTEGER NOT NULL,"
    " plan_leaf BLOB NOT NULL, kept BLOB NOT NULL);"
    "CREATE TABLE cards(site TEXT NOT NULL, dataset TEXT NOT NULL, leaf BLOB NOT NULL, PRIMARY KEY(site, dataset));"
    "CREATE TABLE tasks(study TEXT NOT NULL, task INTEGER NOT NULL,"
    " leaf BLOB NOT NULL, PRIMARY KEY(study, task));"
    "CREATE TABLE uploads(study TEXT NOT NULL, site TEXT NOT NULL, round INTEGER NOT NULL, attempt INTEGER NOT NULL,"
    " complete INTEGER NOT NULL, charge BLOB, release BLOB, PRIMARY KEY(study, site, round, attempt));"
    "CREATE TABLE objects(hash BLOB NOT NULL, study TEXT NOT NULL, kind INTEGER NOT NULL, PRIMARY KEY(hash, study));"
    "CREATE TABLE leaves(seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, leaf BLOB NOT NULL);"
    "CREATE TABLE commands(id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, name TEXT NOT NULL);";

struct sqlite_store {
    struct ym_store store;
    sqlite3 *db;
    sqlite3_stmt *stmt[Q_COUNT];
};

static struct sqlite_store *self(struct ym_store *s)
{
    return (struct sqlite_store *)s;
}

static enum ym_code failed(sqlite3 *db, int rc, const char *what, struct ym_status *st)
{
    enum ym_code code = YM_INTERNAL;

    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        code = YM_UNAVAILABLE;
        break;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
        code = YM_EXHAUSTED;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = YM_CORRUPT;
        break;
    case SQLITE_CONSTRAINT:
        code = YM_CONFLICT;
        break;
    default:
        break;
    }
    return ym_status_set(st, code, "store: %s: %s", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
}

/* ---- one prepared statement: bind, run, reset ---- */

struct run {
    struct sqlite_store *s;
    sqlite3_stmt *q;
    enum query id;
    int at; /* next parameter */
    int rc;
};

static struct run open_run(struct ym_store *s, enum query id)
{
    struct run r = {self(s), NULL, id, 1, SQLITE_OK};

    if (!r.s->stmt[id])
        r.rc = sqlite3_prepare_v3(r.s->db, sql[id], -1, SQLITE_PREPARE_PERSISTENT, &r.s->stmt[id], NULL);
    r.q = r.s->stmt[id];
    return r;
}

static void bind_int(struct run *r, int64_t v)
{
    if (r->rc == SQLITE_OK)
        r->rc = sqlite3_bind_int64(r->q, r->at++, v);
}

static void bind_text(struct run *r, const char *v)
{
    if (r->rc == SQLITE_OK)
        r->rc = sqlite3_bind_text(r->q, r->at++, v, -1, SQLITE_STATIC);
}

static void bind_blob(struct run *r, const void *data, size_t len)
{
    if (r->rc == SQLITE_OK)
        r->rc = sqlite3_bind_blob64(r->q, r->at++, len ? data : "", len, SQLITE_STATIC);
}

static void bind_optional(struct run *r, struct ym_bytes b)
{
    if (b.len)
        bind_blob(r, b.data, b.len);
    else if (r->rc == SQLITE_OK)
        r->rc = sqlite3_bind_null(r->q, r->at++);
}

/* True while there are rows. */
static bool next_row(struct run *r)
{
    if (r->rc != SQLITE_OK && r->rc != SQLITE_ROW)
        return false;
    r->rc = sqlite3_step(r->q);
    return r->rc == SQLITE_ROW;
}

static enum ym_code end_run(struct run *r, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    if (r->rc != SQLITE_OK && r->rc != SQLITE_ROW && r->rc != SQLITE_DONE)
        code = failed(r->s->db, r->rc, sql[r->id], st);
    if (r->q) {
        sqlite3_reset(r->q);
        sqlite3_clear_bindings(r->q);
    }
    return code;
}

static enum ym_code run_write(struct run *r, struct ym_status *st)
{
    next_row(r);
    return end_run(r, st);
}

/* A write that must hit one row. */
static enum ym_code run_one(struct run *r, enum ym_code none, const char *what, struct ym_status *st)
{
    enum ym_code code;

    next_row(r);
    code = end_run(r, st);
    if (code == YM_OK && sqlite3_changes(r->s->db) != 1)
        code = ym_status_set(st, none, "%s", what);
    return code;
}

static void column_text(struct run *r, int i, char *out, size_t cap)
{
    const unsigned char *t = sqlite3_column_text(r->q, i);

    snprintf(out, cap, "%s", t ? (const char *)t : "");
}

static bool column_fixed(struct run *r, int i, void *out, size_t len)
{
    const void *b = sqlite3_column_blob(r->q, i);

    if (!b || (size_t)sqlite3_column_bytes(r->q, i) != len)
        return false;
    memcpy(out, b, len);
    return true;
}

static struct ym_bytes column_bytes(struct run *r, int i)
{
    const void *b = sqlite3_column_blob(r->q, i);

    return (struct ym_bytes){b, b ? (size_t)sqlite3_column_bytes(r->q, i) : 0};
}

static enum ym_code column_buf(struct run *r, int i, struct ym_buf *out)
{
    struct ym_bytes b = column_bytes(r, i);

    if (!out)
        return YM_OK;
    ym_buf_clear(out);
    return ym_buf_append(out, b.data, b.len);
}

static enum ym_code corrupt_row(const char *table, struct ym_status *st)
{
    return ym_status_set(st, YM_CORRUPT, "store: a row of '%s' is not what it must be", table);
}

/* End a read of one row: found says whether, fill is what reading its columns gave. */
static enum ym_code end_get(struct run *r, bool found, enum ym_code fill, const char *what, struct ym_status *st)
{
    enum ym_code code = end_run(r, st);

    if (code == YM_OK && !found)
        return ym_status_set(st, YM_NOT_FOUND, "no such %s in the store", what);
    if (code == YM_OK && fill == YM_CORRUPT)
        return corrupt_row(what, st);
    if (code == YM_OK && fill != YM_OK)
        return ym_status_set(st, fill, "out of memory while reading a %s", what);
    return code;
}

/* ---- transactions ---- */

static enum ym_code do_begin(struct ym_store *s, struct ym_status *st)
{
    struct run r = open_run(s, Q_BEGIN);

    return run_write(&r, st);
}

static void do_abort(struct ym_store *s)
{
    struct run r = open_run(s, Q_ROLLBACK);

    if (!sqlite3_get_autocommit(self(s)->db))
        run_write(&r, NULL);
}

static enum ym_code do_commit(struct ym_store *s, struct ym_status *st)
{
    struct run r = open_run(s, Q_COMMIT);
    enum ym_code code = run_write(&r, st);

    if (code != YM_OK)
        do_abort(s);
    return code;
}

static enum ym_code do_generation(struct ym_store *s, uint64_t *out, struct ym_status *st)
{
    struct run r = open_run(s, Q_GENERATION);

    if (next_row(&r))
        *out = (uint64_t)sqlite3_column_int64(r.q, 0);
    return end_run(&r, st);
}

/* ---- parties ---- */

static enum ym_code put_party(struct ym_store *s, const struct ym_store_party *p, struct ym_bytes enrol_leaf,
                              struct ym_status *st)
{
    struct run r = open_run(s, Q_PUT_PARTY);

    bind_text(&r, p->name);
    bind_int(&r, p->role);
    bind_blob(&r, p->identity_key, sizeof p->identity_key);
    bind_int(&r, p->enrolled_s);
    bind_int(&r, p->revoked);
    bind_blob(&r, enrol_leaf.data, enrol_leaf.len);
    return run_write(&r, st);
}

static enum ym_code read_party(struct run *r, struct ym_store_party *p)
{
    memset(p, 0, sizeof *p);
    column_text(r, 0, p->name, sizeof p->name);
    p->role = (enum ym_role)sqlite3_column_int(r->q, 1);
    p->enrolled_s = sqlite3_column_int64(r->q, 3);
    p->revoked = sqlite3_column_int(r->q, 4) != 0;
    return column_fixed(r, 2, p->identity_key, sizeof p->identity_key) ? YM_OK : YM_CORRUPT;
}

static enum ym_code get_party(struct ym_store *s, const char *name, struct ym_store_party *p, struct ym_buf *enrol_leaf,
                              struct ym_status *st)
{
    struct run r = open_run(s, Q_GET_PARTY);
    struct ym_store_party got = {0};
    enum ym_code fill = YM_OK;
    bool found;

    bind_text(&r, name);
    found = next_row(&r);
    if (found)
        fill = read_party(&r, &got);
    if (found && fill == YM_OK)
        fill = column_buf(&r, 5, enrol_leaf);
    fill = end_get(&r, found, fill, "party", st);
    if (fill == YM_OK)
        *p = got;
    return fill;
}

static enum ym_code each_party(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_party *p), void *ctx,
                               struct ym_status *st)
{
    struct run r = open_run(s, Q_EACH_PARTY);
    struct ym_store_party p;
    enum ym_code fill = YM_OK;

    while (fill == YM_OK && next_row(&r))
        if ((fill = read_party(&r, &p)) == YM_OK)
            fn(ctx, &p);
    return end_get(&r, true, fill, "party", st);
}

static enum ym_code revoke_party(struct ym_store *s, const char *name, struct ym_status *st)
{
    struct ym_store_party p;
    struct run r;
    enum ym_code code = get_party(s, name, &p, NULL, st);

    if (code != YM_OK)
        return code;
    r = open_run(s, Q_REVOKE_PARTY);
    bind_text(&r, name);
    return run_one(&r, YM_CONFLICT, "the party is revoked already", st);
}

static enum ym_code put_cert(struct ym_store *s, const struct ym_store_cert *c, struct ym_bytes pem,
                             struct ym_status *st)
{
    struct run r = open_run(s, Q_PUT_CERT);

    bind_blob(&r, c->fingerprint, YM_HASH_BYTES);
    bind_blob(&r, c->spki, YM_HASH_BYTES);
    bind_text(&r, c->party);
    bind_int(&r, c->not_after_s);
    bind_blob(&r, pem.data, pem.len);
    return run_write(&r, st);
}

static enum ym_code get_cert_pem(struct ym_store *s, const uint8_t spki[YM_HASH_BYTES], struct ym_buf *pem,
                                 struct ym_status *st)
{
    struct run r = open_run(s, Q_GET_CERT);
    enum ym_code fill = YM_OK;
    bool found;

    bind_blob(&r, spki, YM_HASH_BYTES);
    found = next_row(&r);
    if (found)
        fill = column_buf(&r, 0, pem);
    return end_get(&r, found, fill, "certificate", st);
}

static enum ym_code each_cert(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_cert *c), void *ctx,
                              struct ym_status *st)
{
    struct run r = open_run(s, Q_EACH_CERT);
    enum ym_code fill = YM_OK;

    while (fill == YM_OK && next_row(&r)) {
        struct ym_store_cert c = {0};

        if (!column_fixed(&r, 0, c.fingerprint, YM_HASH_BYTES) || !column_fixed(&r, 1, c.spki, YM_HASH_BYTES))
            fill = YM_CORRUPT;
        column_text(&r, 2, c.party, sizeof c.party);
        c.not_after_s = sqlite3_column_int64(r.q, 3);
        if (fill == YM_OK)
            fn(ctx, &c);
    }
    return end_get(&r, true, fill, "certificate", st);
}

static enum ym_code drop_certs(struct ym_store *s, int64_t expired_before_s, struct ym_status *st)
{
    struct run r = open_run(s, Q_DROP_CERTS);

    bind_int(&r, expired_before_s);
    return run_write(&r, st);
}

/* ---- tokens ---- */

static enum ym_code put_token(struct ym_store *s, const struct ym_store_token *t, struct ym_status *st)
{
    struct run r = open_run(s, Q_PUT_TOKEN);

    bind_blob(&r, t->id, sizeof t->id);
    bind_blob(&r, t->secret_hash, YM_HASH_BYTES);
    bind_int(&r, t->role);
    bind_text(&r, t->name);
    bind_int(&r, t->expires_s);
    return run_write(&r, st);
}

static enum ym_code get_token(struct ym_store *s, const uint8_t id[8], struct ym_store_token *t, struct ym_status *st)
{
    struct run r = open_run(s, Q_GET_TOKEN);
    struct ym_store_token got = {0};
    enum ym_code fill = YM_OK;
    bool found;

    bind_blob(&r, id, 8);
    found = next_row(&r);
    if (found) {
        if (!column_fixed(&r, 0, got.id, 8) || !column_fixed(&r, 1, got.secret_hash, YM_HASH_BYTES))
            fill = YM_CORRUPT;
        got.role = (enum ym_role)sqlite3_column_int(r.q, 2);
        column_text(&r, 3, got.name, sizeof got.name);
        got.expires_s = sqlite3_column_int64(r.q, 4);
        got.failures = (uint32_t)sqlite3_column_int64(r.q, 5);
        got.used = sqlite3_column_int(r.q, 6) != 0;
        if (got.used && !column_fixed(&r, 7, got.spki, YM_HASH_BYTES))
            fill = YM_CORRUPT;
    }
    fill = end_get(&r, found, fill, "token", st);
    if (fill == YM_OK)
        *t = got;
    return fill;
}

static enum ym_code fail_token(struct ym_store *s, const uint8_t id[8], struct ym_status *st)
{
    struct run r = open_run(s, Q_FAIL_TOKEN);

    bind_blob(&r, id, 8);
    return run_one(&r, YM_NOT_FOUND, "no such token in the store", st);
}

static enum ym_code use_token(struct ym_store *s, const uint8_t id[8], const uint8_t spki[YM_HASH_BYTES],
                              struct ym_status *st)
{
    struct run r = open_run(s, Q_USE_TOKEN);

    bind_blob(&r, id, 8);
    bind_blob(&r, spki, YM_HASH_BYTES);
    return run_one(&r, YM_CONFLICT, "the token is used or unknown", st);
}

/* ---- studies ---- */

static enum ym_code put_study(struct ym_store *s, const struct ym_store_study *y, struct ym_bytes plan_leaf,
                              struct ym_bytes kept, struct ym_status *st)
{
    struct run r = open_run(s, Q_PUT_STUDY);

    bind_text(&r, y->study);
    bind_text(&r, y->sponsor);
    bind_blob(&r, y->plan, YM_HASH_BYTES);
    bind_int(&r, y->phase);
    bind_int(&r, y->round);
    bind_int(&r, y->attempt);
    bind_int(&r, y->created_s);
    bind_int(&r, y->changed_s);
    bind_blob(&r, plan_leaf.data, plan_leaf.len);
    bind_blob(&r, kept.data, kept.len);
    return run_write(&r, st);
}

static enum ym_code set_study(struct ym_store *s, const struct ym_store_study *y, struct ym_bytes kept,
                              struct ym_status *st)
{
    struct run r = open_run(s, Q_SET_STUDY);

    bind_text(&r, y->study);
    bind_int(&r, y->phase);
    bind_int(&r, y->round);
    bind_int(&r, y->attempt);
    bind_int(&r, y->changed_s);
    bind_blob(&r, kept.data, kept.len);
    return run_one(&r, YM_NOT_FOUND, "no such study in the store", st);
}

static enum ym_code read_study(struct run *r, struct ym_store_study *y)
{
    memset(y, 0, sizeof *y);
    column_text(r, 0, y->study, sizeof y->study);
    column_text(r, 1, y->sponsor, sizeof y->sponsor);
    y->phase = (uint32_t)sqlite3_column_int64(r->q, 3);
    y->round = (uint32_t)sqlite3_column_int64(r->q, 4);
    y->attempt = (uint32_t)sqlite3_column_int64(r->q, 5);
    y->created_s = sqlite3_column_int64(r->q, 6);
    y->changed_s = sqlite3_column_int64(r->q, 7);
    return column_fixed(r, 2, y->plan, YM_HASH_BYTES) ? YM_OK : YM_CORRUPT;
}

static enum ym_code get_study(struct ym_store *s, const char *study, struct ym_store_study *y, struct ym_buf *plan_leaf,
                              struct ym_buf *kept, struct ym_status *st)
{
    struct run r = open_run(s, Q_GET_STUDY);
    struct ym_store_study got = {0};
    enum ym_code fill = YM_OK;
    bool found;

    bind_text(&r, study);
    found = next_row(&r);
    if (found)
        fill = read_study(&r, &got);
    if (found && fill == YM_OK)
        fill = column_buf(&r, 8, plan_leaf);
    if (found && fill == YM_OK)
        fill = column_buf(&r, 9, kept);
    fill = end_get(&r, found, fill, "study", st);
    if (fill == YM_OK)
        *y = got;
    return fill;
}

static enum ym_code each_study(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_study *y), void *ctx,
                               struct ym_status *st)
{
    struct run r = open_run(s, Q_EACH_STUDY);
    struct ym_store_study y;
    enum ym_code fill = YM_OK;

    while (fill == YM_OK && next_row(&r))
        if ((fill = read_study(&r, &y)) == YM_OK)
            fn(ctx, &y);
    return end_get(&r, true, fill, "study", st);
}

/* ---- cards ---- */

static enum ym_code put_card(struct ym_store *s, const char *site, const char *dataset, struct ym_bytes leaf,
                             struct ym_status *st)
{
    struct run r = open_run(s, Q_PUT_CARD);

    bind_text(&r, site);
    bind_text(&r, dataset);
    bind_blob(&r, leaf.data, leaf.len);
    return run_write(&r, st);
}

static enum ym_code each_card(struct ym_store *s,
                              void (*fn)(void *ctx, const char *site, const char *dataset, struct ym_bytes leaf),
                              void *ctx, struct ym_status *st)
{
    struct run r = open_run(s, Q_EACH_CARD);
    char site[64], dataset[64];

    while (next_row(&r)) {
        column_text(&r, 0, site, sizeof site);
        column_text(&r, 1, dataset, sizeof dataset);
        fn(ctx, site, dataset, column_bytes(&r, 2));
    }
    return end_run(&r, st);
}

/* ---- attempts ---- */

static enum ym_code put_task(struct ym_store *s, const char *study, enum ym_store_task task, struct ym_bytes leaf,
                             struct ym_status *st)
{
    struct run r = open_run(s, Q_PUT_TASK);

    bind_text(&r, study);
    bind_int(&r, task);
    bind_blob(&r, leaf.data, leaf.len);
    return run_write(&r, st);
}

static enum ym_code get_task(struct ym_store *s, const char *study, enum ym_store_task task, struct ym_buf *leaf,
                             struct ym_status *st)
{
    struct run r = open_run(s, Q_GET_TASK);
    enum ym_code fill = YM_OK;
    bool found;

    bind_text(&r, study);
    bind_int(&r, task);
    found = next_row(&r);
    if (found)
        fill = column_buf(&r, 0, leaf);
    return end_get(&r, found, fill, "task", st);
}

static void bind_upload_key(struct run *r, const struct ym_store_upload *u)
{
    bind_text(r, u->study);
    bind_text(r, u->site);
    bind_int(r, u->round);
    bind_int(r, u->attempt);
}

static enum ym_code put_upload(struct ym_store *s, const struct ym_store_upload *u, struct ym_bytes charge,
                               struct ym_bytes release, struct ym_status *st)
{
    struct run r = open_run(s, Q_PUT_UPLOAD);

    bind_upload_key(&r, u);
    bind_int(&r, u->complete);
    bind_optional(&r, charge);
    bind_optional(&r, release);
    return run_write(&r, st);
}

static enum ym_code get_upload(struct ym_store *s, struct ym_store_upload *u, struct ym_buf *charge,
                               struct ym_buf *release, struct ym_status *st)
{
    struct run r = open_run(s, Q_GET_UPLOAD);
    enum ym_code fill = YM_OK;
    bool found, complete = false;

    bind_upload_key(&r, u);
    found = next_row(&r);
    if (found) {
        complete = sqlite3_column_int(r.q, 0) != 0;
        fill = column_buf(&r, 1, charge);
        if (fill == YM_OK)
            fill = column_buf(&r, 2, release);
    }
    fill = end_get(&r, found, fill, "upload", st);
    if (fill == YM_OK)
        u->complete = complete;
    return fill;
}

/* ---- objects ---- */

static enum ym_code put_object(struct ym_store *s, const uint8_t hash[YM_HASH_BYTES], const char *study,
                               enum ym_store_object kind, struct ym_status *st)
{
    struct run r = open_run(s, Q_PUT_OBJECT);

    bind_blob(&r, hash, YM_HASH_BYTES);
    bind_text(&r, study);
    bind_int(&r, kind);
    return run_write(&r, st);
}

static enum ym_code each_owner(struct ym_store *s, const uint8_t hash[YM_HASH_BYTES],
                               void (*fn)(void *ctx, const char *study), void *ctx, struct ym_status *st)
{
    struct run r = open_run(s, Q_EACH_OWNER);
    char study[64];

    bind_blob(&r, hash, YM_HASH_BYTES);
    while (next_row(&r)) {
        column_text(&r, 0, study, sizeof study);
        fn(ctx, study);
    }
    return end_run(&r, st);
}

/* ---- the outbox ---- */

static enum ym_code put_leaf(struct ym_store *s, struct ym_bytes leaf, struct ym_status *st)
{
    struct run r = open_run(s, Q_PUT_LEAF);
    uint8_t id[YM_HASH_BYTES];

    ym_sha256(leaf.data, leaf.len, id);
    bind_blob(&r, id, sizeof id);
    bind_blob(&r, leaf.data, leaf.len);
    return run_write(&r, st);
}

static enum ym_code count_leaves(struct ym_store *s, uint64_t *out, struct ym_status *st)
{
    struct run r = open_run(s, Q_COUNT_LEAVES);

    if (next_row(&r))
        *out = (uint64_t)sqlite3_column_int64(r.q, 0);
    return end_run(&r, st);
}

static enum ym_code each_leaf(struct ym_store *s, uint64_t from, uint64_t limit,
                              bool (*fn)(void *ctx, uint64_t index, struct ym_bytes leaf), void *ctx,
                              struct ym_status *st)
{
    struct run r = open_run(s, Q_EACH_LEAF);

    bind_int(&r, (int64_t)from);
    bind_int(&r, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    while (next_row(&r))
        if (!fn(ctx, (uint64_t)sqlite3_column_int64(r.q, 0), column_bytes(&r, 1)))
            break;
    return end_run(&r, st);
}

/* ---- commands ---- */

static enum ym_code put_command(struct ym_store *s, enum ym_store_command kind, const char *name, struct ym_status *st)
{
    struct run r = open_run(s, Q_PUT_COMMAND);

    bind_int(&r, kind);
    bind_text(&r, name);
    return run_write(&r, st);
}

static enum ym_code next_command(struct ym_store *s, uint64_t *id, enum ym_store_command *kind, char name[64],
                                 struct ym_status *st)
{
    struct run r = open_run(s, Q_NEXT_COMMAND);
    bool found = next_row(&r);

    if (found) {
        *id = (uint64_t)sqlite3_column_int64(r.q, 0);
        *kind = (enum ym_store_command)sqlite3_column_int(r.q, 1);
        column_text(&r, 2, name, 64);
    }
    return end_get(&r, found, YM_OK, "command", st);
}

static enum ym_code drop_command(struct ym_store *s, uint64_t id, struct ym_status *st)
{
    struct run r = open_run(s, Q_DROP_COMMAND);

    bind_int(&r, (int64_t)id);
    return run_write(&r, st);
}

/* ---- opening ---- */

static void do_close(struct ym_store *s)
{
    struct sqlite_store *q = self(s);

    do_abort(s);
    for (size_t i = 0; i < Q_COUNT; i++)
        sqlite3_finalize(q->stmt[i]);
    sqlite3_close(q->db);
    free(q);
}

static const struct ym_store_ops sqlite_ops = {
    .close = do_close,
    .begin = do_begin,
    .commit = do_commit,
    .abort = do_abort,
    .generation = do_generation,
    .put_party = put_party,
    .get_party = get_party,
    .each_party = each_party,
    .revoke_party = revoke_party,
    .put_cert = put_cert,
    .get_cert_pem = get_cert_pem,
    .each_cert = each_cert,
    .drop_certs = drop_certs,
    .put_token = put_token,
    .get_token = get_token,
    .fail_token = fail_token,
    .use_token = use_token,
    .put_study = put_study,
    .set_study = set_study,
    .get_study = get_study,
    .each_study = each_study,
    .put_card = put_card,
    .each_card = each_card,
    .put_task = put_task,
    .get_task = get_task,
    .put_upload = put_upload,
    .get_upload = get_upload,
    .put_object = put_object,
    .each_owner = each_owner,
    .put_leaf = put_leaf,
    .count_leaves = count_leaves,
    .each_leaf = each_leaf,
    .put_command = put_command,
    .next_command = next_command,
    .drop_command = drop_command,
};

static enum ym_code exec(sqlite3 *db, const char *text, struct ym_status *st)
{
    int rc = sqlite3_exec(db, text, NULL, NULL, NULL);

    return rc == SQLITE_OK ? YM_OK : failed(db, rc, text, st);
}

static enum ym_code pragma_int(sqlite3 *db, const char *text, int *out, struct ym_status *st)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &q, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return rc == SQLITE_ROW ? YM_OK : failed(db, rc, text, st);
}

static enum ym_code make_schema(sqlite3 *db, struct ym_status *st)
{
    char stamp[128];
    enum ym_code code = exec(db, "BEGIN IMMEDIATE", st);

    snprintf(stamp, sizeof stamp, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", APPLICATION_ID,
             YM_STORE_SCHEMA);
    if (code == YM_OK)
        code = exec(db, schema, st);
    if (code == YM_OK)
        code = exec(db, stamp, st);
    return code;
}

static enum ym_code check_schema(sqlite3 *db, bool create, struct ym_status *st)
{
    int application = 0, version = 0;
    enum ym_code code = pragma_int(db, "PRAGMA application_id", &application, st);

    if (code == YM_OK)
        code = pragma_int(db, "PRAGMA user_version", &version, st);
    if (code != YM_OK)
        return code;
    if (application == 0 && version == 0 && create)
        return make_schema(db, st);
    if (application != APPLICATION_ID)
        return ym_status_set(st, YM_CORRUPT, "store: the file is not a hub's store");
    if (version != YM_STORE_SCHEMA)
        return ym_status_set(st, YM_CORRUPT, "store: schema %d, this program knows %d", version, YM_STORE_SCHEMA);
    return YM_OK;
}

static enum ym_code prepare_db(struct sqlite_store *q, bool create, struct ym_status *st)
{
    enum ym_code code;

    sqlite3_extended_result_codes(q->db, 1);
    sqlite3_busy_timeout(q->db, BUSY_MS);
    sqlite3_limit(q->db, SQLITE_LIMIT_LENGTH, 4 << 20);
    code = exec(q->db,
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-2048;"
                "PRAGMA trusted_schema=OFF",
                st);
    return code == YM_OK ? check_schema(q->db, create, st) : code;
}

enum ym_code ym_store_open_sqlite(const char *dir, bool create, struct ym_store **out, struct ym_status *st)
{
    char path[4096];
    struct sqlite_store *q = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0), rc, fd;
    enum ym_code code = ym_fs_join(path, sizeof path, dir, "store.db");

    if (code != YM_OK)
        return ym_status_set(st, code, "the folder's path is too long");
    if (!create && !ym_fs_exists(path))
        return ym_status_set(st, YM_NOT_FOUND, "no store at '%s'", path);
    fd = create ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1; /* SQLite's own default lets others read */
    if (fd >= 0)
        close(fd);
    q = calloc(1, sizeof *q);
    if (!q)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory while opening the store");
    q->store.ops = &sqlite_ops;
    rc = sqlite3_open_v2(path, &q->db, flags, NULL);
    code = rc == SQLITE_OK ? prepare_db(q, create, st) : failed(q->db, rc, path, st);
    if (code != YM_OK) {
        sqlite3_close(q->db);
        free(q);
        return code;
    }
    *out = &q->store;
    return YM_OK;
}
