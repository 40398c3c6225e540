#ifndef YM_COORDINATOR_HUB_H
#define YM_COORDINATOR_HUB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cert.h"
#include "base/doc.h"

/* The hub as a whole: what `yumen-coordinator` does, without its command line.
 * docs/hub.md tells an operator about it. Folder: docs/formats.md, "hub/". */

#define YM_HUB_NAMES 16
#define YM_HUB_WITNESSES 8

struct ym_hub_witness_config {
    char url[512];  /* submission prefix; "add-checkpoint" is below it */
    char name[256]; /* of its key */
    uint8_t pub[YM_PUBKEY_BYTES];
};

/* hub.yaml, validated as a whole. */
struct ym_hub_config {
    char federation[64];
    char listen[128], enrol_listen[128]; /* host:port; port 0 takes a free one */
    char name[YM_HUB_NAMES][128];        /* DNS names and addresses of the hub's certificate */
    size_t name_count;
    uint32_t min_free_percent; /* no round is opened with less of the disk free ... */
    uint64_t min_free_bytes;   /* ... or fewer bytes */
    uint32_t certificate_days; /* of every certificate it gives out; its own too */
    char http[128];            /* host:port of the read-only log; "": not served */
    struct ym_hub_witness_config witness[YM_HUB_WITNESSES];
    size_t witness_count;
};

/* Every problem with file, line and key; YM_INVALID when there is one. */
enum ym_code ym_hub_config_load(const char *dir, struct ym_hub_config *out, struct ym_problems *p,
                                struct ym_status *st);

struct ym_hub_init {
    const char *dir, *federation, *listen, *enrol_listen; /* NULL: default */
    const char *const *name;
    size_t name_count;
};
/* Make the folder, CA, keys, identity, store and ledger with its genesis leaf.
 * YM_CONFLICT when the folder holds a hub already. vkey: of the log. */
enum ym_code ym_hub_create(const struct ym_hub_init *o, struct ym_buf *vkey, struct ym_status *st);

/* ---- serving ---- */
struct ym_hub;

/* Lock the folder, complete the log from the store, take up every study where
 * it was, listen. failed is called once, from any thread, when the hub cannot go
 * on (deaf listener, uncertain ledger): the process must end and be restarted. */
enum ym_code ym_hub_start(const char *dir, const struct ym_hub_config *config, void (*failed)(void *ctx), void *ctx,
                          struct ym_hub **out, struct ym_status *st);
int ym_hub_port(const struct ym_hub *h);
int ym_hub_enrol_port(const struct ym_hub *h);
int ym_hub_http_port(const struct ym_hub *h); /* 0: no log over HTTP */
void ym_hub_stop(struct ym_hub **h);          /* orderly: refuse, drain, close */

/* ---- what another process may do while a hub serves; it hears of it within
 * two seconds ---- */

/* hours: validity. name "" : any name. text: the token, to be handed over. */
enum ym_code ym_hub_token(const char *dir, enum ym_role role, const char *name, int64_t hours, struct ym_buf *text,
                          struct ym_status *st);
enum ym_code ym_hub_revoke(const char *dir, const char *name,
                           struct ym_status *st); /* NOT_FOUND; CONFLICT: revoked already */
enum ym_code ym_hub_resume(const char *dir, const char *study, struct ym_status *st);
/* {"federation", "log", "leaves", "parties": [...], "studies": [...]}, new. */
enum ym_code ym_hub_status(const char *dir, json_t **out, struct ym_status *st);

#endif
