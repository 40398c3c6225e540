#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"

static unsigned role_of(const char *text)
{
    if (strcmp(text, "hub") == 0)
        return YM_BY_HUB;
    if (strcmp(text, "hospital") == 0)
        return YM_BY_HOSPITAL;
    return strcmp(text, "sponsor") == 0 ? YM_BY_SPONSOR : 0;
}

static void add_party(struct ym_check *c, const char *name, unsigned role, const uint8_t pub[32], size_t log,
                      size_t entry)
{
    struct ym_vparty *p = realloc(c->party, (c->party_count + 1) * sizeof(*p));

    if (!p) {
        c->no_memory = true;
        return;
    }
    c->party = p;
    p += c->party_count++;
    memset(p, 0, sizeof(*p));
    memcpy(p->name, name, strlen(name) + 1);
    p->role = role;
    memcpy(p->pub, pub, 32);
    ym_entry_key_id(pub, p->id);
    p->log = log;
    p->entry = entry;
    ym_vmap_get(&c->ids, &p->next, "%s", p->id);
    ym_check_keep(c, &c->ids, c->party_count, "%s", p->id);
}

/* Role and name that an origin claims: yumen/<federation>/hub,
 * yumen/<federation>/hospital/<name>, yumen/hospital/<name>. */
static bool origin_owner(const char *origin, unsigned *role, char name[64])
{
    const char *last = strrchr(origin, '/');

    if (strncmp(origin, "yumen/", 6) != 0 || !last || !ym_name_valid(last + 1))
        return false;
    memcpy(name, last + 1, strlen(last + 1) + 1);
    if (strcmp(last, "/hub") == 0) {
        *role = YM_BY_HUB;
        return true;
    }
    *role = YM_BY_HOSPITAL;
    return (size_t)(last - origin) >= 9 && strncmp(last - 9, "/hospital", 9) == 0;
}

static void learn_trust(struct ym_check *c)
{
    for (size_t i = 0; i < c->trust.count; i++) {
        char name[64];
        unsigned role;

        if (origin_owner(c->trust.key[i].name, &role, name))
            add_party(c, name, role, c->trust.key[i].pub, YM_NO_LOG, 0);
    }
}

bool ym_check_note(struct ym_check *c, size_t log, const struct ym_vnote *note, const uint8_t pub[32])
{
    struct ym_vkey key = {.type = YM_VKEY_LOG};

    memcpy(key.name, note->origin, sizeof(key.name));
    memcpy(key.pub, pub, 32);
    switch (ym_vnote_check(note, &key)) {
    case YM_VNOTE_SIGNED:
        return true;
    case YM_VNOTE_FORGED:
        ym_check_find(c, log, -1, YM_REASON_CHECKPOINT_SIGNATURE, "the signature does not fit the checkpoint's text");
        return false;
    default:
        ym_check_find(c, log, -1, YM_REASON_CHECKPOINT_UNTRUSTED, "no signature by the key of '%.150s'", note->origin);
        return false;
    }
}

static bool check_trusted_note(struct ym_check *c, size_t log)
{
    const char *origin = c->log[log].folder.note.origin;
    const struct ym_vkey *key = ym_trust_find(&c->trust, origin);

    if (!key) {
        ym_check_find(c, log, -1, YM_REASON_CHECKPOINT_UNTRUSTED, "the trust file has no key for '%.150s'", origin);
        return false;
    }
    c->v->log[log].anchored = ym_check_note(c, log, &c->log[log].folder.note, key->pub);
    memcpy(c->log[log].owner, key->pub, 32);
    c->log[log].have_owner = true;
    return c->v->log[log].anchored;
}

static const char *role_word(unsigned role)
{
    return role == YM_BY_HUB ? "hub" : "hospital";
}

static bool genesis_fits(const struct ym_check *c, size_t log, const struct ym_entry *e, const uint8_t pub[32])
{
    const struct ym_vlog *l = &c->log[log];
    char name[64], id[17];
    unsigned role;

    ym_entry_key_id(pub, id);
    return e->type == YM_ENTRY_GENESIS && origin_owner(l->folder.note.origin, &role, name) &&
           strcmp(ym_entry_text(e, "role"), role_word(role)) == 0 &&
           (role == YM_BY_HUB || strcmp(ym_entry_text(e, "name"), name) == 0) &&
           strcmp(e->by, ym_entry_text(e, "name")) == 0 && strcmp(e->key, id) == 0 && ym_entry_signed_by(e, pub) &&
           (!l->have_owner || memcmp(l->owner, pub, 32) == 0);
}

static bool learn_genesis(struct ym_check *c, size_t log)
{
    struct ym_log_summary *s = &c->v->log[log];
    struct ym_lookup at;
    uint8_t pub[32];
    bool good = ym_check_entry(c, log, 0, &at) && at.e->type == YM_ENTRY_GENESIS;

    if (good) {
        ym_entry_pub(at.e, "identity_key", pub);
        good = genesis_fits(c, log, at.e, pub);
    }
    if (good) {
        memcpy(c->log[log].owner, pub, 32);
        c->log[log].have_owner = true;
        c->log[log].hub = strcmp(ym_entry_text(at.e, "role"), "hub") == 0;
        memcpy(s->role, c->log[log].hub ? "hub" : "hospital", c->log[log].hub ? 4 : 9);
        memcpy(s->name, at.e->by, strlen(at.e->by) + 1);
        add_party(c, at.e->by, role_of(s->role), pub, log, 0);
    } else {
        ym_check_find(c, log, 0, YM_REASON_GENESIS_WRONG, "leaf 0 is not the genesis of '%.100s' signed by its own key",
                      c->log[log].folder.note.origin);
    }
    ym_check_entry_end(&at);
    return good;
}

static void learn_log(struct ym_check *c, size_t log)
{
    struct ym_vlog *l = &c->log[log];
    bool good = l->folder.note.origin[0] && (!c->have_trust || check_trusted_note(c, log));

    if (!good || l->folder.faulty)
        return;
    ym_folder_check_tree(&l->folder);
    if (l->folder.faulty)
        return;
    if (l->folder.count == 0) { /* every program begins with its genesis, in one step */
        ym_check_find(c, log, -1, YM_REASON_ENTRIES_MISSING, "the checkpoint covers no entry, not even the genesis");
        return;
    }
    l->usable = learn_genesis(c, log) && (c->have_trust || ym_check_note(c, log, &l->folder.note, l->owner));
}

static const struct ym_vparty *hub_key(const struct ym_check *c, const struct ym_entry *e)
{
    for (size_t i = 0; i < c->party_count; i++)
        if (c->party[i].role == YM_BY_HUB && strcmp(c->party[i].id, e->key) == 0)
            return &c->party[i];
    return NULL;
}

/* Signatures of enrol leaves are checked here; the rules' pass reports them. */
static void learn_enrolled(struct ym_check *c, size_t log)
{
    const struct ym_folder *f = &c->log[log].folder;

    for (size_t k = 0; c->log[log].usable && k < f->enrol_count; k++) {
        size_t i = f->enrol[k];
        const struct ym_vparty *hub;
        struct ym_lookup at;
        uint8_t pub[32];

        if (ym_check_entry(c, log, i, &at) && at.e->type == YM_ENTRY_ENROL && (hub = hub_key(c, at.e)) &&
            ym_entry_signed_by(at.e, hub->pub)) {
            ym_entry_pub(at.e, "identity_key", pub);
            add_party(c, ym_entry_text(at.e, "name"), role_of(ym_entry_text(at.e, "role")), pub, log, i);
        }
        ym_check_entry_end(&at);
    }
}

void ym_check_keys(struct ym_check *c)
{
    learn_trust(c);
    for (size_t i = 0; i < c->v->log_count; i++)
        learn_log(c, i);
    for (size_t i = 0; i < c->v->log_count; i++)
        learn_enrolled(c, i);
}

/* Who may have signed entry i of this log: the log's owner, or at the hub a
 * party that the hub had enrolled before, or in a hospital's log any hub or
 * sponsor whose key is known. */
static bool may_sign(const struct ym_check *c, size_t log, size_t i, const struct ym_entry *e,
                     const struct ym_vparty *p)
{
    const struct ym_vlog *l = &c->log[log];
    unsigned signers = ym_entry_signers(e->type);
    bool owner = p->log == log && p->entry == 0;

    if (strcmp(p->id, e->key) != 0 || strcmp(p->name, e->by) != 0)
        return false;
    if (signers & YM_BY_OWNER)
        return owner;
    if (!(signers & p->role))
        return false;
    if (l->hub)
        return p->role == YM_BY_HUB ? owner : p->log == log && p->entry < i;
    return p->role == YM_BY_HOSPITAL ? owner : true;
}

/* Without the hub's log a hospital's log may hold leaves of strangers. */
static bool stranger_is_excused(const struct ym_check *c, size_t log, const struct ym_entry *e)
{
    unsigned signers = ym_entry_signers(e->type);
    bool hub_known = false, hub_log = false;

    for (size_t i = 0; i < c->party_count; i++)
        hub_known |= c->party[i].role == YM_BY_HUB;
    for (size_t i = 0; i < c->v->log_count; i++)
        hub_log |= c->log[i].usable && c->log[i].hub;
    if (c->log[log].hub || signers & (YM_BY_OWNER | YM_BY_HOSPITAL))
        return false;
    return signers & YM_BY_HUB ? !hub_known : !hub_log;
}

enum ym_signing ym_check_signing(const struct ym_check *c, size_t log, size_t i, const struct ym_entry *e)
{
    bool known = false;
    uint64_t at = 0;

    for (ym_vmap_get(&c->ids, &at, "%s", e->key); at > 0; at = c->party[at - 1].next) {
        if (!may_sign(c, log, i, e, &c->party[at - 1]))
            continue;
        known = true;
        if (ym_entry_signed_by(e, c->party[at - 1].pub))
            return YM_SIGNED;
    }
    if (known)
        return YM_SIGNED_WRONG;
    return stranger_is_excused(c, log, e) ? YM_SIGNED_UNCHECKED : YM_SIGNED_BY_STRANGER;
}
