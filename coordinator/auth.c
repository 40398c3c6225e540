#include <stdlib.h>
#include <string.h>

#include "coordinator/hub_internal.h"

/* The table of certificates in use, read on every call by the rpc threads and
 * written by the core whenever the store's parties change. */

void hub_auth_init(struct hub_auth *a)
{
    memset(a, 0, sizeof *a);
    pthread_rwlock_init(&a->lock, NULL);
}

void hub_auth_release(struct hub_auth *a)
{
    free(a->entry);
    pthread_rwlock_destroy(&a->lock);
}

struct reload {
    struct ym_hub *h;
    struct hub_auth_entry *entry;
    size_t count, cap;
    bool exhausted;
};

static void take_cert(void *ctx, const struct ym_store_cert *c)
{
    struct reload *r = ctx;

    if (r->count == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 64;
        struct hub_auth_entry *more = reallocarray(r->entry, cap, sizeof *more);

        if (!more) {
            r->exhausted = true;
            return;
        }
        r->entry = more;
        r->cap = cap;
    }
    memset(&r->entry[r->count], 0, sizeof r->entry[0]);
    memcpy(r->entry[r->count].fingerprint, c->fingerprint, YM_HASH_BYTES);
    memcpy(r->entry[r->count].who.name, c->party, sizeof c->party);
    memcpy(r->entry[r->count].who.federation, r->h->config.federation, sizeof r->h->config.federation);
    r->entry[r->count].not_after_s = c->not_after_s;
    r->entry[r->count].revoked = true; /* until its party says otherwise */
    r->count++;
}

static void take_party(void *ctx, const struct ym_store_party *p)
{
    struct reload *r = ctx;

    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->entry[i].who.name, p->name) != 0)
            continue;
        r->entry[i].who.role = p->role;
        r->entry[i].revoked = p->revoked;
    }
}

static int by_fingerprint(const void *a, const void *b)
{
    return memcmp(a, b, YM_HASH_BYTES);
}
_Static_assert(offsetof(struct hub_auth_entry, fingerprint) == 0, "sorted by its first member");

enum ym_code hub_auth_reload(struct ym_hub *h, struct ym_status *st)
{
    struct reload r = {h, NULL, 0, 0, false};
    struct hub_auth_entry *old;
    enum ym_code code = h->store->ops->each_cert(h->store, take_cert, &r, st);

    if (code == YM_OK)
        code = h->store->ops->each_party(h->store, take_party, &r, st);
    if (code == YM_OK && r.exhausted)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory for the table of parties");
    if (code != YM_OK) {
        free(r.entry);
        return code;
    }
    if (r.count)
        qsort(r.entry, r.count, sizeof *r.entry, by_fingerprint);
    pthread_rwlock_wrlock(&h->auth.lock);
    old = h->auth.entry;
    h->auth.entry = r.entry;
    h->auth.count = r.count;
    pthread_rwlock_unlock(&h->auth.lock);
    free(old);
    return YM_OK;
}

static bool role_allowed(const char *method, enum ym_role role)
{
    if (strncmp(method, "/yumen.v1.Worker/", 17) == 0)
        return role == YM_ROLE_HOSPITAL;
    if (strncmp(method, "/yumen.v1.Sponsor/", 18) == 0)
        return role == YM_ROLE_SPONSOR;
    if (strncmp(method, "/yumen.v1.Federation/", 21) == 0)
        return role == YM_ROLE_HOSPITAL || role == YM_ROLE_SPONSOR || role == YM_ROLE_AUDITOR;
    return strncmp(method, "/grpc.health.v1.", 16) == 0;
}

static enum ym_code check_entry(const struct hub_auth_entry *e, const char *method, struct ym_party *who,
                                struct ym_status *st)
{
    if (!e)
        return ym_status_set(st, YM_DENIED, "unknown_certificate: this certificate was not given out by this hub");
    if (e->revoked)
        return ym_status_set(st, YM_DENIED, "revoked: '%s' was revoked by the operator of the hub", e->who.name);
    if (e->not_after_s < ym_clock_unix())
        return ym_status_set(st, YM_DENIED,
                             "expired: the certificate of '%s' is out of date; enrol it again with a new token",
                             e->who.name);
    if (!role_allowed(method, e->who.role))
        return ym_status_set(st, YM_DENIED, "role: this is not for the role %s", ym_role_name(e->who.role));
    *who = e->who;
    return YM_OK;
}

enum ym_code hub_authenticate(void *ctx, const char *method, struct ym_bytes peer_cert_pem, struct ym_party *who,
                              struct ym_status *st)
{
    struct ym_hub *h = ctx;
    struct hub_auth_entry key = {0};
    enum ym_code code = ym_cert_fingerprint(peer_cert_pem, key.fingerprint, st);

    if (code != YM_OK)
        return ym_status_wrap(st, YM_DENIED, "unknown_certificate");
    pthread_rwlock_rdlock(&h->auth.lock);
    code = check_entry(h->auth.count ? bsearch(&key, h->auth.entry, h->auth.count, sizeof key, by_fingerprint) : NULL,
                       method, who, st);
    pthread_rwlock_unlock(&h->auth.lock);
    return code;
}
