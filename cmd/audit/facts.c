#include "cmd/audit/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/crypto.h"
#include "base/fs.h"

struct reading {
    const struct ym_verification *v;
    const char *objects;
    struct facts *f;
    struct ym_vmap seen; /* leaves, and who was where */
    size_t log;
    uint64_t at;
    const struct ym_entry *e;
    bool no_memory;
};

void *audit_grow(void *array, size_t *count, size_t size)
{
    void **p = array;
    char *grown = *p;

    if ((*count & (*count - 1)) == 0) {
        grown = realloc(*p, (*count ? 2 * *count : 1) * size);
        if (!grown)
            return NULL;
        *p = grown;
    }
    memset(grown + *count * size, 0, size);
    return grown + (*count)++ * size;
}

#define NEW(r, what) ((r)->no_memory ? NULL : keep_room(r, AUDIT_GROW((r)->f->what, (r)->f->what##_count)))
#define COPY(to, text) snprintf((to), sizeof(to), "%s", (text))

static void *keep_room(struct reading *r, void *item)
{
    r->no_memory |= !item;
    return item;
}

static const char *text(const struct reading *r, const char *member)
{
    return ym_entry_text(r->e, member);
}

static int64_t number(const struct reading *r, const char *member)
{
    return ym_entry_int(r->e, member);
}

static void add_event(struct reading *r, enum fact_event_kind kind, const char *who, const char *words)
{
    struct fact_event *x;

    if (++r->f->event_total > FACT_EVENTS_MAX || !(x = NEW(r, event)))
        return;
    x->kind = kind;
    x->log = r->log;
    x->entry = r->at;
    x->time = number(r, "time");
    COPY(x->who, who);
    COPY(x->text, words);
}

/* The same, about an attempt of a study. */
static void add_attempt_event(struct reading *r, enum fact_event_kind kind, const char *who, const char *words)
{
    struct fact_event *x;

    add_event(r, kind, who, words);
    if (r->f->event_total > FACT_EVENTS_MAX || r->no_memory)
        return;
    x = &r->f->event[r->f->event_count - 1];
    COPY(x->study, text(r, "study"));
    x->round = number(r, "round");
    x->attempt = number(r, "attempt");
}

static struct ym_plan *read_plan(const char *objects, const char *hash)
{
    struct ym_buf bytes = {0};
    struct ym_plan *plan = NULL;
    char path[4096], actual[65] = "";
    uint8_t raw[YM_VHASH];

    if (objects && ym_fs_join(path, sizeof(path), objects, hash) == YM_OK &&
        ym_fs_read(path, YM_PLAN_MAX_BYTES, &bytes, NULL) == YM_OK) {
        ym_vhash(bytes.data, bytes.len, raw);
        ym_vhex_text(raw, sizeof(raw), actual);
    }
    if (strcmp(actual, hash) == 0)
        ym_plan_decode(bytes.data, bytes.len, &plan, NULL);
    ym_buf_release(&bytes);
    return plan;
}

/* The study of this name, made when it is new; SIZE_MAX without memory. */
static size_t study_of(struct reading *r, const char *name)
{
    struct fact_study *s;

    for (size_t i = 0; i < r->f->study_count; i++)
        if (strcmp(r->f->study[i].name, name) == 0)
            return i;
    s = NEW(r, study);
    if (!s)
        return SIZE_MAX;
    COPY(s->name, name);
    return r->f->study_count - 1;
}

static void name_plan(struct reading *r, struct fact_study *s, const char *hash)
{
    if (strcmp(s->plan_hash, hash) == 0)
        return;
    COPY(s->plan_hash, hash);
    ym_plan_free(s->plan);
    s->plan = read_plan(r->objects, hash);
}

/* ---- a leaf type each ---- */

static void add_party(struct reading *r, const char *key)
{
    struct fact_party *p;

    for (size_t i = 0; i < r->f->party_count; i++)
        if (strcmp(r->f->party[i].name, text(r, "name")) == 0 && strcmp(r->f->party[i].key, key) == 0)
            return;
    p = NEW(r, party);
    if (!p)
        return;
    COPY(p->name, text(r, "name"));
    COPY(p->role, text(r, "role"));
    COPY(p->key, key);
    p->since = number(r, "time");
}

static void take_enrol(struct reading *r)
{
    uint8_t pub[32];
    char id[17];

    COPY(r->f->federation, text(r, "federation"));
    ym_entry_pub(r->e, "identity_key", pub);
    ym_entry_key_id(pub, id);
    add_party(r, id);
}

static void take_card(struct reading *r)
{
    struct fact_card *c = NEW(r, card);

    if (!c)
        return;
    COPY(c->hospital, r->e->by);
    COPY(c->dataset, text(r, "dataset"));
    COPY(c->hash, text(r, "card"));
    COPY(c->title, ym_entry_inner(r->e, "public", "title"));
    COPY(c->size_class, ym_entry_inner(r->e, "public", "size_class"));
    COPY(c->identified, ym_entry_inner(r->e, "public", "patient_identifier"));
    c->group = r->f->card_count - 1;
    for (size_t i = 0; i + 1 < r->f->card_count; i++) {
        struct fact_card *other = &r->f->card[i];

        if (strcmp(other->hospital, c->hospital) != 0 || !ym_entry_lists(r->e, "group", other->dataset))
            continue;
        for (size_t k = 0, from = other->group; k + 1 < r->f->card_count; k++)
            if (r->f->card[k].group == from)
                r->f->card[k].group = c->group;
    }
}

static void take_plan(struct reading *r)
{
    size_t s = study_of(r, text(r, "study"));

    if (s == SIZE_MAX)
        return;
    COPY(r->f->study[s].sponsor, text(r, "sponsor"));
    r->f->study[s].offered = number(r, "time");
    name_plan(r, &r->f->study[s], text(r, "plan"));
}

static void take_decision(struct reading *r, enum fact_decision_kind kind)
{
    size_t s = study_of(r, text(r, "study"));
    struct fact_decision *d = s == SIZE_MAX ? NULL : NEW(r, decision);

    if (!d)
        return;
    d->kind = kind;
    d->study = s;
    d->time = number(r, "time");
    COPY(d->hospital, r->e->by);
    COPY(d->plan, text(r, "plan"));
    if (kind == FACT_APPROVAL) {
        COPY(d->dataset, text(r, "dataset"));
        COPY(d->data, text(r, "data"));
        d->epsilon_micro = number(r, "epsilon_micro");
    } else {
        add_event(r, FACT_VETOED, r->e->by, text(r, "study"));
    }
}

static void take_open(struct reading *r)
{
    size_t s = study_of(r, text(r, "study"));

    if (s == SIZE_MAX)
        return;
    if (!r->f->study[s].begun) {
        r->f->study[s].begun = number(r, "time");
        COPY(r->f->study[s].first_state, text(r, "state"));
    }
    name_plan(r, &r->f->study[s], text(r, "plan"));
    if (number(r, "attempt") > 1)
        add_attempt_event(r, FACT_REPEATED, r->e->by, "");
}

/* Who ran what: a program of a signer is one line for as long as it is the same. */
static void take_program(struct reading *r, const char *role)
{
    struct fact_program *p = NULL;
    bool before = false;

    for (size_t i = 0; i < r->f->program_count; i++)
        if (strcmp(r->f->program[i].who, r->e->by) == 0 && strcmp(r->f->program[i].role, role) == 0) {
            p = &r->f->program[i];
            before = true;
        }
    if (!p || strcmp(p->binary, text(r, "binary")) != 0) {
        p = NEW(r, program);
        if (!p)
            return;
        COPY(p->who, r->e->by);
        COPY(p->role, role);
        COPY(p->build, text(r, "build"));
        COPY(p->binary, text(r, "binary"));
        p->first = number(r, "time");
        p->changed = before;
        if (before)
            add_attempt_event(r, FACT_PROGRAM, r->e->by, text(r, "binary"));
    }
    p->last = number(r, "time");
    p->entries++;
}

static struct fact_member *member_of(struct reading *r, struct fact_study *s, const char *name)
{
    struct fact_member *m;

    for (size_t i = 0; i < s->member_count; i++)
        if (strcmp(s->member[i].hospital, name) == 0)
            return &s->member[i];
    m = keep_room(r, AUDIT_GROW(s->member, s->member_count));
    if (m)
        COPY(m->hospital, name);
    return m;
}

static void take_part(struct reading *r, struct fact_study *s, const char *members, bool counted)
{
    int64_t round = number(r, "round");
    const char *name;

    for (size_t i = 0; (name = ym_entry_nth(r->e, members, i)) && !r->no_memory; i++) {
        struct fact_member *m = member_of(r, s, name);

        if (!m)
            return;
        m->counted += counted;
        m->left_out += !counted;
        if (round <= FACT_ROUNDS_SHOWN)
            m->part[round - 1] = counted ? '+' : '-';
    }
}

/* As the files of the model name it (docs/results.md, "Notices"). */
static void name_content(const struct reading *r, struct fact_study *s)
{
    uint8_t hash[YM_VHASH];
    char hex[2 * YM_VHASH + 1];

    ym_vleaf_hash(r->e->line, hash);
    ym_vhex_text(hash, sizeof hash, hex);
    snprintf(s->content, sizeof s->content, "%s#%" PRIu64 ":%s", r->v->log[r->log].origin, r->at, hex);
}

static void take_result(struct reading *r)
{
    size_t s = study_of(r, text(r, "study"));
    const char *name;

    if (s == SIZE_MAX)
        return;
    r->f->study[s].rounds = number(r, "round");
    r->f->study[s].done |= ym_entry_bool(r->e, "last");
    r->f->study[s].ended = number(r, "time");
    COPY(r->f->study[s].last_state, text(r, "state_after"));
    COPY(r->f->study[s].last_sum, text(r, "sum"));
    name_content(r, &r->f->study[s]);
    take_part(r, &r->f->study[s], "survivors", true);
    take_part(r, &r->f->study[s], "left_out", false);
    for (size_t i = 0; (name = ym_entry_nth(r->e, "left_out", i)); i++)
        add_attempt_event(r, FACT_LEFT_OUT, name, "");
    take_program(r, "hub");
}

static void take_abort(struct reading *r)
{
    size_t s = study_of(r, text(r, "study"));
    bool final = ym_entry_bool(r->e, "final");

    if (s == SIZE_MAX)
        return;
    if (final) {
        r->f->study[s].aborted = true;
        r->f->study[s].ended = number(r, "time");
    }
    add_attempt_event(r, final ? FACT_STUDY_ABORT : FACT_ABORT, r->e->by, text(r, "reason"));
}

static void take_pause(struct reading *r)
{
    add_event(r, ym_entry_bool(r->e, "paused") ? FACT_PAUSED : FACT_RESUMED, r->e->by, text(r, "study"));
}

static void take_override(struct reading *r)
{
    add_event(r, FACT_OVERRIDE, r->e->by, text(r, "reason"));
    if (r->f->event_total <= FACT_EVENTS_MAX && !r->no_memory)
        r->f->event[r->f->event_count - 1].epsilon_micro = number(r, "epsilon_micro");
}

/* ---- what may cross the border (docs/border.md) ---- */

static void take_border(struct reading *r)
{
    add_event(r, ym_entry_bool(r->e, "asked") ? FACT_BORDER_ASKED : FACT_BORDER_UNASKED, r->e->by, text(r, "reason"));
}

static void take(struct reading *r)
{
    switch (r->e->type) {
    case YM_ENTRY_GENESIS:
        add_party(r, r->e->key);
        break;
    case YM_ENTRY_ENROL:
        take_enrol(r);
        break;
    case YM_ENTRY_CARD:
        take_card(r);
        break;
    case YM_ENTRY_PLAN:
        take_plan(r);
        break;
    case YM_ENTRY_APPROVAL:
        take_decision(r, FACT_APPROVAL);
        break;
    case YM_ENTRY_VETO:
        take_decision(r, FACT_VETO);
        break;
    case YM_ENTRY_ROUND_OPEN:
        take_open(r);
        break;
    case YM_ENTRY_CHARGE:
        take_program(r, "hospital");
        break;
    case YM_ENTRY_ROUND_RESULT:
        take_result(r);
        break;
    case YM_ENTRY_ABORT:
        take_abort(r);
        break;
    case YM_ENTRY_PAUSE:
        take_pause(r);
        break;
    case YM_ENTRY_OVERRIDE:
        take_override(r);
        break;
    case YM_ENTRY_REVOKE:
        add_event(r, FACT_REVOKED, text(r, "name"), text(r, "reason"));
        break;
    case YM_ENTRY_INCIDENT:
        add_event(r, FACT_INCIDENT, r->e->by, text(r, "reason"));
        break;
    case YM_ENTRY_BORDER:
        take_border(r);
        break;
    case YM_ENTRY_RECOVER:
        add_event(r, FACT_RECOVERED, r->e->by, text(r, "reason"));
        break;
    default:
        break;
    }
}

/* What a hospital's own ledger charges, each once: the hub's copies are copies. */
static void keep_charge(struct reading *r)
{
    struct fact_charge *c;

    if (r->e->type != YM_ENTRY_CHARGE || strcmp(r->v->log[r->log].role, "hub") == 0 || !(c = NEW(r, charge)))
        return;
    c->log = r->log;
    c->entry = r->at;
    c->time = number(r, "time");
    if (!ym_check_events(r->e, &c->events))
        c->events.count = 0;
}

static void take_once(struct reading *r, const uint8_t hash[32])
{
    char id[65];

    ym_vhex_text(hash, 32, id);
    if (ym_vmap_get(&r->seen, NULL, "%s", id))
        return;
    r->no_memory |= !ym_vmap_put(&r->seen, 0, "%s", id);
    take(r);
    if (number(r, "time") > r->f->newest)
        r->f->newest = number(r, "time");
}

static void take_bytes(struct reading *r, struct ym_bytes line, const uint8_t hash[32])
{
    struct ym_entry e;
    const char *why;

    if (ym_entry_parse(line, &e, &why) == YM_ENTRY_GOOD) {
        r->e = &e;
        keep_charge(r);
        if (strcmp(r->v->log[r->log].role, "hub") != 0)
            r->no_memory |= !audit_facts_gate(r->f, r->log, r->at, &e);
        take_once(r, hash);
    }
    ym_entry_release(&e);
}

static bool same_log(const struct ym_folder *f, const struct ym_log_summary *s)
{
    return f->note.size == s->size && memcmp(f->note.root, s->root, sizeof(s->root)) == 0;
}

static enum ym_code read_log(struct reading *r, struct ym_status *st)
{
    const struct ym_log_summary *s = &r->v->log[r->log];
    struct ym_folder folder;
    enum ym_code code = ym_folder_load(s->dir, NULL, &folder, st);

    if (code != YM_OK)
        return code;
    for (r->at = 0; same_log(&folder, s) && r->at < folder.count; r->at++) {
        struct ym_bytes line;

        if (!ym_folder_entry(&folder, r->at, &line))
            break;
        take_bytes(r, line, folder.hash[r->at]);
    }
    if (!same_log(&folder, s) || r->at < folder.count)
        code = ym_status_set(st, YM_CONFLICT, "'%s' was written to while it was read: try again", s->dir);
    ym_folder_release(&folder);
    if (code == YM_OK && r->no_memory)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    return code;
}

static void add_unreleased(struct reading *r)
{
    for (size_t i = 0; i < r->v->charge_count; i++) {
        const struct ym_charge_line *l = &r->v->charge[i];
        struct fact_event *x;

        if (l->released || ++r->f->event_total > FACT_EVENTS_MAX || !(x = NEW(r, event)))
            continue;
        x->kind = FACT_UNRELEASED;
        x->log = l->log;
        x->entry = l->entry;
        x->time = audit_facts_charge(r->f, l) ? audit_facts_charge(r->f, l)->time : 0;
        x->round = l->round;
        x->attempt = l->attempt;
        COPY(x->who, r->v->log[l->log].name);
        COPY(x->study, l->study);
    }
}

enum ym_code audit_facts(const struct ym_verification *v, const char *objects, struct facts *out, struct ym_status *st)
{
    struct reading r = {.v = v, .objects = objects, .f = out};
    enum ym_code code = YM_OK;

    memset(out, 0, sizeof(*out));
    for (int hospitals = 0; hospitals < 2; hospitals++) /* the hub tells the story in its order */
        for (r.log = 0; code == YM_OK && r.log < v->log_count; r.log++)
            if ((strcmp(v->log[r.log].role, "hub") != 0) == hospitals)
                code = read_log(&r, st);
    if (code == YM_OK)
        add_unreleased(&r);
    ym_vmap_release(&r.seen);
    if (code == YM_OK && r.no_memory)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    return code == YM_OK ? audit_facts_budget(v, out, st) : code;
}

void audit_facts_release(struct facts *f)
{
    for (size_t i = 0; i < f->study_count; i++) {
        ym_plan_free(f->study[i].plan);
        free(f->study[i].member);
    }
    for (size_t i = 0; i < f->budget_count; i++)
        free(f->budget[i].point);
    audit_facts_gate_release(f);
    free(f->party);
    free(f->study);
    free(f->decision);
    free(f->card);
    free(f->program);
    free(f->event);
    free(f->budget);
    free(f->charge);
    memset(f, 0, sizeof(*f));
}
