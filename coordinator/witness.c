#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/cosign.h"
#include "audit/ledger/proof.h"
#include "audit/ledger/seal.h"
#include "coordinator/hub_internal.h"
#include "web/client.h"

/* Checkpoints to witnesses (C2SP tlog-witness), a thread each, so that one that is
 * dead or slow delays neither a round nor another. The core says what is new
 * and takes the cosignatures as jobs: nothing of the hub is touched here. */

#define PENDING_MAX 64 /* sealed checkpoints that wait for one witness; the oldest go first */
#define TIP_EVERY_MS 1000
#define RETRY_FIRST_MS 1000
#define RETRY_MAX_MS 60000
#define ANSWER_MAX 4096

struct hub_witness {
    struct ym_hub *hub;
    const struct ym_hub_witness_config *config; /* of hub->config */
    struct ym_web_client *web;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    bool stopping;
    uint64_t sealed[PENDING_MAX];
    size_t sealed_count;
    uint64_t tip;
    struct ym_buf tip_note;
    /* of the thread */
    uint64_t known; /* size it cosigned last, as far as we know */
    uint64_t tip_done;
    bool ahead_said;
};

struct hub_witnesses {
    struct hub_witness one[YM_HUB_WITNESSES];
    size_t count;
};

struct cosigned { /* a line on its way to the core */
    struct hub_job job;
    uint64_t size;
    bool sealed;
    struct ym_buf line;
};

/* ---- on the core ---- */

static void take_line(struct ym_hub *h, struct hub_job *job)
{
    struct cosigned *c = (struct cosigned *)job;
    struct ym_status st = YM_STATUS_INIT;

    if (c->sealed && ym_seal_add(h->ledger_dir, c->size, ym_buf_bytes(&c->line), &st) != YM_OK)
        ym_log(YM_LOG_WARN, "hub.cosignature_lost", "size=%" PRIu64 " error=\"%s\"", c->size, st.message);
    hub_publish_line(h, c->size, ym_buf_bytes(&c->line));
    ym_buf_release(&c->line);
    free(c);
}

void hub_witness_offer(struct ym_hub *h, uint64_t size, struct ym_bytes note, bool sealed)
{
    for (size_t i = 0; h->witnesses && i < h->witnesses->count; i++) {
        struct hub_witness *w = &h->witnesses->one[i];

        pthread_mutex_lock(&w->lock);
        if (sealed && w->sealed_count == PENDING_MAX)
            memmove(w->sealed, w->sealed + 1, --w->sealed_count * sizeof w->sealed[0]);
        if (sealed)
            w->sealed[w->sealed_count++] = size;
        ym_buf_clear(&w->tip_note);
        w->tip = ym_buf_append(&w->tip_note, note.data, note.len) == YM_OK ? size : 0;
        pthread_cond_signal(&w->changed);
        pthread_mutex_unlock(&w->lock);
    }
}

/* ---- one exchange ---- */

struct offer {
    uint64_t size;
    bool sealed;
    struct ym_buf note;
};

static enum ym_code write_request(struct hub_witness *w, const struct offer *o, struct ym_buf *out,
                                  struct ym_status *st)
{
    struct ym_proof *proof = calloc(1, sizeof *proof);
    enum ym_code code = proof ? ym_proof_consistency(w->hub->ledger_dir, w->known, o->size, proof, st) : YM_EXHAUSTED;

    if (code == YM_OK)
        code = ym_buf_printf(out, "old %" PRIu64 "\n", w->known);
    for (size_t i = 0; code == YM_OK && i < proof->count; i++) {
        code = ym_base64_encode(proof->hash[i], YM_HASH_BYTES, out);
        if (code == YM_OK)
            code = ym_buf_puts(out, "\n");
    }
    if (code == YM_OK)
        code = ym_buf_puts(out, "\n");
    if (code == YM_OK)
        code = ym_buf_append(out, o->note.data, o->note.len);
    free(proof);
    return code;
}

/* The one line of the answer that is this witness's and fits the checkpoint. */
static enum ym_code find_line(struct hub_witness *w, const struct offer *o, const struct ym_buf *answer,
                              struct ym_buf *line, struct ym_status *st)
{
    const char *at = ym_buf_str(answer), *end;
    uint64_t time = 0;

    for (; *at; at = end) {
        struct ym_buf note = {0};
        enum ym_code code = ym_buf_append(&note, o->note.data, o->note.len);

        end = strchrnul(at, '\n');
        if (*end == 0)
            break;
        end++;
        if (code == YM_OK)
            code = ym_buf_append(&note, at, (size_t)(end - at));
        if (code == YM_OK)
            code = ym_cosign_open(ym_buf_bytes(&note), w->config->name, w->config->pub, &time, NULL);
        ym_buf_release(&note);
        if (code == YM_OK)
            return ym_buf_append(line, at, (size_t)(end - at));
    }
    return ym_status_set(st, YM_CORRUPT, "the answer holds no cosignature of '%s' on this checkpoint", w->config->name);
}

static enum ym_code deliver(struct hub_witness *w, const struct offer *o, const struct ym_buf *answer,
                            struct ym_status *st)
{
    struct cosigned *c = calloc(1, sizeof *c);
    enum ym_code code = c ? find_line(w, o, answer, &c->line, st) : YM_EXHAUSTED;

    if (code != YM_OK) {
        free(c);
        return code;
    }
    c->job.run = take_line;
    c->size = o->size;
    c->sealed = o->sealed;
    w->known = o->size;
    hub_post_always(w->hub, &c->job);
    return YM_OK;
}

/* 409: it tells what it cosigned last. That is its word only, so nothing hangs on it but what is sent next. */
static enum ym_code learn_size(struct hub_witness *w, const struct offer *o, const struct ym_buf *answer,
                               struct ym_status *st)
{
    char *end;
    uint64_t size = strtoull(ym_buf_str(answer), &end, 10);

    if (answer->len == 0 || *end != '\n' || size == w->known)
        return ym_status_set(st, YM_CORRUPT, "the answer to an older size names none");
    w->known = size;
    if (size <= o->size)
        return YM_CONFLICT; /* once more, from there */
    if (!o->sealed && !w->ahead_said)
        ym_log(YM_LOG_ERROR, "hub.witness_ahead",
               "witness=%s its_size=%" PRIu64 " our_size=%" PRIu64
               " meaning=\"this hub's log may have been set back: compare it with mirrors\"",
               w->config->name, size, o->size);
    w->ahead_said |= !o->sealed;
    return YM_OK; /* this one it will not cosign any more */
}

static enum ym_code exchange(struct hub_witness *w, const struct offer *o, struct ym_status *st)
{
    struct ym_buf request = {0}, answer = {0};
    long status = 0;
    enum ym_code code = write_request(w, o, &request, st);

    if (code == YM_OK)
        code = ym_web_post(w->web, "add-checkpoint", ym_buf_bytes(&request), ANSWER_MAX, &status, &answer, st);
    if (code == YM_OK && status == 200)
        code = deliver(w, o, &answer, st);
    else if (code == YM_OK && status == 409)
        code = learn_size(w, o, &answer, st);
    else if (code == YM_OK)
        code = ym_status_set(st, YM_DENIED, "it answers %ld: %.200s", status, ym_buf_str(&answer));
    ym_buf_release(&request);
    ym_buf_release(&answer);
    return code;
}

static enum ym_code offer_one(struct hub_witness *w, struct offer *o, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    if (o->sealed) {
        code = ym_seal_read(w->hub->ledger_dir, o->size, &o->note, st);
        if (code == YM_NOT_FOUND)
            return YM_OK; /* somebody took it away: the next one */
        if (code == YM_OK &&
            ym_cosign_open(ym_buf_bytes(&o->note), w->config->name, w->config->pub, &(uint64_t){0}, NULL) == YM_OK)
            return YM_OK; /* has its line since before a restart */
    }
    if (code == YM_OK)
        code = exchange(w, o, st);
    return code == YM_CONFLICT ? exchange(w, o, st) : code;
}

/* ---- the thread ---- */

/* Under the lock: what to send next; sealed ones in order, then the newest. */
static bool next_offer(struct hub_witness *w, int64_t tip_from_ms, struct offer *o)
{
    while (w->sealed_count > 0 && w->sealed[0] < w->known)
        memmove(w->sealed, w->sealed + 1, --w->sealed_count * sizeof w->sealed[0]);
    if (w->sealed_count > 0) {
        o->size = w->sealed[0];
        o->sealed = true;
        return true;
    }
    if (w->tip == 0 || w->tip <= w->tip_done || w->tip < w->known || ym_clock_mono_ms() < tip_from_ms)
        return false;
    o->size = w->tip;
    return ym_buf_append(&o->note, w->tip_note.data, w->tip_note.len) == YM_OK;
}

static void wait_until(struct hub_witness *w, int64_t until_ms)
{
    struct timespec t;
    int64_t ms = until_ms - ym_clock_mono_ms();

    if (ms <= 0)
        return;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&w->changed, &w->lock, &t);
}

static void finished(struct hub_witness *w, const struct offer *o)
{
    if (o->sealed && w->sealed_count > 0 && w->sealed[0] == o->size)
        memmove(w->sealed, w->sealed + 1, --w->sealed_count * sizeof w->sealed[0]);
    if (!o->sealed || w->known == o->size)
        w->tip_done = o->size;
}

static void *witness_main(void *arg)
{
    struct hub_witness *w = arg;
    int64_t tip_from_ms = 0, retry_ms = RETRY_FIRST_MS, rest_until_ms = 0;

    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        struct ym_status st = YM_STATUS_INIT;
        struct offer o = {0};
        enum ym_code code;

        if (ym_clock_mono_ms() < rest_until_ms || !next_offer(w, tip_from_ms, &o)) {
            int64_t now = ym_clock_mono_ms();

            wait_until(w, rest_until_ms > now ? rest_until_ms : now + TIP_EVERY_MS);
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        code = offer_one(w, &o, &st);
        pthread_mutex_lock(&w->lock);
        ym_buf_release(&o.note);
        tip_from_ms = ym_clock_mono_ms() + TIP_EVERY_MS;
        if (code == YM_OK) {
            finished(w, &o);
            retry_ms = RETRY_FIRST_MS;
            continue;
        }
        if (retry_ms == RETRY_FIRST_MS)
            ym_log(YM_LOG_WARN, "hub.witness", "witness=%s size=%" PRIu64 " error=\"%s\"", w->config->name, o.size,
                   st.message);
        rest_until_ms = ym_clock_mono_ms() + retry_ms;
        retry_ms = 2 * retry_ms > RETRY_MAX_MS ? RETRY_MAX_MS : 2 * retry_ms;
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- beginning and end ---- */

static enum ym_code start_one(struct ym_hub *h, size_t i, struct ym_status *st)
{
    static const struct ym_web_limits limits = {5, 10, 0};
    struct hub_witness *w = &h->witnesses->one[i];
    enum ym_code code;

    w->hub = h;
    w->config = &h->config.witness[i];
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    h->witnesses->count = i + 1;
    code = ym_web_client_open(w->config->url, &limits, &w->web, st);
    w->running = code == YM_OK && pthread_create(&w->thread, NULL, witness_main, w) == 0;
    if (code == YM_OK && !w->running)
        code = ym_status_set(st, YM_EXHAUSTED, "cannot start a thread");
    return code;
}

/* The newest sealed checkpoint and the log's own, in case the hub ended before they were cosigned. */
static enum ym_code offer_present(struct ym_hub *h, struct ym_status *st)
{
    struct ym_buf note = {0};
    uint64_t sealed = 0;
    enum ym_code code = YM_OK;

    if (ym_seal_newest(h->ledger_dir, &sealed, NULL) == YM_OK &&
        (code = ym_seal_read(h->ledger_dir, sealed, &note, st)) == YM_OK)
        hub_witness_offer(h, sealed, ym_buf_bytes(&note), true);
    ym_buf_clear(&note);
    if (code == YM_OK)
        code = ym_ledger_checkpoint(h->ledger, &note, st);
    if (code == YM_OK)
        hub_witness_offer(h, ym_ledger_size(h->ledger), ym_buf_bytes(&note), false);
    ym_buf_release(&note);
    return code;
}

enum ym_code hub_witness_start(struct ym_hub *h, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    if (h->config.witness_count == 0)
        return YM_OK;
    h->witnesses = calloc(1, sizeof *h->witnesses);
    if (!h->witnesses)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    for (size_t i = 0; code == YM_OK && i < h->config.witness_count; i++)
        code = start_one(h, i, st);
    return code == YM_OK ? offer_present(h, st) : code;
}

void hub_witness_stop(struct ym_hub *h)
{
    struct hub_witnesses *all = h->witnesses;

    for (size_t i = 0; all && i < all->count; i++) {
        pthread_mutex_lock(&all->one[i].lock);
        all->one[i].stopping = true;
        pthread_cond_signal(&all->one[i].changed);
        pthread_mutex_unlock(&all->one[i].lock);
        if (all->one[i].web)
            ym_web_client_cancel(all->one[i].web);
    }
    for (size_t i = 0; all && i < all->count; i++)
        if (all->one[i].running)
            pthread_join(all->one[i].thread, NULL);
}

void hub_witness_free(struct ym_hub *h)
{
    for (size_t i = 0; h->witnesses && i < h->witnesses->count; i++) {
        struct hub_witness *w = &h->witnesses->one[i];

        ym_web_client_close(&w->web);
        ym_buf_release(&w->tip_note);
        pthread_cond_destroy(&w->changed);
        pthread_mutex_destroy(&w->lock);
    }
    free(h->witnesses);
    h->witnesses = NULL;
}
