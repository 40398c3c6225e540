#include "worker/gateway/tasks.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/leaf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"

/* One leaf on its way to the trainer. */
struct item {
    struct ym_buf payload; /* empty: none */
    bool given;
};

struct study {
    char name[64];
    uint64_t touched;
    struct item plan, round, collect, closed;
    uint8_t state[YM_HASH_BYTES]; /* of round and collect */
    uint64_t state_bytes;         /* 0: none */
    bool state_given;
};

struct ym_tasks {
    const char *objects;
    struct study study[YM_TASKS_STUDIES];
    size_t count;
    uint64_t clock;
    /* the object under way */
    struct study *sending;
    int fd;
    uint64_t at;
    uint8_t *chunk;
};

struct ym_tasks *ym_tasks_new(const char *objects_dir)
{
    struct ym_tasks *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->objects = objects_dir;
    t->fd = -1;
    return t;
}

static void stop_sending(struct ym_tasks *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    t->sending = NULL;
    t->at = 0;
    free(t->chunk);
    t->chunk = NULL;
}

static void study_release(struct study *s)
{
    ym_buf_release(&s->plan.payload);
    ym_buf_release(&s->round.payload);
    ym_buf_release(&s->collect.payload);
    ym_buf_release(&s->closed.payload);
}

void ym_tasks_free(struct ym_tasks *t)
{
    if (!t)
        return;
    stop_sending(t);
    for (size_t i = 0; i < t->count; i++)
        study_release(&t->study[i]);
    free(t);
}

void ym_tasks_again(struct ym_tasks *t)
{
    stop_sending(t);
    for (size_t i = 0; i < t->count; i++) {
        struct study *s = &t->study[i];

        s->plan.given = s->round.given = s->collect.given = s->closed.given = s->state_given = false;
    }
}

static enum ym_code state_path(const struct ym_tasks *t, const struct study *s, char path[YM_HOME_PATH])
{
    struct ym_buf hex = {0};
    enum ym_code code = ym_hex_encode(s->state, YM_HASH_BYTES, &hex);

    if (code == YM_OK)
        code = ym_fs_join(path, YM_HOME_PATH, t->objects, ym_buf_str(&hex));
    ym_buf_release(&hex);
    return code;
}

/* The state and its file, which no other study shares. Only what a task named goes: the
 * courier may have fetched the next state already, and its task waits behind this one. */
static void forget_state(struct ym_tasks *t, struct study *s)
{
    char path[YM_HOME_PATH];

    if (t->sending == s)
        stop_sending(t);
    if (s->state_bytes > 0 && state_path(t, s, path) == YM_OK)
        unlink(path);
    s->state_bytes = 0;
}

/* ---- taking tasks ---- */

static struct study *find(struct ym_tasks *t, const char *name)
{
    struct study *s = NULL, *oldest = &t->study[0];

    for (size_t i = 0; i < t->count && !s; i++) {
        if (strcmp(t->study[i].name, name) == 0)
            s = &t->study[i];
        if (t->study[i].touched < oldest->touched)
            oldest = &t->study[i];
    }
    if (!s && t->count < YM_TASKS_STUDIES)
        s = &t->study[t->count++];
    if (!s) { /* full: the one not heard of for longest makes room; the hub gives it again */
        forget_state(t, oldest);
        study_release(oldest);
        s = oldest;
    }
    if (strcmp(s->name, name) != 0) {
        memset(s, 0, sizeof *s);
        snprintf(s->name, sizeof s->name, "%s", name);
    }
    s->touched = ++t->clock;
    return s;
}

static void set_item(struct item *to, struct ym_buf *payload)
{
    ym_buf_release(&to->payload);
    to->payload = *payload;
    to->given = false;
    memset(payload, 0, sizeof *payload);
}

static void drop_item(struct item *i)
{
    ym_buf_release(&i->payload);
}

static enum ym_code set_plan(struct study *s, struct ym_courier_event *e)
{
    struct ym_buf parts = {0};
    enum ym_code code = ym_parts_append(&parts, (struct ym_bytes){e->object.data, e->object.len});

    if (code == YM_OK)
        code = ym_parts_append(&parts, (struct ym_bytes){e->leaf.data, e->leaf.len});
    if (code == YM_OK)
        code = ym_parts_append(&parts, (struct ym_bytes){e->enrol_leaf.data, e->enrol_leaf.len});
    if (code == YM_OK && parts.len <= YM_FRAME_MAX_PAYLOAD)
        set_item(&s->plan, &parts);
    ym_buf_release(&parts);
    return code;
}

/* again: another attempt on a state that was given; the trainer may have had no room for it. */
static void set_state(struct ym_tasks *t, struct study *s, const struct ym_courier_event *e, bool again)
{
    if (e->object_bytes == 0)
        return;
    if (s->state_bytes == e->object_bytes && memcmp(s->state, e->object_hash, sizeof s->state) == 0) {
        s->state_given = s->state_given && !again;
        return;
    }
    forget_state(t, s);
    memcpy(s->state, e->object_hash, sizeof s->state);
    s->state_bytes = e->object_bytes;
    s->state_given = false;
}

enum ym_code ym_tasks_add(struct ym_tasks *t, struct ym_courier_event *e, struct ym_status *st)
{
    json_t *o = NULL;
    const char *name = "";
    struct study *s;
    bool last;
    enum ym_code code = ym_leaf_parse((struct ym_bytes){e->leaf.data, e->leaf.len}, &o, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "study", &name, st);
    if (code == YM_OK && !ym_name_valid(name))
        code = ym_status_set(st, YM_INVALID, "a task names no study");
    s = code == YM_OK ? find(t, name) : NULL;
    last = json_is_true(json_object_get(o, "last")) || json_is_true(json_object_get(o, "final"));
    json_decref(o);
    if (!s)
        return code;
    switch (e->task) {
    case YUMEN__V1__TASK_KIND__TASK_KIND_PLAN:
        return e->object.len > 0 ? set_plan(s, e) : YM_OK;
    case YUMEN__V1__TASK_KIND__TASK_KIND_ROUND:
        set_state(t, s, e, true);
        set_item(&s->round, &e->leaf);
        drop_item(&s->collect);
        break;
    case YUMEN__V1__TASK_KIND__TASK_KIND_COLLECT:
        set_state(t, s, e, false);
        set_item(&s->collect, &e->leaf);
        break;
    case YUMEN__V1__TASK_KIND__TASK_KIND_CLOSED:
        set_item(&s->closed, &e->leaf);
        drop_item(&s->round);
        drop_item(&s->collect);
        if (t->sending == s)
            stop_sending(t);
        if (last) /* else the next attempt may begin from the same state */
            forget_state(t, s);
        break;
    default:
        return ym_status_set(st, YM_INVALID, "task kind %d is not known", (int)e->task);
    }
    return YM_OK;
}

/* ---- giving them ---- */

static bool send_payload(struct ym_link *l, enum ym_frame_kind kind, const struct ym_buf *payload, int64_t now_ms)
{
    struct ym_frame f = {.kind = kind, .payload = {payload->data, payload->len}};

    return ym_link_send(l, &f, now_ms, NULL) == YM_OK;
}

/* 1: sent; 0: nothing to send; -1: the window is full. */
static int feed_item(struct item *i, enum ym_frame_kind kind, struct ym_link *l, int64_t now_ms)
{
    if (i->payload.len == 0 || i->given)
        return 0;
    if (!send_payload(l, kind, &i->payload, now_ms))
        return -1;
    i->given = true;
    return 1;
}

static bool open_object(struct ym_tasks *t, struct study *s)
{
    char path[YM_HOME_PATH];

    if (state_path(t, s, path) == YM_OK)
        t->fd = open(path, O_RDONLY | O_CLOEXEC);
    t->chunk = malloc(YM_HASH_BYTES + YM_FRAME_OBJECT_DATA);
    if (t->fd < 0 || !t->chunk) {
        ym_log(YM_LOG_WARN, "gateway.object", "study=%s why=\"cannot be read\"", s->name);
        stop_sending(t);
        return false;
    }
    memcpy(t->chunk, s->state, YM_HASH_BYTES);
    t->sending = s;
    t->at = 0;
    return true;
}

static int feed_object(struct ym_tasks *t, struct study *s, struct ym_link *l, int64_t now_ms)
{
    struct ym_frame f = {.kind = YM_FRAME_OBJECT, .total = s->state_bytes};
    uint64_t left;
    ssize_t n;

    if (t->sending != s) {
        stop_sending(t);
        if (!open_object(t, s)) {
            s->state_given = true; /* the trainer will say state_mismatch */
            return 0;
        }
    }
    left = s->state_bytes - t->at;
    n = pread(t->fd, t->chunk + YM_HASH_BYTES, left < YM_FRAME_OBJECT_DATA ? (size_t)left : YM_FRAME_OBJECT_DATA,
              (off_t)t->at);
    if (n <= 0) {
        stop_sending(t);
        s->state_given = true;
        return 0;
    }
    f.offset = t->at;
    f.payload = (struct ym_bytes){t->chunk, YM_HASH_BYTES + (size_t)n};
    if (ym_link_send(l, &f, now_ms, NULL) != YM_OK)
        return -1;
    t->at += (uint64_t)n;
    if (t->at == s->state_bytes) {
        stop_sending(t);
        s->state_given = true;
    }
    return 1;
}

static bool wants_state(const struct study *s)
{
    bool round = s->round.payload.len > 0 && !s->round.given, collect = s->collect.payload.len > 0 && !s->collect.given;

    return (round || collect) && s->state_bytes > 0 && !s->state_given;
}

static int feed_study(struct ym_tasks *t, struct study *s, struct ym_link *l, int64_t now_ms)
{
    int sent = feed_item(&s->plan, YM_FRAME_PLAN, l, now_ms);

    if (sent == 0)
        sent = feed_item(&s->closed, YM_FRAME_CLOSED, l, now_ms); /* always of an attempt before round and collect */
    if (sent == 0 && wants_state(s))
        return feed_object(t, s, l, now_ms);
    if (sent == 0)
        sent = feed_item(&s->round, YM_FRAME_ROUND, l, now_ms);
    return sent == 0 ? feed_item(&s->collect, YM_FRAME_COLLECT, l, now_ms) : sent;
}

/* One object at a time: what is being sent goes on before other studies. */
bool ym_tasks_feed(struct ym_tasks *t, struct ym_link *l, int64_t now_ms)
{
    int sent = 0;

    if (ym_link_room(l) == 0)
        return false;
    if (t->sending)
        return feed_object(t, t->sending, l, now_ms) > 0;
    for (size_t i = 0; i < t->count && sent == 0; i++)
        sent = feed_study(t, &t->study[i], l, now_ms);
    return sent > 0;
}
