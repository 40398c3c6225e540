#include "coordinator/store/sqlite_internal.h"

#include <stdio.h>
#include <string.h>

static const char *const sql[Q_COUNT] = {
    [Q_PUT_PARTY] =
        "INSERT INTO parties(name, role, identity_key, enrolled, revoked, enrol_leaf) VALUES(?,?,?,?,?,?) "
        "ON CONFLICT(name) DO UPDATE SET role=excluded.role, identity_key=excluded.identity_key, "
        "enrolled=excluded.enrolled, revoked=max(revoked, excluded.revoked), enrol_leaf=excluded.enrol_leaf",
    [Q_GET_PARTY] = "SELECT name, role, identity_key, enrolled, revoked, enrol_leaf FROM parties WHERE name=?",
    [Q_EACH_PARTY] = "SELECT name, role, identity_key, enrolled, revoked FROM parties ORDER BY name",
    [Q_REVOKE_PARTY] = "UPDATE parties SET revoked=1 WHERE name=? AND revoked=0",
    [Q_PUT_CERT] = "INSERT OR REPLACE INTO certs(fingerprint, spki, party, not_after, pem) VALUES(?,?,?,?,?)",
    [Q_GET_CERT] = "SELECT pem FROM certs WHERE spki=? ORDER BY not_after DESC LIMIT 1",
    [Q_TRIM_CERTS] = "DELETE FROM certs WHERE party=?1 AND rowid NOT IN "
                     "(SELECT rowid FROM certs WHERE party=?1 ORDER BY rowid DESC LIMIT ?2)",
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
    [Q_EACH_OWNER] = "SELECT study, kind FROM objects WHERE hash=?",
    [Q_PUT_LEAF] = "INSERT INTO leaves(seq, id, leaf) SELECT coalesce((SELECT max(seq)+1 FROM leaves), 0), ?1, ?2 "
                   "WHERE NOT EXISTS (SELECT 1 FROM leaves WHERE id=?1)",
    [Q_HAS_LEAF] = "SELECT 1 FROM leaves WHERE id=?",
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

struct sqlite_store *ym_sql_self(struct ym_store *s)
{
    return (struct sqlite_store *)s;
}

enum ym_code ym_sql_failed(sqlite3 *db, int rc, const char *what, struct ym_status *st)
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

struct run ym_sql_open_run(struct ym_store *s, enum query id)
{
    struct run r = {ym_sql_self(s), NULL, id, 1, SQLITE_OK};

    if (!r.s->stmt[id])
        r.rc = sqlite3_prepare_v3(r.s->db, sql[id], -1, SQLITE_PREPARE_PERSISTENT, &r.s->stmt[id], NULL);
    r.q = r.s->stmt[id];
    return r;
}

void ym_sql_bind_int(struct run *r, int64_t v)
{
    if (r->rc == SQLITE_OK)
        r->rc = sqlite3_bind_int64(r->q, r->at++, v);
}

void ym_sql_bind_text(struct run *r, const char *v)
{
    if (r->rc == SQLITE_OK)
        r->rc = sqlite3_bind_text(r->q, r->at++, v, -1, SQLITE_STATIC);
}

void ym_sql_bind_blob(struct run *r, const void *data, size_t len)
{
    if (r->rc == SQLITE_OK)
        r->rc = sqlite3_bind_blob64(r->q, r->at++, len ? data : "", len, SQLITE_STATIC);
}

void ym_sql_bind_optional(struct run *r, struct ym_bytes b)
{
    if (b.len)
        ym_sql_bind_blob(r, b.data, b.len);
    else if (r->rc == SQLITE_OK)
        r->rc = sqlite3_bind_null(r->q, r->at++);
}

/* True while there are rows. */
bool ym_sql_next_row(struct run *r)
{
    if (r->rc != SQLITE_OK && r->rc != SQLITE_ROW)
        return false;
    r->rc = sqlite3_step(r->q);
    return r->rc == SQLITE_ROW;
}

enum ym_code ym_sql_end_run(struct run *r, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    if (r->rc != SQLITE_OK && r->rc != SQLITE_ROW && r->rc != SQLITE_DONE)
        code = ym_sql_failed(r->s->db, r->rc, sql[r->id], st);
    if (r->q) {
        sqlite3_reset(r->q);
        sqlite3_clear_bindings(r->q);
    }
    return code;
}

enum ym_code ym_sql_run_write(struct run *r, struct ym_status *st)
{
    ym_sql_next_row(r);
    return ym_sql_end_run(r, st);
}

/* A write that must hit one row. */
enum ym_code ym_sql_run_one(struct run *r, enum ym_code none, const char *what, struct ym_status *st)
{
    enum ym_code code;

    ym_sql_next_row(r);
    code = ym_sql_end_run(r, st);
    if (code == YM_OK && sqlite3_changes(r->s->db) != 1)
        code = ym_status_set(st, none, "%s", what);
    return code;
}

void ym_sql_column_text(struct run *r, int i, char *out, size_t cap)
{
    const unsigned char *t = sqlite3_column_text(r->q, i);

    snprintf(out, cap, "%s", t ? (const char *)t : "");
}

bool ym_sql_column_fixed(struct run *r, int i, void *out, size_t len)
{
    const void *b = sqlite3_column_blob(r->q, i);

    if (!b || (size_t)sqlite3_column_bytes(r->q, i) != len)
        return false;
    memcpy(out, b, len);
    return true;
}

struct ym_bytes ym_sql_column_bytes(struct run *r, int i)
{
    const void *b = sqlite3_column_blob(r->q, i);

    return (struct ym_bytes){b, b ? (size_t)sqlite3_column_bytes(r->q, i) : 0};
}

enum ym_code ym_sql_column_buf(struct run *r, int i, struct ym_buf *out)
{
    struct ym_bytes b = ym_sql_column_bytes(r, i);

    if (!out)
        return YM_OK;
    ym_buf_clear(out);
    return ym_buf_append(out, b.data, b.len);
}

enum ym_code ym_sql_corrupt_row(const char *table, struct ym_status *st)
{
    return ym_status_set(st, YM_CORRUPT, "store: a row of '%s' is not what it must be", table);
}

/* End a read of one row: found says whether, fill is what reading its columns gave. */
enum ym_code ym_sql_end_get(struct run *r, bool found, enum ym_code fill, const char *what, struct ym_status *st)
{
    enum ym_code code = ym_sql_end_run(r, st);

    if (code == YM_OK && !found)
        return ym_status_set(st, YM_NOT_FOUND, "no such %s in the store", what);
    if (code == YM_OK && fill == YM_CORRUPT)
        return ym_sql_corrupt_row(what, st);
    if (code == YM_OK && fill != YM_OK)
        return ym_status_set(st, fill, "out of memory while reading a %s", what);
    return code;
}
