#include "worker/trainer/door_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "base/calendar.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "privacy/clip.h"
#include "worker/trainer/core.h"

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

void ym_door_close_file(struct ym_door *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    d->offset = 0;
}

void ym_door_reset(struct ym_door *d)
{
    ym_door_close_file(d);
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
    if (code == YM_OK)
        code = ym_meter_take(d->o.meter, line, st);
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
    {"approval", false, " study plan dataset data epsilon_micro seals "},
    {"veto", false, " study plan "},
    {"pause", false, " study paused "},
    {"say_ready", false, " study round attempt plan state "},
    {"say_declined", false, " study round attempt reason "},
    {"say_checked", false, " study plan ok reason "},
    {"say_enrol", false, " token_id spki name hub enrol pin identity_key proof signature "},
    {"say_cosigned", false, " log size root at cosigner cosignature own_log own_size own_root own_signature instance "},
    {"say_session", false, " instance size root log_from hub_note "},
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
    bool card = false;
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

    if (!send_frame(d, card ? YM_FRAME_CARD : YM_FRAME_CONTROL, ym_buf_bytes(&d->control[at]),
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
    sent = ym_parts_append(&parts, ym_buf_bytes(&r->charge_line)) == YM_OK &&
           ym_parts_append(&parts, ym_buf_bytes(&r->release_line)) == YM_OK &&
           send_frame(d, YM_FRAME_RELEASE, ym_buf_bytes(&parts), YM_FRAME_RELEASE_BYTES, 0, 0, now_ms);
    if (!sent)
        ym_door_close_file(d);
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

    if (ym_year_of(d->o.clock()) > r->last_year) {
        ym_log(YM_LOG_WARN, "door.year", "counted=%d", r->last_year); /* its people were not counted this year */
        ym_door_remove_at(d, 0);
        return true;
    }
    if (!(d->fd < 0 ? send_head(d, r, now_ms) : send_chunk(d, r, now_ms))) {
        ym_door_remove_at(d, 0); /* unreadable outbox: the next restart or task looks again */
        return false;
    }
    if (d->fd >= 0 && d->offset == r->bytes)
        ym_door_remove_at(d, 0);
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
