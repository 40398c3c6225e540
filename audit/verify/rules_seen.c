#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/crypto.h"
#include "base/buf.h"

/* checkpoint_seen: what one party's log says of another's. */

struct pass {
    struct ym_check *c;
    size_t log, i;
};

#define FIND(p, where, reason, ...) ym_check_find((p)->c, where, (int64_t)(p)->i, YM_REASON_##reason, __VA_ARGS__)

static size_t log_of(const struct ym_check *c, const char *origin)
{
    for (size_t k = 0; k < c->v->log_count; k++)
        if (c->log[k].usable && strcmp(c->log[k].folder.note.origin, origin) == 0)
            return k;
    return YM_NO_LOG;
}

/* The key of that log: from the trust file, else from its own genesis. NULL: not known. */
static const uint8_t *key_of(const struct ym_check *c, const char *origin, size_t other)
{
    const struct ym_vkey *key = ym_trust_find(&c->trust, origin);

    if (key)
        return key->pub;
    return other == YM_NO_LOG ? NULL : c->log[other].owner;
}

static bool signature_good(const struct ym_entry *e, const uint8_t pub[32], const uint8_t root[32])
{
    struct ym_buf text = {0};
    const char *sig = ym_entry_text(e, "signature");
    uint8_t raw[64];
    bool good = ym_vbase64(sig, strlen(sig), raw, sizeof(raw)) &&
                ym_buf_printf(&text, "%s\n%" PRId64 "\n", ym_entry_text(e, "log"), ym_entry_int(e, "size")) == YM_OK &&
                ym_base64_encode(root, 32, &text) == YM_OK && ym_buf_puts(&text, "\n") == YM_OK &&
                ym_vsig_good(pub, text.data, text.len, raw);

    ym_buf_release(&text);
    return good;
}

/* Two trees of one size, both signed: the log was shown to somebody as another one. */
static void check_twice(struct pass *p, const struct ym_entry *e, const char *log, int64_t size)
{
    struct ym_vmap *seen = &p->c->log[p->log].seen;
    struct ym_lookup first;
    uint64_t at;

    if (!ym_vmap_get(seen, &at, "k|%s|%" PRId64, log, size)) {
        ym_check_keep(p->c, seen, p->i, "k|%s|%" PRId64, log, size);
        return;
    }
    if (ym_return_settled(p->c, log_of(p->c, log), at)) { /* of a ledger that was lost since, openly */
        ym_check_keep(p->c, seen, p->i, "k|%s|%" PRId64, log, size);
        return;
    }
    if (ym_check_entry(p->c, p->log, (size_t)at, &first) &&
        strcmp(ym_entry_text(first.e, "root"), ym_entry_text(e, "root")) != 0)
        FIND(p, p->log, SEEN_DIFFERS, "'%.100s' signed another tree of %" PRId64 " entries in entry %" PRIu64, log,
             size, at);
    ym_check_entry_end(&first);
}

static void check_other(struct pass *p, size_t other, int64_t size, const uint8_t root[32])
{
    const struct ym_vsettled *settled = ym_return_settled(p->c, other, p->i);
    uint8_t own[32];

    if (settled && (uint64_t)size > settled->known)
        ym_check_find(p->c, other, (int64_t)settled->entry, YM_REASON_RECOVER_DIFFERS,
                      "it says that %" PRIu64 " entries were known; entry %zu of the hub's log saw %" PRId64,
                      settled->known, p->i, size);
    if (settled)
        return;
    p->c->v->log[p->log].seen++;
    if (!ym_folder_root_at(&p->c->log[other].folder, (uint64_t)size, own))
        ym_check_find(p->c, other, -1, YM_REASON_SEEN_AHEAD,
                      "entry %zu of '%.100s' saw %" PRId64 " entries of this log, there are %zu", p->i,
                      p->c->log[p->log].folder.note.origin, size, p->c->log[other].folder.count);
    else if (memcmp(own, root, sizeof(own)) != 0)
        FIND(p, p->log, SEEN_DIFFERS, "the first %" PRId64 " entries of '%.100s' are not those that were seen here",
             size, p->c->log[other].folder.note.origin);
}

static void *begin(struct ym_check *c, size_t log)
{
    struct pass *p = malloc(sizeof(*p));

    if (p)
        *p = (struct pass){c, log, 0};
    return p;
}

static void take(void *pass, size_t i, const struct ym_entry *e)
{
    struct pass *p = pass;
    const char *log, *text;
    const uint8_t *pub;
    size_t other;
    uint8_t root[32];

    if (e->type != YM_ENTRY_SEEN)
        return;
    p->i = i;
    log = ym_entry_text(e, "log");
    text = ym_entry_text(e, "root");
    ym_vhex(text, strlen(text), root, sizeof(root));
    other = log_of(p->c, log);
    pub = key_of(p->c, log, other);
    if (pub && !signature_good(e, pub, root))
        FIND(p, p->log, SEEN_SIGNATURE, "'%.100s' did not sign the checkpoint of %" PRId64 " entries", log,
             ym_entry_int(e, "size"));
    check_twice(p, e, log, ym_entry_int(e, "size"));
    if (other != YM_NO_LOG)
        check_other(p, other, ym_entry_int(e, "size"), root);
}

const struct ym_rule ym_rule_seen = {begin, take, free};
