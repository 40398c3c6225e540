#ifndef YM_COORDINATOR_STORE_H
#define YM_COORDINATOR_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cert.h"
#include "base/crypto.h"

/* What the hub must not forget, behind a table of functions that speaks the
 * domain: SQLite now (store_sqlite.c), PostgreSQL later; tests/conformance/
 * test_store.c is run on every one.
 *
 * All writes happen between begin and commit, and are durable when commit
 * returns YM_OK; abort, or a failed commit, leaves nothing. Reads work inside
 * and outside. One object is used by one thread; a second process may open the
 * same store for a short write (token, revoke, resume): begin waits up to 5 s
 * for the other's transaction, then YM_UNAVAILABLE. Disk full is YM_EXHAUSTED.
 * Texts given out live in the caller's structs or bufs. */

#define YM_STORE_SCHEMA 1
#define YM_STORE_CERTS_OF_ONE 16 /* certificates kept of one party, the newest */

struct ym_store_party {
    char name[64];
    enum ym_role role;
    uint8_t identity_key[YM_PUBKEY_BYTES];
    int64_t enrolled_s;
    bool revoked;
};

struct ym_store_cert { /* one TLS certificate that was issued and may still be in use */
    uint8_t fingerprint[YM_HASH_BYTES], spki[YM_HASH_BYTES];
    char party[64];
    int64_t not_after_s;
};

struct ym_store_token {
    uint8_t id[8], secret_hash[YM_HASH_BYTES];
    enum ym_role role;
    char name[64]; /* "": any */
    int64_t expires_s;
    uint32_t failures;
    bool used;
    uint8_t spki[YM_HASH_BYTES]; /* of who used it */
};

struct ym_store_study {
    char study[64], sponsor[64];
    uint8_t plan[YM_HASH_BYTES];
    uint32_t phase, round, attempt; /* as in the kept state, for lists */
    int64_t created_s, changed_s;
};

/* The newest leaves of a study that are sent as tasks. */
enum ym_store_task { YM_STORE_TASK_OPEN = 1, YM_STORE_TASK_COLLECT = 2, YM_STORE_TASK_CLOSED = 3 };

struct ym_store_upload {
    char study[64], site[64];
    uint32_t round, attempt;
    bool complete; /* the spool file is whole and checked */
};

enum ym_store_object { YM_STORE_PLAN = 1, YM_STORE_STATE = 2, YM_STORE_SUM = 3, YM_STORE_START = 4 };

enum ym_store_command { YM_STORE_REVOKE = 1, YM_STORE_RESUME = 2 };

struct ym_store;
struct ym_store_ops {
    void (*close)(struct ym_store *s);
    enum ym_code (*begin)(struct ym_store *s, struct ym_status *st);
    enum ym_code (*commit)(struct ym_store *s, struct ym_status *st);
    void (*abort)(struct ym_store *s);
    /* Changes whenever another process committed. */
    enum ym_code (*generation)(struct ym_store *s, uint64_t *out, struct ym_status *st);

    /* parties and their certificates; who is revoked stays so, whatever is put */
    enum ym_code (*put_party)(struct ym_store *s, const struct ym_store_party *p, struct ym_bytes enrol_leaf,
                              struct ym_status *st);
    enum ym_code (*get_party)(struct ym_store *s, const char *name, struct ym_store_party *p, struct ym_buf *enrol_leaf,
                              struct ym_status *st);
    enum ym_code (*each_party)(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_party *p), void *ctx,
                               struct ym_status *st);
    enum ym_code (*revoke_party)(struct ym_store *s, const char *name,
                                 struct ym_status *st); /* NOT_FOUND; CONFLICT when revoked already */
    enum ym_code (*put_cert)(struct ym_store *s, const struct ym_store_cert *c, struct ym_bytes pem,
                             struct ym_status *st); /* and drop the party's oldest past YM_STORE_CERTS_OF_ONE */
    enum ym_code (*get_cert_pem)(struct ym_store *s, const uint8_t spki[YM_HASH_BYTES], struct ym_buf *pem,
                                 struct ym_status *st); /* newest */
    enum ym_code (*each_cert)(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_cert *c), void *ctx,
                              struct ym_status *st);
    enum ym_code (*drop_certs)(struct ym_store *s, int64_t expired_before_s, struct ym_status *st);

    /* enrolment tokens */
    enum ym_code (*put_token)(struct ym_store *s, const struct ym_store_token *t,
                              struct ym_status *st); /* CONFLICT: the id exists */
    enum ym_code (*get_token)(struct ym_store *s, const uint8_t id[8], struct ym_store_token *t, struct ym_status *st);
    enum ym_code (*fail_token)(struct ym_store *s, const uint8_t id[8], struct ym_status *st);
    enum ym_code (*use_token)(struct ym_store *s, const uint8_t id[8], const uint8_t spki[YM_HASH_BYTES],
                              struct ym_status *st); /* CONFLICT: used */

    /* studies: kept is ym_round_save's bytes */
    enum ym_code (*put_study)(struct ym_store *s, const struct ym_store_study *y, struct ym_bytes plan_leaf,
                              struct ym_bytes kept, struct ym_status *st); /* CONFLICT: the name exists */
    enum ym_code (*set_study)(struct ym_store *s, const struct ym_store_study *y, struct ym_bytes kept,
                              struct ym_status *st);
    enum ym_code (*get_study)(struct ym_store *s, const char *study, struct ym_store_study *y, struct ym_buf *plan_leaf,
                              struct ym_buf *kept, struct ym_status *st);
    enum ym_code (*each_study)(struct ym_store *s, void (*fn)(void *ctx, const struct ym_store_study *y), void *ctx,
                               struct ym_status *st); /* oldest first */

    /* what hospitals published about their data; the newest per (site, data set) */
    enum ym_code (*put_card)(struct ym_store *s, const char *site, const char *dataset, struct ym_bytes leaf,
                             struct ym_status *st);
    enum ym_code (*each_card)(struct ym_store *s,
                              void (*fn)(void *ctx, const char *site, const char *dataset, struct ym_bytes leaf),
                              void *ctx, struct ym_status *st);

    /* attempts and uploads */
    enum ym_code (*put_task)(struct ym_store *s, const char *study, enum ym_store_task task, struct ym_bytes leaf,
                             struct ym_status *st);
    enum ym_code (*get_task)(struct ym_store *s, const char *study, enum ym_store_task task, struct ym_buf *leaf,
                             struct ym_status *st);
    /* charge and release leaf of a site in an attempt; an empty one keeps what is there */
    enum ym_code (*put_upload)(struct ym_store *s, const struct ym_store_upload *u, struct ym_bytes charge,
                               struct ym_bytes release, struct ym_status *st);
    enum ym_code (*get_upload)(struct ym_store *s, struct ym_store_upload *u, struct ym_buf *charge,
                               struct ym_buf *release, struct ym_status *st);

    /* objects: which study a hash belongs to, for who may see it */
    enum ym_code (*put_object)(struct ym_store *s, const uint8_t hash[YM_HASH_BYTES], const char *study,
                               enum ym_store_object kind, struct ym_status *st);
    enum ym_code (*each_owner)(struct ym_store *s, const uint8_t hash[YM_HASH_BYTES],
                               void (*fn)(void *ctx, const char *study, enum ym_store_object kind), void *ctx,
                               struct ym_status *st);

    /* the outbox of the ledger: leaf n of the log is row n, from 0. Bytes that
     * are there already are not put twice. */
    enum ym_code (*put_leaf)(struct ym_store *s, struct ym_bytes leaf, struct ym_status *st);
    enum ym_code (*has_leaf)(struct ym_store *s, struct ym_bytes leaf, bool *out, struct ym_status *st);
    enum ym_code (*count_leaves)(struct ym_store *s, uint64_t *out, struct ym_status *st);
    enum ym_code (*each_leaf)(struct ym_store *s, uint64_t from, uint64_t limit,
                              bool (*fn)(void *ctx, uint64_t index, struct ym_bytes leaf), void *ctx,
                              struct ym_status *st);

    /* what another process asks of the one that serves */
    enum ym_code (*put_command)(struct ym_store *s, enum ym_store_command kind, const char *name, struct ym_status *st);
    enum ym_code (*next_command)(struct ym_store *s, uint64_t *id, enum ym_store_command *kind, char name[64],
                                 struct ym_status *st); /* NOT_FOUND: none */
    enum ym_code (*drop_command)(struct ym_store *s, uint64_t id, struct ym_status *st);
};

struct ym_store {
    const struct ym_store_ops *ops;
};

static inline void ym_store_close(struct ym_store **s)
{
    if (*s)
        (*s)->ops->close(*s);
    *s = NULL;
}

/* <dir>/store.db. create: make it when absent, else absent is NOT_FOUND.
 * A newer or foreign schema, or a damaged file: YM_CORRUPT, nothing is changed. */
enum ym_code ym_store_open_sqlite(const char *dir, bool create, struct ym_store **out, struct ym_status *st);

#endif
