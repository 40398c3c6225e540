#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "coordinator/store/sqlite_internal.h"

/* WAL with synchronous=FULL: a commit is on the disk when it returns, readers
 * do not wait, and a second process may write between our transactions. */

#define BUSY_MS 5000
#define APPLICATION_ID 0x594d4855 /* "YMHU" */

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

/* ---- transactions ---- */

static enum ym_code do_begin(struct ym_store *s, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_BEGIN);

    return ym_sql_run_write(&r, st);
}

static void do_abort(struct ym_store *s)
{
    struct run r = ym_sql_open_run(s, Q_ROLLBACK);

    if (!sqlite3_get_autocommit(ym_sql_self(s)->db))
        ym_sql_run_write(&r, NULL);
}

static enum ym_code do_commit(struct ym_store *s, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_COMMIT);
    enum ym_code code = ym_sql_run_write(&r, st);

    if (code != YM_OK)
        do_abort(s);
    return code;
}

static enum ym_code do_generation(struct ym_store *s, uint64_t *out, struct ym_status *st)
{
    struct run r = ym_sql_open_run(s, Q_GENERATION);

    if (ym_sql_next_row(&r))
        *out = (uint64_t)sqlite3_column_int64(r.q, 0);
    return ym_sql_end_run(&r, st);
}

/* ---- opening ---- */

static void do_close(struct ym_store *s)
{
    struct sqlite_store *q = ym_sql_self(s);

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
    .put_party = ym_sql_put_party,
    .get_party = ym_sql_get_party,
    .each_party = ym_sql_each_party,
    .revoke_party = ym_sql_revoke_party,
    .put_cert = ym_sql_put_cert,
    .get_cert_pem = ym_sql_get_cert_pem,
    .each_cert = ym_sql_each_cert,
    .drop_certs = ym_sql_drop_certs,
    .put_token = ym_sql_put_token,
    .get_token = ym_sql_get_token,
    .fail_token = ym_sql_fail_token,
    .use_token = ym_sql_use_token,
    .put_study = ym_sql_put_study,
    .set_study = ym_sql_set_study,
    .get_study = ym_sql_get_study,
    .each_study = ym_sql_each_study,
    .put_card = ym_sql_put_card,
    .each_card = ym_sql_each_card,
    .put_task = ym_sql_put_task,
    .get_task = ym_sql_get_task,
    .put_upload = ym_sql_put_upload,
    .get_upload = ym_sql_get_upload,
    .put_object = ym_sql_put_object,
    .each_owner = ym_sql_each_owner,
    .put_leaf = ym_sql_put_leaf,
    .has_leaf = ym_sql_has_leaf,
    .count_leaves = ym_sql_count_leaves,
    .each_leaf = ym_sql_each_leaf,
    .put_command = ym_sql_put_command,
    .next_command = ym_sql_next_command,
    .drop_command = ym_sql_drop_command,
};

static enum ym_code exec(sqlite3 *db, const char *text, struct ym_status *st)
{
    int rc = sqlite3_exec(db, text, NULL, NULL, NULL);

    return rc == SQLITE_OK ? YM_OK : ym_sql_failed(db, rc, text, st);
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
    return rc == SQLITE_ROW ? YM_OK : ym_sql_failed(db, rc, text, st);
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
    code = rc == SQLITE_OK ? prepare_db(q, create, st) : ym_sql_failed(q->db, rc, path, st);
    if (code != YM_OK) {
        sqlite3_close(q->db);
        free(q);
        return code;
    }
    *out = &q->store;
    return YM_OK;
}
