#ifndef YM_COORDINATOR_STORE_SQLITE_INTERNAL_H
#define YM_COORDINATOR_STORE_SQLITE_INTERNAL_H

#include <sqlite3.h>

#include "coordinator/store/store.h"

/* Within store/ only: statements of the SQLite store (sqlite_statement.c) and
 * the operations in terms of them (sqlite_parties.c, sqlite_studies.c). */

enum query {
    Q_PUT_PARTY,
    Q_GET_PARTY,
    Q_EACH_PARTY,
    Q_REVOKE_PARTY,
    Q_PUT_CERT,
    Q_GET_CERT,
    Q_TRIM_CERTS,
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
    Q_HAS_LEAF,
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

struct sqlite_store {
    struct ym_store store;
    sqlite3 *db;
    sqlite3_stmt *stmt[Q_COUNT];
};

/* One prepared statement: opened, bound, stepped, ended. Errors wait in rc
 * until the end, so that a chain of binds needs no checks. */
struct run {
    struct sqlite_store *s;
    sqlite3_stmt *q;
    enum query id;
    int at; /* next parameter */
    int rc;
};

struct sqlite_store *ym_sql_self(struct ym_store *s);
enum ym_code ym_sql_failed(sqlite3 *db, int rc, const char *what, struct ym_status *st);
struct run ym_sql_open_run(struct ym_store *s, enum query id);
void ym_sql_bind_int(struct run *r, int64_t v);
void ym_sql_bind_text(struct run *r, const char *v);
void ym_sql_bind_blob(struct run *r, const void *data, size_t len);
void ym_sql_bind_optional(struct run *r, struct ym_bytes b);
bool ym_sql_next_row(struct run *r);
enum ym_code ym_sql_end_run(struct run *r, struct ym_status *st);
enum ym_code ym_sql_run_write(struct run *r, struct ym_status *st);
enum ym_code ym_sql_run_one(struct run *r, enum ym_code none, const char *what, struct ym_status *st);
void ym_sql_column_text(struct run *r, int i, char *out, size_t cap);
bool ym_sql_column_fixed(struct run *r, int i, void *out, size_t len);
struct ym_bytes ym_sql_column_bytes(struct run *r, int i);
enum ym_code ym_sql_column_buf(struct run *r, int i, struct ym_buf *out);
enum ym_code ym_sql_corrupt_row(const char *table, struct ym_status *st);
enum ym_code ym_sql_end_get(struct run *r, bool found, enum ym_code fill, const char *what, struct ym_status *st);

enum ym_code ym_sql_put_party(struct ym_store *s, const struct ym_store_party *p, struct ym_bytes enrol_leaf,
                              struct ym_status *st);
enum ym_code ym_sql_get_party(struct ym_store *s, const char *name, struct ym_store_party *p, struct ym_buf *enrol_leaf,
                              struct ym_status *st);
enum ym_code ym_sql_each_party(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_party *p), void *ctx,
                               struct ym_status *st);
enum ym_code ym_sql_revoke_party(struct ym_store *s, const char *name, struct ym_status *st);
enum ym_code ym_sql_put_cert(struct ym_store *s, const struct ym_store_cert *c, struct ym_bytes pem,
                             struct ym_status *st);
enum ym_code ym_sql_get_cert_pem(struct ym_store *s, const uint8_t spki[YM_HASH_BYTES], struct ym_buf *pem,
                                 struct ym_status *st);
enum ym_code ym_sql_each_cert(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_cert *c), void *ctx,
                              struct ym_status *st);
enum ym_code ym_sql_drop_certs(struct ym_store *s, int64_t expired_before_s, struct ym_status *st);
enum ym_code ym_sql_put_token(struct ym_store *s, const struct ym_store_token *t, struct ym_status *st);
enum ym_code ym_sql_get_token(struct ym_store *s, const uint8_t id[8], struct ym_store_token *t, struct ym_status *st);
enum ym_code ym_sql_fail_token(struct ym_store *s, const uint8_t id[8], struct ym_status *st);
enum ym_code ym_sql_use_token(struct ym_store *s, const uint8_t id[8], const uint8_t spki[YM_HASH_BYTES],
                              struct ym_status *st);
enum ym_code ym_sql_put_study(struct ym_store *s, const struct ym_store_study *y, struct ym_bytes plan_leaf,
                              struct ym_bytes kept, struct ym_status *st);
enum ym_code ym_sql_set_study(struct ym_store *s, const struct ym_store_study *y, struct ym_bytes kept,
                              struct ym_status *st);
enum ym_code ym_sql_get_study(struct ym_store *s, const char *study, struct ym_store_study *y, struct ym_buf *plan_leaf,
                              struct ym_buf *kept, struct ym_status *st);
enum ym_code ym_sql_each_study(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_study *y), void *ctx,
                               struct ym_status *st);
enum ym_code ym_sql_put_card(struct ym_store *s, const char *site, const char *dataset, struct ym_bytes leaf,
                             struct ym_status *st);
enum ym_code ym_sql_each_card(struct ym_store *s,
                              void (*fn)(void *ctx, const char *site, const char *dataset, struct ym_bytes leaf),
                              void *ctx, struct ym_status *st);
enum ym_code ym_sql_put_task(struct ym_store *s, const char *study, enum ym_store_task task, struct ym_bytes leaf,
                             struct ym_status *st);
enum ym_code ym_sql_get_task(struct ym_store *s, const char *study, enum ym_store_task task, struct ym_buf *leaf,
                             struct ym_status *st);
enum ym_code ym_sql_put_upload(struct ym_store *s, const struct ym_store_upload *u, struct ym_bytes charge,
                               struct ym_bytes release, struct ym_status *st);
enum ym_code ym_sql_get_upload(struct ym_store *s, struct ym_store_upload *u, struct ym_buf *charge,
                               struct ym_buf *release, struct ym_status *st);
enum ym_code ym_sql_put_object(struct ym_store *s, const uint8_t hash[YM_HASH_BYTES], const char *study,
                               enum ym_store_object kind, struct ym_status *st);
enum ym_code ym_sql_each_owner(struct ym_store *s, const uint8_t hash[YM_HASH_BYTES],
                               void (*fn)(void *ctx, const char *study, enum ym_store_object kind), void *ctx,
                               struct ym_status *st);
enum ym_code ym_sql_put_leaf(struct ym_store *s, struct ym_bytes leaf, struct ym_status *st);
enum ym_code ym_sql_has_leaf(struct ym_store *s, struct ym_bytes leaf, bool *out, struct ym_status *st);
enum ym_code ym_sql_count_leaves(struct ym_store *s, uint64_t *out, struct ym_status *st);
enum ym_code ym_sql_each_leaf(struct ym_store *s, uint64_t from, uint64_t limit,
                              bool (*fn)(void *ctx, uint64_t index, struct ym_bytes leaf), void *ctx,
                              struct ym_status *st);
enum ym_code ym_sql_put_command(struct ym_store *s, enum ym_store_command kind, const char *name, struct ym_status *st);
enum ym_code ym_sql_next_command(struct ym_store *s, uint64_t *id, enum ym_store_command *kind, char name[64],
                                 struct ym_status *st);
enum ym_code ym_sql_drop_command(struct ym_store *s, uint64_t id, struct ym_status *st);

#endif
