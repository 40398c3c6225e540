#include "worker/trainer/door_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "audit/limits.h"
#include "audit/spend.h"
#include "base/calendar.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "privacy/clip.h"

/* ---- charging ---- */

/* The study's own ceiling: all its charges here and what is to come, at the plan's delta. */
static enum ym_code study_fits(const struct ym_door *d, const struct ym_plan *plan, const struct ym_events *e,
                               struct ym_status *st)
{
    const __int128 micro_scaled = (__int128)1000000000000;
    int64_t micro;
    enum ym_code code = ym_budget_study(d->o.budget, plan->study, e, (int64_t)plan->delta.scaled, &micro, st);

    if (code == YM_OK && micro > (int64_t)(plan->epsilon_max.scaled / micro_scaled))
        code = ym_status_set(st, YM_EXHAUSTED, "study \"%s\" would spend epsilon %.6f here; its plan allows %.6f",
                             plan->study, (double)micro / 1e6, ym_decimal_double(plan->epsilon_max));
    return code;
}

/* What the hospital must have explained, and what no delta may exceed, whatever fits. */
static enum ym_code plan_allowed(const struct ym_door *d, const struct ym_plan *plan, const char *dataset,
                                 struct ym_status *st)
{
    struct ym_buf hash = {0};
    int64_t epsilon = ym_plan_epsilon_micro(plan);
    enum ym_code code = ym_hex_encode(plan->hash, sizeof plan->hash, &hash);

    if (code != YM_OK)
        return ym_status_set(st, code, "no memory");
    if (!ym_budget_explained(d->o.budget, ym_buf_str(&hash), epsilon))
        code = ym_status_set(st, YM_DENIED, T(REFUSE_EPSILON_PLAN), (double)epsilon / 1e6,
                             YM_EPSILON_PLAIN_MICRO / 1000000);
    ym_buf_release(&hash);
    return code == YM_OK ? ym_budget_delta(d->o.budget, dataset, (int64_t)plan->delta.scaled, true, st) : code;
}

enum ym_code ym_door_fits(const struct ym_door *d, const struct ym_plan *plan, const char *dataset, uint32_t first,
                          uint32_t last, int64_t *alone_micro, int64_t *after_micro, struct ym_status *st)
{
    struct ym_events e;
    enum ym_code code;

    ym_plan_events(plan, first, last, &e);
    code = ym_budget_check(d->o.budget, dataset, &e, alone_micro, after_micro, st);
    if (code == YM_OK)
        code = plan_allowed(d, plan, dataset, st);
    return code == YM_OK ? study_fits(d, plan, &e, st) : code;
}

enum ym_code ym_door_may_charge(const struct ym_door *d, const struct ym_plan *plan, const char *dataset,
                                uint32_t round, int64_t now, int64_t *alone_micro, int64_t *after_micro,
                                struct ym_status *st)
{
    struct ym_events e;
    enum ym_code code = ym_door_fits(d, plan, dataset, round, round, alone_micro, after_micro, st);

    ym_plan_events(plan, round, round, &e);
    return code == YM_OK ? ym_budget_month_check(d->o.budget, dataset, &e, now, st) : code;
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

static bool put_event(json_t *o, const struct ym_event *e)
{
    struct ym_buf variance = {0}, k = {0};
    bool good = o && ym_u128_format((unsigned __int128)e->sigma_units * e->sigma_units, &variance) == YM_OK &&
                ym_u128_format(e->sampling_k, &k) == YM_OK &&
                json_object_set_new(o, "noise_variance", json_string(ym_buf_str(&variance))) == 0 &&
                json_object_set_new(o, "sampling_k", json_string(ym_buf_str(&k))) == 0 &&
                json_object_set_new(o, "steps", json_integer((json_int_t)e->steps)) == 0;

    ym_buf_release(&variance);
    ym_buf_release(&k);
    return good;
}

static bool put_events(json_t *o, const struct ym_events *e)
{
    json_t *also = json_array();
    bool good = put_event(o, &e->event[0]);

    for (size_t i = 1; good && i < e->count; i++) {
        json_t *one = json_pack("{s:s}", "for", ym_spend_use_name(e->use[i]));

        good = put_event(one, &e->event[i]);
        good = json_array_append_new(also, one) == 0 && good;
    }
    return json_object_set_new(o, "also", also) == 0 && good;
}

/* At most two: a window longer than a year would count the same people over and over. */
static int last_year(const struct ym_door_request *r)
{
    int first = ym_year_of(r->now);

    return ym_year_of(r->until) > first ? first + 1 : first;
}

/* Who exports how many people, on disk before the charge, and on what decision. */
static enum ym_code count_people(const struct ym_door *d, const struct ym_door_request *r, json_t **out,
                                 struct ym_status *st)
{
    static const uint8_t nothing[YM_HASH_BYTES];
    const struct ym_meter_charge c = {.exporter = r->exporter,
                                      .study = r->plan->study,
                                      .round = r->round,
                                      .attempt = r->attempt,
                                      .first_year = ym_year_of(r->now),
                                      .last_year = last_year(r),
                                      .cohort = r->cohort};
    json_t *o, *people = NULL;
    enum ym_code code = r->cohort && r->exporter
                            ? ym_meter_keep(d->o.meter, &c, &people, st)
                            : ym_status_set(st, YM_DENIED, "nobody said whose data this round uses");

    if (code != YM_OK)
        return code;
    o = json_pack("{s:o}", "people", people);
    *out = with_hash(with_hash(o, "exporter", r->exporter), "decision", r->decision ? r->decision : nothing);
    return o ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for a charge leaf");
}

static json_t *charge_members(const struct ym_door *d, const struct ym_door_request *r, int64_t alone, int64_t after,
                              int64_t cap, int64_t delta, json_t *counted)
{
    const struct ym_plan *p = r->plan;
    struct ym_events events;
    json_t *o =
        json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s}", "study",
                  p->study, "round", (json_int_t)r->round, "attempt", (json_int_t)r->attempt, "dataset", r->dataset,
                  "mechanism", "poisson-sampled rounded gaussian", "route", ym_plan_route_word(p->route), "clip_units",
                  (json_int_t)YM_CLIP_UNITS, "unit", "patient", "relation", "add-or-remove-one", "accountant", "rdp/1",
                  "epsilon_round_micro", (json_int_t)alone, "epsilon_spent_micro", (json_int_t)after,
                  "epsilon_cap_micro", (json_int_t)cap, "delta_e18", (json_int_t)delta, "identified",
                  ym_budget_card(d->o.budget, r->dataset)->identified, "sandbox", d->o.sandbox, "build",
                  d->o.program->build, "binary", d->o.program->binary);

    ym_plan_events(p, r->round, r->round, &events);
    if (!put_events(o, &events) || json_object_update(o, counted) != 0 ||
        (r->us && json_object_set(o, "us", r->us) != 0)) {
        json_decref(o);
        return NULL;
    }
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
    struct ym_charged *c;

    if (r->dim == 0 || r->dim > YM_PLAN_MAX_PARAMS)
        return ym_status_set(st, YM_EXHAUSTED, "an update of %zu numbers is out of bounds", r->dim);
    c = calloc(1, sizeof *c);
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
    json_t *counted = NULL;
    int64_t alone, after, spent, cap, delta;
    enum ym_code code = charged_new(d, r, &c, st);

    if (code == YM_OK && ym_budget_charged(d->o.budget, r->plan->study, r->round, r->attempt))
        code = ym_status_set(st, YM_CONFLICT, "study \"%s\" round %u attempt %u was charged already", r->plan->study,
                             r->round, r->attempt);
    if (code == YM_OK)
        code = reserve_file(c, st);
    if (code == YM_OK)
        code = ym_door_may_charge(d, r->plan, r->dataset, r->round, r->now, &alone, &after, st);
    if (code == YM_OK)
        code = ym_budget_spent(d->o.budget, r->dataset, &spent, &cap, &delta, st);
    if (code == YM_OK)
        code = count_people(d, r, &counted, st);
    if (code == YM_OK)
        code = sign_line(d, "charge", charge_members(d, r, alone, after, cap, delta, counted), r->now, &c->charge_line,
                         st);
    json_decref(counted);
    if (code == YM_OK)
        code = ym_buf_append(line, c->charge_line.data, c->charge_line.len);
    if (code == YM_OK)
        code = ym_door_append(d, ym_buf_bytes(&c->charge_line), &(uint64_t){0}, st);
    if (code != YM_OK) {
        ym_charged_free(&c);
        return code;
    }
    ym_meter_sweep(d->o.meter);
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
        code = ym_outbox_path(d, c->charge, path);
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
    json_t *o =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "study", p->study, "round", (json_int_t)c->r.round, "attempt",
                  (json_int_t)c->r.attempt, "bytes", (json_int_t)(c->r.dim * sizeof *c->update), "scale_bits",
                  (json_int_t)p->update_scale_bits, "width_bits", (json_int_t)p->update_width_bits);

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
    if (ym_year_of(now) > last_year(&c->r))
        return ym_status_set(st, YM_DENIED, "a year began for which the charge did not count its people");
    r = calloc(1, sizeof *r);
    code = r ? sign_line(d, "release", release_members(c), now, &r->release_line, st)
             : ym_status_set(st, YM_EXHAUSTED, "no memory for a release");
    if (code == YM_OK)
        code = ym_buf_append(line, r->release_line.data, r->release_line.len);
    if (code == YM_OK)
        code = ym_door_append(d, ym_buf_bytes(&r->release_line), &(uint64_t){0}, st);
    if (code != YM_OK) {
        ym_release_free(&r);
        return code;
    }
    r->charge_line = c->charge_line;
    memset(&c->charge_line, 0, sizeof c->charge_line);
    memcpy(r->charge, c->charge, sizeof r->charge);
    snprintf(r->path, sizeof r->path, "%s", c->path);
    r->bytes = c->r.dim * sizeof *c->update;
    r->last_year = last_year(&c->r);
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
