#include "worker/trainer/door.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "base/fs.h"
#include "base/json.h"
#include "privacy/clip.h"
#include "worker/trainer/core.h"

struct ym_charged {
    struct ym_door *door;
    struct ym_door_request r; /* plan is borrowed for life; hashes are copied below */
    char dataset[64];
    uint8_t data[YM_HASH_BYTES], state[YM_HASH_BYTES];
    uint8_t charge[YM_HASH_BYTES];
    struct ym_buf charge_line;
    char path[YM_SITE_PATH];
    bool stored;
    uint8_t update_hash[YM_HASH_BYTES];
    int64_t *update;
};

struct ym_release {
    struct ym_buf charge_line, release_line;
    uint8_t charge[YM_HASH_BYTES];
    char path[YM_SITE_PATH];
    uint64_t bytes;
};

struct ym_door {
    struct ym_door_options o;
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_link *link;
    struct ym_buf control[YM_DOOR_QUEUE];
    bool is_card[YM_DOOR_QUEUE];
    size_t control_first, control_count;
    struct ym_release *release[YM_DOOR_RELEASES];
    size_t release_count;
    int fd;          /* of release[0] once its head was sent, else -1 */
    uint64_t offset; /* sent of it */
};

static struct ym_bytes view(const struct ym_buf *b)
{
    return (struct ym_bytes){b->data, b->len};
}

struct ym_door *ym_door_new(const struct ym_door_options *o)
{
    struct ym_door *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->o = *o;
    d->fd = -1;
    ym_key_public(o->key, d->pub);
    return d;
}

void ym_door_attach(struct ym_door *d, struct ym_link *link)
{
    d->link = link;
}

static void close_file(struct ym_door *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    d->offset = 0;
}

void ym_door_reset(struct ym_door *d)
{
    close_file(d);
    for (size_t i = 0; i < YM_DOOR_QUEUE; i++)
        ym_buf_release(&d->control[i]);
    d->control_first = d->control_count = 0;
    for (size_t i = 0; i < d->release_count; i++)
        ym_release_free(&d->release[i]);
    d->release_count = 0;
}

void ym_door_free(struct ym_door *d)
{
    if (!d)
        return;
    ym_door_reset(d);
    free(d);
}

bool ym_door_idle(const struct ym_door *d)
{
    return d->control_count == 0 && d->release_count == 0;
}

enum ym_code ym_door_append(struct ym_door *d, struct ym_bytes line, uint64_t *index, struct ym_status *st)
{
    enum ym_code code = ym_ledger_append(d->o.ledger, &line, 1, index, st);

    if (code == YM_OK)
        code = ym_budget_take(d->o.budget, line, st);
    return code;
}

/* ---- control ----
 * The closed list: type, and the members it may have besides those of every
 * leaf. None of them is computed from rows but the public card, which people
 * wrote and read. */
struct control_type {
    const char *type;
    bool card;
    const char *members; /* " a b c " */
};

static const struct control_type control_types[] = {
    {"approval", false, " study plan dataset data "},
    {"veto", false, " study plan "},
    {"pause", false, " study paused "},
    {"say_ready", false, " study round attempt plan state "},
    {"say_declined", false, " study round attempt reason "},
    {"say_checked", false, " study plan ok reason "},
    {"say_enrol", false, " token_id spki name hub enrol pin identity_key proof signature "},
    {"dataset_card", true, " dataset card data public group "},
};

static bool word_in(const char *words, const char *word)
{
    char pattern[72];

    if (strlen(word) > 64 || strchr(word, ' '))
        return false;
    snprintf(pattern, sizeof pattern, " %s ", word);
    return strstr(words, pattern) != NULL;
}

static enum ym_code check_members(const struct control_type *t, json_t *o, struct ym_status *st)
{
    const char *key, *reason;
    json_t *value;

    json_object_foreach(o, key, value)
    {
        if (!word_in(" type v time by key sig ", key) && !word_in(t->members, key))
            return ym_status_set(st, YM_DENIED, "the door: \"%s\" is no member of %s", key, t->type);
    }
    reason = json_string_value(json_object_get(o, "reason"));
    if (reason && reason[0] && !ym_decline_reason_known(reason))
        return ym_status_set(st, YM_DENIED, "the door: a reason of %s is not on the list", t->type);
    return YM_OK;
}

static enum ym_code check_control(const struct ym_door *d, struct ym_bytes line, bool *card, struct ym_status *st)
{
    json_t *o = NULL;
    const char *type = "";
    const struct control_type *t = NULL;
    enum ym_code code = ym_leaf_open(line, d->pub, NULL, &o, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "type", &type, st);
    for (size_t i = 0; code == YM_OK && i < sizeof control_types / sizeof *control_types; i++)
        if (strcmp(control_types[i].type, type) == 0)
            t = &control_types[i];
    if (code == YM_OK && !t)
        code = ym_status_set(st, YM_DENIED, "the door: a leaf of type \"%s\" does not leave", type);
    if (code == YM_OK)
        code = check_members(t, o, st);
    if (code == YM_OK && line.len > (t->card ? YM_FRAME_CARD_BYTES : YM_FRAME_CONTROL_BYTES))
        code = ym_status_set(st, YM_INVALID, "a %s leaf of %zu bytes is too long", type, line.len);
    if (code == YM_OK)
        *card = t->card;
    json_decref(o);
    return code;
}

enum ym_code ym_door_control(struct ym_door *d, struct ym_bytes line, struct ym_status *st)
{
    size_t at = (d->control_first + d->control_count) % YM_DOOR_QUEUE;
    bool card;
    enum ym_code code = check_control(d, line, &card, st);

    if (code != YM_OK)
        return code;
    if (d->control_count == YM_DOOR_QUEUE)
        return ym_status_set(st, YM_EXHAUSTED, "%d control lines wait for the gateway", YM_DOOR_QUEUE);
    if (ym_buf_append(&d->control[at], line.data, line.len) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a control line");
    d->is_card[at] = card;
    d->control_count++;
    return YM_OK;
}

/* ---- charging ---- */

static struct ym_event event_of(const struct ym_plan *plan)
{
    return (struct ym_event){
        .sigma_units = plan->sigma_units, .sampling_k = plan->sampling_k, .steps = plan->steps_per_round};
}

/* The study's own ceiling: all its charges here and this one, at the plan's
 * delta. Rounds of one plan are alike, so their steps add up to one event. */
static enum ym_code study_fits(const struct ym_door *d, const struct ym_plan *plan, struct ym_status *st)
{
    struct ym_event all = event_of(plan);
    struct ym_rdp rdp;
    enum ym_code code = YM_OK;
    double epsilon;

    ym_rdp_clear(&rdp);
    for (size_t i = 0; code == YM_OK && i < ym_budget_count(d->o.budget); i++) {
        const struct ym_budget_line *l = ym_budget_at(d->o.budget, i);

        if (strcmp(l->study, plan->study) != 0)
            continue;
        if (l->event.sigma_units == all.sigma_units && l->event.sampling_k == all.sampling_k)
            all.steps += l->event.steps;
        else
            code = ym_rdp_add(&rdp, &l->event, st);
    }
    if (code == YM_OK)
        code = ym_rdp_add(&rdp, &all, st);
    if (code != YM_OK)
        return code;
    epsilon = ym_rdp_epsilon(&rdp, ym_decimal_double(plan->delta), NULL);
    if (!(epsilon <= ym_decimal_double(plan->epsilon_max)))
        return ym_status_set(st, YM_EXHAUSTED, "study \"%s\" would spend epsilon %.6f here; its plan allows %.6f",
                             plan->study, epsilon, ym_decimal_double(plan->epsilon_max));
    return YM_OK;
}

enum ym_code ym_door_fits(const struct ym_door *d, const struct ym_plan *plan, const char *dataset,
                          int64_t *alone_micro, int64_t *after_micro, struct ym_status *st)
{
    struct ym_event e = event_of(plan);
    enum ym_code code = ym_budget_check(d->o.budget, dataset, &e, alone_micro, after_micro, st);

    return code == YM_OK ? study_fits(d, plan, st) : code;
}

static json_t *with_hash(json_t *o, const char *key, const uint8_t hash[YM_HASH_BYTES])
{
    if (o)
        ym_json_set_hash(o, key, hash);
    return o;
}

static enum ym_code sign_line(const struct ym_door *d, const char *type, json_t *members, int64_t now,
                              struct ym_buf *line, struct ym_status *st)
{
    enum ym_code code = members ? ym_leaf_sign(type, members, d->o.site->name, now, d->o.key, line, st)
                                : ym_status_set(st, YM_EXHAUSTED, "no memory for a %s leaf", type);

    json_decref(members);
    return code;
}

static json_t *charge_members(const struct ym_door *d, const struct ym_door_request *r, int64_t alone, int64_t after,
                              int64_t cap, int64_t delta)
{
    const struct ym_plan *p = r->plan;
    struct ym_buf variance = {0}, k = {0};
    json_t *o = NULL;

    if (ym_u128_format((unsigned __int128)p->sigma_units * p->sigma_units, &variance) == YM_OK &&
        ym_u128_format(p->sampling_k, &k) == YM_OK)
        o = json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s}",
                      "study", p->study, "round", (json_int_t)r->round, "attempt", (json_int_t)r->attempt, "dataset",
                      r->dataset, "mechanism", "poisson-sampled rounded gaussian", "route", "integer", "clip_units",
                      (json_int_t)YM_CLIP_UNITS, "noise_variance", ym_buf_str(&variance), "sampling_k", ym_buf_str(&k),
                      "steps", (json_int_t)p->steps_per_round, "unit", "patient", "relation", "add-or-remove-one",
                      "accountant", "rdp/1", "epsilon_round_micro", (json_int_t)alone, "epsilon_spent_micro",
                      (json_int_t)after, "epsilon_cap_micro", (json_int_t)cap, "delta_e18", (json_int_t)delta,
                      "sandbox", d->o.sandbox);
    ym_buf_release(&variance);
    ym_buf_release(&k);
    with_hash(o, "plan", p->hash);
    with_hash(o, "state", r->state);
    return with_hash(o, "data", r->data);
}

/* The file's blocks are taken before the charge: a full disk costs no budget. */
static enum ym_code reserve_file(struct ym_charged *c, struct ym_status *st)
{
    struct ym_buf hex = {0};
    char name[96];
    int fd, rc;
    enum ym_code code;

    ym_hex_encode(c->state, 8, &hex);
    snprintf(name, sizeof name, "reserved-%s-%u-%u", ym_buf_str(&hex), c->r.round, c->r.attempt);
    ym_buf_release(&hex);
    code = ym_site_path(c->door->o.site, "outbox", name, c->path);
    if (code != YM_OK)
        return ym_status_set(st, code, "the outbox's path is too long");
    fd = open(c->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return ym_status_set(st, YM_EXHAUSTED, "cannot write to the outbox: %s", strerror(errno));
    rc = posix_fallocate(fd, 0, (off_t)(c->r.dim * sizeof *c->update));
    close(fd);
    if (rc != 0)
        return ym_status_set(st, YM_EXHAUSTED, "no room in the outbox: %s", strerror(rc));
    return YM_OK;
}

static enum ym_code charged_new(struct ym_door *d, const struct ym_door_request *r, struct ym_charged **out,
                                struct ym_status *st)
{
    struct ym_charged *c = calloc(1, sizeof *c);

    if (!c)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for an update");
    c->door = d;
    c->r = *r;
    snprintf(c->dataset, sizeof c->dataset, "%s", r->dataset);
    memcpy(c->data, r->data, sizeof c->data);
    memcpy(c->state, r->state, sizeof c->state);
    c->r.dataset = c->dataset;
    c->r.data = c->data;
    c->r.state = c->state;
    c->update = calloc(r->dim, sizeof *c->update);
    *out = c;
    return c->update ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for an update of %zu numbers", r->dim);
}

enum ym_code ym_door_charge(struct ym_door *d, const struct ym_door_request *r, struct ym_charged **out,
                            struct ym_buf *line, struct ym_status *st)
{
    struct ym_charged *c = NULL;
    int64_t alone, after, spent, cap, delta;
    enum ym_code code = charged_new(d, r, &c, st);

    if (code == YM_OK && ym_budget_charged(d->o.budget, r->plan->study, r->round, r->attempt))
        code = ym_status_set(st, YM_CONFLICT, "study \"%s\" round %u attempt %u was charged already", r->plan->study,
                             r->round, r->attempt);
    if (code == YM_OK)
        code = reserve_file(c, st);
    if (code == YM_OK)
        code = ym_door_fits(d, r->plan, r->dataset, &alone, &after, st);
    if (code == YM_OK)
        code = ym_budget_spent(d->o.budget, r->dataset, &spent, &cap, &delta, st);
    if (code == YM_OK)
        code = sign_line(d, "charge", charge_members(d, r, alone, after, cap, delta), r->now, &c->charge_line, st);
    if (code == YM_OK)
        code = ym_buf_append(line, c->charge_line.data, c->charge_line.len);
    if (code == YM_OK)
        code = ym_door_append(d, view(&c->charge_line), &(uint64_t){0}, st);
    if (code != YM_OK) {
        ym_charged_free(&c);
        return code;
    }
    ym_sha256(c->charge_line.data, c->charge_line.len, c->charge);
    *out = c;
    return YM_OK;
}

int64_t *ym_charged_update(struct ym_charged *c)
{
    return c->update;
}

void ym_charged_free(struct ym_charged **charged)
{
    struct ym_charged *c = *charged;

    *charged = NULL;
    if (!c)
        return;
    if (c->update)
        ym_wipe(c->update, c->r.dim * sizeof *c->update);
    free(c->update);
    if (c->path[0])
        unlink(c->path);
    ym_buf_release(&c->charge_line);
    free(c);
}

/* ---- storing and sealing ---- */

static enum ym_code outbox_path(const struct ym_door *d, const uint8_t charge[YM_HASH_BYTES], char out[YM_SITE_PATH])
{
    return ym_site_hash_path(d->o.site, "outbox", charge, ".update", out);
}

static enum ym_code write_over(const char *path, const uint8_t *data, size_t len, struct ym_status *st)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t done = 0;

    if (fd < 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot open the outbox file: %s", strerror(errno));
    while (done < len) {
        ssize_t n = pwrite(fd, data + done, len - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (done < len || fsync(fd) != 0) {
        int e = errno;

        close(fd);
        return ym_status_set(st, YM_EXHAUSTED, "cannot write the outbox file: %s", strerror(e));
    }
    close(fd);
    return YM_OK;
}

static void to_little_endian(int64_t *v, size_t count)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < count; i++)
        v[i] = (int64_t)__builtin_bswap64((uint64_t)v[i]);
#else
    (void)v;
    (void)count;
#endif
}

enum ym_code ym_door_store(struct ym_door *d, struct ym_charged *c, struct ym_status *st)
{
    char path[YM_SITE_PATH], dir[YM_SITE_PATH];
    size_t len = c->r.dim * sizeof *c->update;
    enum ym_code code;

    to_little_endian(c->update, c->r.dim);
    ym_sha256(c->update, len, c->update_hash);
    code = write_over(c->path, (const uint8_t *)c->update, len, st);
    if (code == YM_OK)
        code = outbox_path(d, c->charge, path);
    if (code == YM_OK && rename(c->path, path) != 0)
        code = ym_status_set(st, YM_UNAVAILABLE, "cannot name the outbox file: %s", strerror(errno));
    if (code != YM_OK)
        return code;
    snprintf(c->path, sizeof c->path, "%s", path);
    code = ym_site_path(d->o.site, "outbox", NULL, dir);
    if (code == YM_OK)
        code = ym_fs_sync_dir(dir, st);
    c->stored = code == YM_OK;
    return code;
}

static json_t *release_members(const struct ym_charged *c)
{
    const struct ym_plan *p = c->r.plan;
    json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "study", p->study, "round", (json_int_t)c->r.round,
                          "attempt", (json_int_t)c->r.attempt, "bytes", (json_int_t)(c->r.dim * sizeof *c->update),
                          "scale_bits", (json_int_t)p->update_scale_bits, "width_bits",
                          (json_int_t)p->update_width_bits);

    with_hash(o, "plan", p->hash);
    with_hash(o, "state", c->state);
    with_hash(o, "charge", c->charge);
    return with_hash(o, "update", c->update_hash);
}

enum ym_code ym_door_seal(struct ym_door *d, struct ym_charged **charged, int64_t now, struct ym_release **out,
                          struct ym_buf *line, struct ym_status *st)
{
    struct ym_charged *c = *charged;
    struct ym_release *r;
    enum ym_code code;

    YM_ASSERT(c->stored);
    r = calloc(1, sizeof *r);
    code = r ? sign_line(d, "release", release_members(c), now, &r->release_line, st)
             : ym_status_set(st, YM_EXHAUSTED, "no memory for a release");
    if (code == YM_OK)
        code = ym_buf_append(line, r->release_line.data, r->release_line.len);
    if (code == YM_OK)
        code = ym_door_append(d, view(&r->release_line), &(uint64_t){0}, st);
    if (code != YM_OK) {
        ym_release_free(&r);
        return code;
    }
    r->charge_line = c->charge_line;
    memset(&c->charge_line, 0, sizeof c->charge_line);
    memcpy(r->charge, c->charge, sizeof r->charge);
    snprintf(r->path, sizeof r->path, "%s", c->path);
    r->bytes = c->r.dim * sizeof *c->update;
    c->path[0] = 0; /* the file stays */
    ym_charged_free(charged);
    *out = r;
    return YM_OK;
}

void ym_release_free(struct ym_release **release)
{
    struct ym_release *r = *release;

    *release = NULL;
    if (!r)
        return;
    ym_buf_release(&r->charge_line);
    ym_buf_release(&r->release_line);
    free(r);
}

/* ---- after a restart ---- */

static enum ym_code check_file(const char *path, uint64_t bytes, const uint8_t want[YM_HASH_BYTES],
                               struct ym_status *st)
{
    struct ym_sha256 *h = ym_sha256_new();
    uint8_t block[65536], got[YM_HASH_BYTES];
    uint64_t done = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 1;

    if (fd < 0) {
        ym_sha256_free(h);
        return ym_status_set(st, YM_NOT_FOUND, "the outbox file is gone: %s", strerror(errno));
    }
    while (done <= bytes && (n = read(fd, block, sizeof block)) > 0) {
        ym_sha256_update(h, block, (size_t)n);
        done += (uint64_t)n;
    }
    close(fd);
    ym_sha256_final(&h, got);
    if (n < 0 || done != bytes || memcmp(got, want, sizeof got) != 0)
        return ym_status_set(st, YM_CORRUPT, "the outbox file \"%s\" is not what the ledger says was released", path);
    return YM_OK;
}

static enum ym_code read_release(const struct ym_door *d, struct ym_bytes charge_line, struct ym_bytes release_line,
                                 struct ym_release *r, uint8_t update[YM_HASH_BYTES], struct ym_status *st)
{
    uint8_t charge[YM_HASH_BYTES];
    json_t *o = NULL;
    int64_t bytes = 0;
    enum ym_code code = ym_leaf_open(release_line, d->pub, "release", &o, st);

    ym_sha256(charge_line.data, charge_line.len, r->charge);
    if (code == YM_OK)
        code = ym_json_get_hash(o, "charge", charge, st);
    if (code == YM_OK && memcmp(charge, r->charge, sizeof charge) != 0)
        code = ym_status_set(st, YM_CORRUPT, "the release leaf is for another charge");
    if (code == YM_OK)
        code = ym_json_get_hash(o, "update", update, st);
    if (code == YM_OK)
        code = ym_json_get_int(o, "bytes", 8, (int64_t)YM_FRAME_MAX_TOTAL, &bytes, st);
    r->bytes = (uint64_t)bytes;
    json_decref(o);
    return code;
}

enum ym_code ym_door_recover(struct ym_door *d, struct ym_bytes charge_line, struct ym_bytes release_line,
                             struct ym_release **out, struct ym_status *st)
{
    struct ym_release *r = calloc(1, sizeof *r);
    uint8_t update[YM_HASH_BYTES];
    enum ym_code code = r ? read_release(d, charge_line, release_line, r, update, st)
                          : ym_status_set(st, YM_EXHAUSTED, "no memory for a release");

    if (code == YM_OK)
        code = outbox_path(d, r->charge, r->path);
    if (code == YM_OK)
        code = check_file(r->path, r->bytes, update, st);
    if (code == YM_OK)
        code = ym_buf_append(&r->charge_line, charge_line.data, charge_line.len);
    if (code == YM_OK)
        code = ym_buf_append(&r->release_line, release_line.data, release_line.len);
    if (code != YM_OK) {
        ym_release_free(&r);
        return code;
    }
    *out = r;
    return YM_OK;
}

enum ym_code ym_door_send(struct ym_door *d, struct ym_release **r, struct ym_status *st)
{
    for (size_t i = 0; i < d->release_count; i++)
        if (memcmp(d->release[i]->charge, (*r)->charge, YM_HASH_BYTES) == 0) {
            ym_release_free(r);
            return YM_OK;
        }
    if (d->release_count == YM_DOOR_RELEASES)
        return ym_status_set(st, YM_EXHAUSTED, "%d releases wait for the gateway", YM_DOOR_RELEASES);
    d->release[d->release_count++] = *r;
    *r = NULL;
    return YM_OK;
}

static void remove_at(struct ym_door *d, size_t i)
{
    if (i == 0)
        close_file(d);
    ym_release_free(&d->release[i]);
    d->release_count--;
    memmove(d->release + i, d->release + i + 1, (d->release_count - i) * sizeof *d->release);
}

void ym_door_drop(struct ym_door *d, struct ym_bytes charge_line)
{
    uint8_t charge[YM_HASH_BYTES];
    char path[YM_SITE_PATH];

    ym_sha256(charge_line.data, charge_line.len, charge);
    for (size_t i = 0; i < d->release_count; i++)
        if (memcmp(d->release[i]->charge, charge, sizeof charge) == 0) {
            remove_at(d, i);
            break;
        }
    if (outbox_path(d, charge, path) == YM_OK)
        unlink(path);
}

static bool kept(const char *name, const struct ym_bytes *keep, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t charge[YM_HASH_BYTES];
        struct ym_buf hex = {0};
        bool same;

        ym_sha256(keep[i].data, keep[i].len, charge);
        same = ym_hex_encode(charge, sizeof charge, &hex) == YM_OK &&
               strncmp(name, ym_buf_str(&hex), 2 * sizeof charge) == 0 &&
               strcmp(name + 2 * sizeof charge, ".update") == 0;
        ym_buf_release(&hex);
        if (same)
            return true;
    }
    return false;
}

enum ym_code ym_door_sweep(struct ym_door *d, const struct ym_bytes *keep, size_t count, struct ym_status *st)
{
    char dir[YM_SITE_PATH], path[YM_SITE_PATH];
    char **name = NULL;
    size_t names = 0;
    enum ym_code code = ym_site_path(d->o.site, "outbox", NULL, dir);

    if (code == YM_OK)
        code = ym_fs_list(dir, &name, &names, st);
    for (size_t i = 0; code == YM_OK && i < names; i++)
        if (!kept(name[i], keep, count) && ym_site_path(d->o.site, "outbox", name[i], path) == YM_OK)
            unlink(path);
    ym_fs_names_free(name, names);
    return code;
}

/* ---- the socket ----
 * send_frame is the only caller of ym_link_send in the trainer. */

static bool send_frame(struct ym_door *d, enum ym_frame_kind kind, struct ym_bytes payload, uint32_t room,
                       uint64_t offset, uint64_t total, int64_t now_ms)
{
    struct ym_frame f = {.kind = kind, .offset = offset, .total = total, .payload = payload, .room = room};

    return ym_link_send(d->link, &f, now_ms, NULL) == YM_OK;
}

static bool send_control(struct ym_door *d, int64_t now_ms)
{
    size_t at = d->control_first;
    bool card = d->is_card[at];

    if (!send_frame(d, card ? YM_FRAME_CARD : YM_FRAME_CONTROL, view(&d->control[at]),
                    card ? YM_FRAME_CARD_BYTES : YM_FRAME_CONTROL_BYTES, 0, 0, now_ms))
        return false;
    ym_buf_release(&d->control[at]);
    d->control_first = (at + 1) % YM_DOOR_QUEUE;
    d->control_count--;
    return true;
}

static bool send_head(struct ym_door *d, const struct ym_release *r, int64_t now_ms)
{
    struct ym_buf parts = {0};
    bool sent;

    d->fd = open(r->path, O_RDONLY | O_CLOEXEC);
    if (d->fd < 0)
        return false;
    sent = ym_parts_append(&parts, view(&r->charge_line)) == YM_OK &&
           ym_parts_append(&parts, view(&r->release_line)) == YM_OK &&
           send_frame(d, YM_FRAME_RELEASE, view(&parts), YM_FRAME_RELEASE_BYTES, 0, 0, now_ms);
    if (!sent)
        close_file(d);
    ym_buf_release(&parts);
    return sent;
}

static bool send_chunk(struct ym_door *d, const struct ym_release *r, int64_t now_ms)
{
    static uint8_t chunk[YM_FRAME_MAX_PAYLOAD];
    size_t want = r->bytes - d->offset < sizeof chunk ? (size_t)(r->bytes - d->offset) : sizeof chunk;
    ssize_t n = pread(d->fd, chunk, want, (off_t)d->offset);

    if (n != (ssize_t)want)
        return false;
    if (!send_frame(d, YM_FRAME_RELEASE_DATA, (struct ym_bytes){chunk, want}, 0, d->offset, r->bytes, now_ms))
        return false;
    d->offset += want;
    return true;
}

static bool send_release(struct ym_door *d, int64_t now_ms)
{
    const struct ym_release *r = d->release[0];

    if (!(d->fd < 0 ? send_head(d, r, now_ms) : send_chunk(d, r, now_ms))) {
        remove_at(d, 0); /* unreadable outbox: the next restart or task looks again */
        return false;
    }
    if (d->fd >= 0 && d->offset == r->bytes)
        remove_at(d, 0);
    return true;
}

void ym_door_pump(struct ym_door *d, int64_t now_ms)
{
    bool went = true;

    while (went && d->link && ym_link_room(d->link) > 0) {
        if (d->control_count > 0)
            went = send_control(d, now_ms);
        else if (d->release_count > 0)
            went = send_release(d, now_ms);
        else
            went = false;
    }
}
