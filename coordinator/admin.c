#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/rng.h"
#include "coordinator/hub_internal.h"

/* What `yumen-coordinator` does besides serving: make a hub, and short visits to
 * the store while another process serves. */

#define CA_DAYS 3650
#define LISTEN_DEFAULT "0.0.0.0:7443"

static enum ym_code join(const char *dir, const char *name, char out[4096], struct ym_status *st)
{
    enum ym_code code = ym_fs_join(out, 4096, dir, name);

    return code == YM_OK ? code : ym_status_set(st, code, "the folder's path is too long");
}

static enum ym_code put_file(const char *dir, const char *name, const struct ym_buf *b, struct ym_status *st)
{
    char path[4096];
    enum ym_code code = join(dir, name, path, st);

    return code == YM_OK ? ym_fs_write(path, ym_buf_bytes(b), 0644, st) : code;
}

/* ---- init ---- */

/* main port + 1, a free one beside a free one */
static enum ym_code enrol_address(const char *listen, char *out, size_t cap, struct ym_status *st)
{
    const char *colon = strrchr(listen, ':');
    long port = colon ? strtol(colon + 1, NULL, 10) : -1;

    if (!colon || port < 0 || port > 65534)
        return ym_status_set(st, YM_INVALID, "'%s' is not host:port; write for example 0.0.0.0:7443", listen);
    snprintf(out, cap, "%.*s:%ld", (int)(colon - listen), listen, port ? port + 1 : 0);
    return YM_OK;
}

static enum ym_code add_name(struct ym_buf *yaml, const char *name)
{
    for (const char *c = name; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-", *c))
            return YM_INVALID;
    return ym_buf_printf(yaml, "  - \"%s\"\n", name);
}

/* What hub.yaml will say; refuses addresses and names before anything is made. */
static enum ym_code config_text(const struct ym_hub_init *o, struct ym_buf *yaml, struct ym_status *st)
{
    char enrol[160], unused[160], host[256] = "";
    const char *listen = o->listen ? o->listen : LISTEN_DEFAULT;
    const char *const usual[] = {"localhost", "127.0.0.1", host};
    enum ym_code code = enrol_address(listen, enrol, sizeof enrol, st);

    if (code == YM_OK && o->enrol_listen)
        code = enrol_address(o->enrol_listen, unused, sizeof unused, st);
    if (code != YM_OK)
        return code;
    gethostname(host, sizeof host - 1);
    ym_buf_printf(yaml, "# yumen-coordinator; docs/hub.md explains every key\nfederation: %s\nlisten: \"%s\"\n",
                  o->federation, listen);
    ym_buf_printf(yaml, "enrol_listen: \"%s\"\nnames:\n", o->enrol_listen ? o->enrol_listen : enrol);
    for (size_t i = 0; code == YM_OK && i < o->name_count; i++)
        code = add_name(yaml, o->name[i]);
    for (size_t i = 0; code == YM_OK && o->name_count == 0 && i < 3; i++)
        if (usual[i][0] && (i < 2 || strcmp(host, "localhost") != 0))
            code = add_name(yaml, usual[i]);
    if (code != YM_OK)
        code = ym_status_set(st, code, "a name of the hub is not a DNS name or an address");
    ym_buf_puts(yaml, "disk:\n  min_free_percent: 5\n  min_free_mib: 64\ncertificate_days: 7\n");
    return code;
}

struct making {
    const struct ym_hub_init *o;
    struct ym_buf config, secret, ca_key, ca_cert, tls_key, identity_cert, genesis;
    struct ym_key *identity;
    struct ym_store *store;
    struct ym_ledger *ledger;
    uint8_t pub[YM_PUBKEY_BYTES];
    char origin[256];
    int64_t now;
};

static enum ym_code make_ca(struct making *m, struct ym_status *st)
{
    char path[4096];
    enum ym_code code = ym_tls_key_generate(&m->ca_key, st);

    if (code == YM_OK)
        code = ym_ca_create(m->o->federation, ym_buf_bytes(&m->ca_key), m->now, CA_DAYS, &m->ca_cert, st);
    if (code == YM_OK)
        code = join(m->o->dir, "ca.key", path, st);
    if (code == YM_OK)
        code = ym_pem_save(path, ym_buf_bytes(&m->ca_key), ym_buf_bytes(&m->secret), st);
    if (code == YM_OK)
        code = put_file(m->o->dir, "ca.pem", &m->ca_cert, st);
    if (code == YM_OK)
        code = ym_tls_key_generate(&m->tls_key, st);
    if (code == YM_OK)
        code = join(m->o->dir, "tls.key", path, st);
    return code == YM_OK ? ym_pem_save(path, ym_buf_bytes(&m->tls_key), ym_buf_bytes(&m->secret), st) : code;
}

static enum ym_code make_identity(struct making *m, struct ym_status *st)
{
    struct ym_party who = {.role = YM_ROLE_HUB, .name = "hub"};
    char path[4096];
    enum ym_code code = ym_key_generate(&m->identity, st);

    snprintf(who.federation, sizeof who.federation, "%s", m->o->federation);
    if (code == YM_OK)
        code = join(m->o->dir, "identity.key", path, st);
    if (code == YM_OK)
        code = ym_key_save(m->identity, path, ym_buf_bytes(&m->secret), st);
    if (code != YM_OK)
        return code;
    ym_key_public(m->identity, m->pub);
    code = ym_cert_identity(ym_buf_bytes(&m->ca_key), ym_buf_bytes(&m->ca_cert), m->pub, &who, m->now,
                            m->now + (int64_t)CA_DAYS * 86400, &m->identity_cert, st);
    return code == YM_OK ? put_file(m->o->dir, "identity.pem", &m->identity_cert, st) : code;
}

static enum ym_code make_genesis(struct making *m, struct ym_status *st)
{
    struct ym_buf key = {0};
    json_t *o = NULL;
    enum ym_code code = ym_base64_encode(m->pub, sizeof m->pub, &key);

    if (code == YM_OK)
        o = json_pack("{s:s, s:s, s:s, s:s}", "role", "hub", "name", "hub", "identity_key", ym_buf_str(&key), "program",
                      "yumen-coordinator " YM_VERSION);
    if (!o)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    if (code == YM_OK)
        code = ym_leaf_sign("genesis", o, "hub", m->now, m->identity, &m->genesis, st);
    json_decref(o);
    ym_buf_release(&key);
    return code;
}

/* The store's row first, then the ledger, as ever. */
static enum ym_code make_log(struct making *m, struct ym_status *st)
{
    char path[4096];
    struct ym_bytes leaf;
    uint64_t first;
    enum ym_code code = make_genesis(m, st);

    leaf = ym_buf_bytes(&m->genesis);
    if (code == YM_OK)
        code = ym_store_open_sqlite(m->o->dir, true, &m->store, st);
    if (code == YM_OK)
        code = m->store->ops->begin(m->store, st);
    if (code == YM_OK)
        code = m->store->ops->put_leaf(m->store, leaf, st);
    if (code == YM_OK)
        code = m->store->ops->commit(m->store, st);
    if (code == YM_OK)
        code = join(m->o->dir, "ledger", path, st);
    if (code == YM_OK)
        code = ym_ledger_open(path, m->origin, m->identity, &m->ledger, st);
    return code == YM_OK ? ym_ledger_append(m->ledger, &leaf, 1, &first, st) : code;
}

static enum ym_code make_folders(const char *dir, struct ym_status *st)
{
    static const char *const sub[] = {"spool", "objects", "ledger"};
    char path[4096];
    enum ym_code code = ym_fs_mkdirs(dir, 0700, st);

    for (size_t i = 0; code == YM_OK && i < 3; i++) {
        code = join(dir, sub[i], path, st);
        if (code == YM_OK)
            code = ym_fs_mkdirs(path, 0700, st);
    }
    return code;
}

static enum ym_code refuse_existing(const char *dir, struct ym_status *st)
{
    char path[4096];
    enum ym_code code = join(dir, "hub.yaml", path, st);

    if (code == YM_OK && ym_fs_exists(path))
        code = ym_status_set(st, YM_CONFLICT, "'%s' holds a hub already; choose an empty folder", dir);
    return code;
}

enum ym_code ym_hub_create(const struct ym_hub_init *o, struct ym_buf *vkey, struct ym_status *st)
{
    struct making m = {.o = o, .now = ym_clock_unix()};
    int lock = -1;
    enum ym_code code;

    if (!ym_name_valid(o->federation))
        return ym_status_set(st, YM_INVALID, "'%s' is not a name: [a-z0-9][a-z0-9_-]{0,62}", o->federation);
    snprintf(m.origin, sizeof m.origin, "yumen/%s/hub", o->federation);
    code = config_text(o, &m.config, st);
    if (code == YM_OK)
        code = refuse_existing(o->dir, st);
    if (code == YM_OK)
        code = make_folders(o->dir, st);
    if (code == YM_OK)
        code = ym_fs_lock(o->dir, &lock, st);
    if (code == YM_OK)
        code = ym_secret_load(o->dir, true, &m.secret, st);
    if (code == YM_OK)
        code = make_ca(&m, st);
    if (code == YM_OK)
        code = make_identity(&m, st);
    if (code == YM_OK)
        code = make_log(&m, st);
    if (code == YM_OK)
        code = put_file(o->dir, "hub.yaml", &m.config, st); /* last: a folder without it is not a hub yet */
    if (code == YM_OK)
        code = ym_vkey_format(m.origin, YM_NOTE_LOG, m.pub, vkey);
    ym_ledger_close(&m.ledger);
    ym_store_close(&m.store);
    ym_key_free(m.identity);
    ym_buf_release(&m.config);
    ym_buf_wipe(&m.secret);
    ym_buf_wipe(&m.ca_key);
    ym_buf_wipe(&m.tls_key);
    ym_buf_release(&m.ca_cert);
    ym_buf_release(&m.identity_cert);
    ym_buf_release(&m.genesis);
    ym_fs_unlock(&lock);
    return code;
}

/* ---- short visits ---- */

static enum ym_code read_pin(const char *dir, uint8_t pin[20], struct ym_status *st)
{
    char path[4096];
    struct ym_buf pem = {0};
    uint8_t spki[YM_HASH_BYTES];
    enum ym_code code = join(dir, "ca.pem", path, st);

    if (code == YM_OK)
        code = ym_fs_read(path, 65536, &pem, st);
    if (code == YM_OK)
        code = ym_cert_spki_hash(ym_buf_bytes(&pem), spki, st);
    if (code == YM_OK)
        memcpy(pin, spki, 20);
    ym_buf_release(&pem);
    return code;
}

static enum ym_code end_visit(struct ym_store **s, enum ym_code code, struct ym_status *st)
{
    if (code == YM_OK)
        code = (*s)->ops->commit(*s, st);
    else if (*s)
        (*s)->ops->abort(*s);
    ym_store_close(s);
    return code;
}

static enum ym_code begin_visit(const char *dir, struct ym_store **s, struct ym_status *st)
{
    enum ym_code code = ym_store_open_sqlite(dir, false, s, st);

    return code == YM_OK ? (*s)->ops->begin(*s, st) : code;
}

enum ym_code ym_hub_token(const char *dir, enum ym_role role, const char *name, int64_t hours, struct ym_buf *text,
                          struct ym_status *st)
{
    struct ym_token t;
    struct ym_store_token row = {.role = role, .expires_s = ym_clock_unix() + hours * 3600};
    struct ym_store *s = NULL;
    enum ym_code code;

    if (name[0] && (!ym_name_valid(name) || strcmp(name, "hub") == 0))
        return ym_status_set(st, YM_INVALID, "'%s' is not a name: [a-z0-9][a-z0-9_-]{0,62}, not 'hub'", name);
    code = read_pin(dir, t.pin, st);
    if (code == YM_OK)
        code = begin_visit(dir, &s, st);
    if (code == YM_OK) {
        ym_random(t.id, sizeof t.id);
        ym_random(t.secret, sizeof t.secret);
        memcpy(row.id, t.id, sizeof row.id);
        ym_sha256(t.secret, sizeof t.secret, row.secret_hash);
        snprintf(row.name, sizeof row.name, "%s", name);
        code = s->ops->put_token(s, &row, st);
    }
    code = end_visit(&s, code, st);
    if (code == YM_OK)
        code = ym_token_format(&t, text);
    ym_wipe(&t, sizeof t);
    return code;
}

enum ym_code ym_hub_revoke(const char *dir, const char *name, struct ym_status *st)
{
    struct ym_store *s = NULL;
    enum ym_code code = begin_visit(dir, &s, st);

    if (code == YM_OK)
        code = s->ops->revoke_party(s, name, st);
    if (code == YM_NOT_FOUND)
        ym_status_set(st, code, "there is no party '%s'; 'yumen-coordinator status' lists them", name);
    if (code == YM_OK)
        code = s->ops->put_command(s, YM_STORE_REVOKE, name, st);
    return end_visit(&s, code, st);
}

enum ym_code ym_hub_resume(const char *dir, const char *study, struct ym_status *st)
{
    struct ym_store_study y;
    struct ym_store *s = NULL;
    enum ym_code code = begin_visit(dir, &s, st);

    if (code == YM_OK)
        code = s->ops->get_study(s, study, &y, NULL, NULL, st);
    if (code == YM_NOT_FOUND)
        ym_status_set(st, code, "there is no study '%s'; 'yumen-coordinator status' lists them", study);
    if (code == YM_OK && y.phase != YM_ROUND_PAUSED)
        code = ym_status_set(st, YM_CONFLICT, "study '%s' is not paused: it is %s", study,
                             ym_round_phase_name((enum ym_round_phase)y.phase));
    if (code == YM_OK)
        code = s->ops->put_command(s, YM_STORE_RESUME, study, st);
    return end_visit(&s, code, st);
}

/* ---- status ---- */

struct listing {
    struct ym_store *store;
    json_t *parties, *studies;
};

static void list_party(void *ctx, const struct ym_store_party *p)
{
    struct listing *l = ctx;

    json_array_append_new(l->parties, json_pack("{s:s, s:s, s:I, s:b}", "name", p->name, "role", ym_role_name(p->role),
                                                "enrolled", (json_int_t)p->enrolled_s, "revoked", p->revoked));
}

static void list_cert(void *ctx, const struct ym_store_cert *c)
{
    struct listing *l = ctx;
    json_t *p;
    size_t i;

    json_array_foreach(l->parties, i, p)
    {
        const json_t *old = json_object_get(p, "not_after");

        if (strcmp(json_string_value(json_object_get(p, "name")), c->party) == 0 &&
            (!old || json_integer_value(old) < c->not_after_s))
            json_object_set_new(p, "not_after", json_integer((json_int_t)c->not_after_s));
    }
}

static void list_study(void *ctx, const struct ym_store_study *y)
{
    struct listing *l = ctx;

    json_array_append_new(l->studies,
                          json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "study", y->study, "sponsor", y->sponsor, "phase",
                                    ym_round_phase_name((enum ym_round_phase)y->phase), "round", (json_int_t)y->round,
                                    "attempt", (json_int_t)y->attempt, "changed", (json_int_t)y->changed_s));
}

static enum ym_code add_reasons(struct listing *l, struct ym_status *st)
{
    json_t *y;
    size_t i;

    json_array_foreach(l->studies, i, y)
    {
        struct ym_store_study row;
        struct ym_buf kept = {0};
        json_t *o = NULL;
        enum ym_code code =
            l->store->ops->get_study(l->store, json_string_value(json_object_get(y, "study")), &row, NULL, &kept, st);

        if (code != YM_OK)
            return code;
        o = json_loadb((const char *)kept.data, kept.len, 0, NULL);
        json_object_set(y, "reason", json_object_get(o, "reason"));
        json_object_set(y, "sites", json_object_get(o, "sites"));
        json_decref(o);
        ym_buf_release(&kept);
    }
    return YM_OK;
}

static enum ym_code status_log(const char *dir, const char *federation, json_t *o, struct ym_status *st)
{
    char path[4096], origin[256];
    struct ym_buf pem = {0}, ca = {0}, vkey = {0};
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_party who;
    enum ym_code code = join(dir, "identity.pem", path, st);

    if (code == YM_OK)
        code = ym_fs_read(path, 65536, &pem, st);
    if (code == YM_OK)
        code = join(dir, "ca.pem", path, st);
    if (code == YM_OK)
        code = ym_fs_read(path, 65536, &ca, st);
    if (code == YM_OK)
        code = ym_cert_identity_verify(ym_buf_bytes(&ca), ym_buf_bytes(&pem), ym_clock_unix(), &who, pub, st);
    snprintf(origin, sizeof origin, "yumen/%s/hub", federation);
    if (code == YM_OK)
        code = ym_vkey_format(origin, YM_NOTE_LOG, pub, &vkey);
    if (code == YM_OK)
        json_object_set_new(o, "log", json_string(ym_buf_str(&vkey)));
    ym_buf_release(&pem);
    ym_buf_release(&ca);
    ym_buf_release(&vkey);
    return code;
}

enum ym_code ym_hub_status(const char *dir, json_t **out, struct ym_status *st)
{
    struct listing l = {NULL, json_array(), json_array()};
    struct ym_hub_config config;
    struct ym_problems p = {0};
    uint64_t leaves = 0;
    json_t *o = json_object();
    enum ym_code code = ym_hub_config_load(dir, &config, &p, st);

    ym_problems_release(&p);
    if (code == YM_OK)
        code = ym_store_open_sqlite(dir, false, &l.store, st);
    if (code == YM_OK)
        code = l.store->ops->each_party(l.store, list_party, &l, st);
    if (code == YM_OK)
        code = l.store->ops->each_cert(l.store, list_cert, &l, st);
    if (code == YM_OK)
        code = l.store->ops->each_study(l.store, list_study, &l, st);
    if (code == YM_OK)
        code = add_reasons(&l, st);
    if (code == YM_OK)
        code = l.store->ops->count_leaves(l.store, &leaves, st);
    if (code == YM_OK)
        code = status_log(dir, config.federation, o, st);
    if (code == YM_OK) {
        json_object_set_new(o, "federation", json_string(config.federation));
        json_object_set_new(o, "leaves", json_integer((json_int_t)leaves));
        json_object_set(o, "parties", l.parties);
        json_object_set(o, "studies", l.studies);
        *out = o;
        o = NULL;
    }
    json_decref(o);
    json_decref(l.parties);
    json_decref(l.studies);
    ym_store_close(&l.store);
    return code;
}
