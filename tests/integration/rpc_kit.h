#ifndef YM_TEST_RPC_KIT_H
#define YM_TEST_RPC_KIT_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cert.h"
#include "base/clock.h"
#include "base/fs.h"
#include "rpc/rpc.h"

/* A federation's certificates for tests of rpc/: one CA, whoever is asked for. */

#define KIT_DAY 86400

struct kit_ca {
    struct ym_buf key, cert;
};

struct kit_id {
    struct ym_buf key, cert;
};

#define KIT_OK(x) YM_ASSERT((x) == YM_OK)

static inline struct ym_bytes kit_bytes(const struct ym_buf *b)
{
    return (struct ym_bytes){b->data, b->len};
}

static inline void kit_ca_init(struct kit_ca *ca, const char *federation)
{
    *ca = (struct kit_ca){0};
    KIT_OK(ym_tls_key_generate(&ca->key, NULL));
    KIT_OK(ym_ca_create(federation, kit_bytes(&ca->key), ym_clock_unix(), 30, &ca->cert, NULL));
}

static inline void kit_ca_release(struct kit_ca *ca)
{
    ym_buf_wipe(&ca->key);
    ym_buf_release(&ca->cert);
}

/* Valid from `from` to `until`, unix seconds. */
static inline void kit_id_dated(struct kit_id *id, struct kit_ca *ca, enum ym_role role, const char *name, int64_t from,
                                int64_t until)
{
    static const char *const dns[] = {"127.0.0.1", "localhost", NULL};
    struct ym_party who = {.federation = "demo", .role = role};
    struct ym_buf self = {0};

    *id = (struct kit_id){0};
    snprintf(who.name, sizeof who.name, "%s", name);
    KIT_OK(ym_tls_key_generate(&id->key, NULL));
    KIT_OK(ym_cert_self(kit_bytes(&id->key), from, &self, NULL));
    KIT_OK(ym_cert_issue(kit_bytes(&ca->key), kit_bytes(&ca->cert), kit_bytes(&self), &who,
                         role == YM_ROLE_HUB || strcmp(name, "impostor") == 0 ? dns : NULL, from, until, &id->cert,
                         NULL));
    ym_buf_release(&self);
}

static inline void kit_id_init(struct kit_id *id, struct kit_ca *ca, enum ym_role role, const char *name)
{
    kit_id_dated(id, ca, role, name, ym_clock_unix(), ym_clock_unix() + 7 * KIT_DAY);
}

static inline void kit_id_release(struct kit_id *id)
{
    ym_buf_wipe(&id->key);
    ym_buf_release(&id->cert);
}

static inline struct ym_rpc_tls kit_tls(const struct kit_ca *ca, const struct kit_id *id)
{
    return (struct ym_rpc_tls){kit_bytes(&ca->cert), kit_bytes(&id->cert), kit_bytes(&id->key)};
}

static inline struct ym_rpc_client *kit_client(int port, const struct ym_rpc_tls *tls)
{
    struct ym_rpc_client *c = NULL;
    char target[64];

    snprintf(target, sizeof target, "127.0.0.1:%d", port);
    struct ym_rpc_client_options o = {.target = target, .tls = *tls, .connect_ms = 500};
    KIT_OK(ym_rpc_client_open(&o, &c, NULL));
    return c;
}

static inline void kit_save(const char *dir, const char *name, const struct ym_buf *b)
{
    char path[512];
    KIT_OK(ym_fs_join(path, sizeof path, dir, name));
    KIT_OK(ym_fs_write(path, kit_bytes(b), 0600, NULL));
}

static inline void kit_load(const char *dir, const char *name, struct ym_buf *b)
{
    char path[512];
    KIT_OK(ym_fs_join(path, sizeof path, dir, name));
    KIT_OK(ym_fs_read(path, 1 << 20, b, NULL));
}

#endif
