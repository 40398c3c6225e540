#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/crypto.h"
#include "cmd/audit/facts.h"

/* What hospitals' gates allowed, asked and were told, out of their own ledgers. */

struct reading {
    struct facts *f;
    size_t log;
    uint64_t at;
    const struct ym_entry *e;
    bool no_memory;
};

#define COPY(to, text) snprintf((to), sizeof(to), "%s", (text))

/* One more row, zeroed, of this log; NULL where there are enough, or no memory. */
#define NEW(r, what)                                                                                                   \
    ((r)->f->what##_count >= FACT_ROWS_MAX ? ((r)->f->gate_left++, NULL)                                               \
                                           : room((r), AUDIT_GROW((r)->f->what, (r)->f->what##_count)))

static void *room(struct reading *r, void *item)
{
    r->no_memory |= !item;
    if (item)
        memcpy(item, &r->log, sizeof r->log); /* the first member of every row */
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

static void take_policy(struct reading *r)
{
    struct fact_policy *p = NEW(r, policy);
    struct ym_bytes terms = {0};

    if (!p)
        return;
    ym_entry_spelled(r->e, "terms", &terms);
    p->terms = strndup(terms.len ? (const char *)terms.data : "", terms.len);
    r->no_memory |= !p->terms;
    p->entry = r->at;
    p->time = number(r, "time");
    p->cap_micro = number(r, "epsilon_cap_micro");
    p->month_micro = number(r, "epsilon_month_micro");
    p->delta_e18 = number(r, "delta_e18");
    p->min_patients = number(r, "min_patients");
}

static void end_ruleset(struct reading *r, bool replaced)
{
    for (size_t i = 0; i < r->f->ruleset_count; i++) {
        struct fact_ruleset *s = &r->f->ruleset[i];

        if (s->log == r->log && !s->gone && strcmp(s->name, text(r, "name")) == 0) {
            s->gone = number(r, "time");
            s->replaced = replaced;
        }
    }
}

static void take_ruleset(struct reading *r)
{
    bool withdrawn = ym_entry_bool(r->e, "withdrawn");
    struct fact_ruleset *s;

    end_ruleset(r, !withdrawn);
    if (withdrawn || !(s = NEW(r, ruleset)))
        return;
    s->time = number(r, "time");
    s->version = number(r, "version");
    s->draft = ym_entry_bool(r->e, "draft");
    COPY(s->name, text(r, "name"));
    COPY(s->file, text(r, "file"));
    COPY(s->from, text(r, "effective_from"));
}

static void end_record(struct reading *r)
{
    for (size_t i = 0; i < r->f->record_count; i++) {
        struct fact_record *x = &r->f->record[i];

        if (x->log == r->log && !x->gone && strcmp(x->record, text(r, "record")) == 0 &&
            strcmp(x->document, text(r, "document")) == 0)
            x->gone = number(r, "time");
    }
}

static void take_record(struct reading *r)
{
    struct fact_record *x;

    if (ym_entry_bool(r->e, "withdrawn")) {
        end_record(r);
        return;
    }
    if (!(x = NEW(r, record)))
        return;
    x->time = number(r, "time");
    COPY(x->record, text(r, "record"));
    COPY(x->issuer, text(r, "issuer"));
    COPY(x->number, text(r, "number"));
    COPY(x->study, text(r, "study"));
    COPY(x->dataset, text(r, "dataset"));
    COPY(x->from, text(r, "valid_from"));
    COPY(x->until, text(r, "valid_until"));
    COPY(x->document, text(r, "document"));
}

static struct fact_outcome *outcome_of(struct reading *r)
{
    struct fact_outcome *o;

    for (size_t i = 0; i < r->f->outcome_count; i++) {
        o = &r->f->outcome[i];
        if (o->log == r->log && strcmp(o->plan, text(r, "plan")) == 0 && strcmp(o->dataset, text(r, "dataset")) == 0)
            return o;
    }
    if (!(o = NEW(r, outcome)))
        return NULL;
    COPY(o->study, text(r, "study"));
    COPY(o->dataset, text(r, "dataset"));
    COPY(o->plan, text(r, "plan"));
    return o;
}

static void take_decision(struct reading *r)
{
    struct fact_outcome *o = outcome_of(r);

    if (!o)
        return;
    o->decisions++;
    o->time = number(r, "time");
    o->people = ym_entry_count(r->e, "facts", "people", "n_sensitive");
    COPY(o->outcome, ym_entry_inner(r->e, "decision", "outcome"));
    COPY(o->label, ym_entry_inner(r->e, "decision", "label"));
}

static void take_withdrawal(struct reading *r)
{
    struct fact_withdrawal *w = NULL;

    for (size_t i = 0; i < r->f->withdrawal_count && !w; i++)
        if (r->f->withdrawal[i].log == r->log && strcmp(r->f->withdrawal[i].dataset, text(r, "dataset")) == 0)
            w = &r->f->withdrawal[i];
    if (!w && !(w = NEW(r, withdrawal)))
        return;
    COPY(w->dataset, text(r, "dataset"));
    w->time = number(r, "time");
    w->people = number(r, "people");
}

static void take_warning(struct reading *r)
{
    struct fact_warning *w = NEW(r, warning);

    if (!w)
        return;
    w->time = number(r, "time");
    w->from = number(r, "from");
    w->percent = number(r, "percent");
    w->people = number(r, "people");
    w->year = number(r, "year");
    COPY(w->ruleset, text(r, "ruleset"));
    COPY(w->fact, text(r, "fact"));
}

static struct fact_inference *inference_of(struct reading *r)
{
    struct fact_inference *s;

    for (size_t i = 0; i < r->f->inference_count; i++) {
        s = &r->f->inference[i];
        if (s->log == r->log && strcmp(s->content_id, text(r, "content_id")) == 0 &&
            strcmp(s->dataset, text(r, "dataset")) == 0 && strcmp(s->basis, text(r, "basis")) == 0)
            return s;
    }
    if (!(s = NEW(r, inference)))
        return NULL;
    COPY(s->content_id, text(r, "content_id"));
    COPY(s->dataset, text(r, "dataset"));
    COPY(s->basis, text(r, "basis"));
    return s;
}

static int64_t add_up(int64_t a, int64_t b)
{
    return b > INT64_MAX - a ? INT64_MAX : a + b;
}

static void take_inference(struct reading *r)
{
    struct fact_inference *s = inference_of(r);

    if (!s)
        return;
    s->entries++;
    s->time = number(r, "time");
    s->rows = add_up(s->rows, number(r, "rows"));
    s->left_out = add_up(s->left_out, number(r, "left_out"));
}

static struct fact_us *us_of(struct reading *r, const char *recipient, const char *categories)
{
    struct fact_us *u;

    for (size_t i = 0; i < r->f->us_count; i++) {
        u = &r->f->us[i];
        if (u->log == r->log && strcmp(u->recipient, recipient) == 0 && strcmp(u->categories, categories) == 0)
            return u;
    }
    if ((u = NEW(r, us))) {
        COPY(u->recipient, recipient);
        COPY(u->categories, categories);
    }
    return u;
}

static void take_charge(struct reading *r)
{
    struct ym_bytes spelled;
    struct fact_us *u;
    int64_t people, until;

    if (!ym_entry_spelled(r->e, "us", &spelled) ||
        !(u = us_of(r, ym_entry_inner(r->e, "us", "recipient"), ym_entry_inner(r->e, "us", "categories"))))
        return;
    people = ym_entry_inner_int(r->e, "us", "people");
    until = ym_entry_inner_int(r->e, "us", "until");
    u->charges++;
    u->people = people > u->people ? people : u->people;
    u->until = until > u->until ? until : u->until;
}

static struct fact_office *office_of(struct reading *r, const char *office)
{
    struct fact_office *o;

    for (size_t i = 0; i < r->f->office_count; i++)
        if (r->f->office[i].log == r->log && strcmp(r->f->office[i].office, office) == 0)
            return &r->f->office[i];
    if ((o = NEW(r, office)))
        COPY(o->office, office);
    return o;
}

static void take_rotate(struct reading *r)
{
    struct fact_office *o = office_of(r, text(r, "office"));
    uint8_t pub[32];

    if (!o)
        return;
    o->since = number(r, "time");
    o->key[0] = '\0';
    if (text(r, "public_key")[0]) {
        ym_entry_pub(r->e, "public_key", pub);
        ym_entry_key_id(pub, o->key);
    }
}

static void take_seals(struct reading *r)
{
    struct ym_entry_seal seal;
    struct fact_office *o;

    for (size_t i = 0; ym_entry_seal_at(r->e, i, &seal); i++)
        if ((o = office_of(r, seal.office)))
            o->seals++;
}

static void take_asked(struct reading *r)
{
    struct fact_asked *a = NULL;

    for (size_t i = 0; i < r->f->asked_count && !a; i++)
        if (r->f->asked[i].log == r->log)
            a = &r->f->asked[i];
    if (!a && !(a = NEW(r, asked)))
        return;
    a->time = number(r, "time");
    a->asked = ym_entry_bool(r->e, "asked");
    COPY(a->reason, text(r, "reason"));
}

static void take(struct reading *r)
{
    switch (r->e->type) {
    case YM_ENTRY_POLICY:
        take_policy(r);
        break;
    case YM_ENTRY_RULESET:
        take_ruleset(r);
        break;
    case YM_ENTRY_DOSSIER:
        take_record(r);
        break;
    case YM_ENTRY_CHARGE:
        take_charge(r);
        break;
    case YM_ENTRY_DECISION:
        take_decision(r);
        break;
    case YM_ENTRY_INFERENCE:
        take_inference(r);
        break;
    case YM_ENTRY_WITHDRAWAL:
        take_withdrawal(r);
        break;
    case YM_ENTRY_WARNING:
        take_warning(r);
        break;
    case YM_ENTRY_ROTATE:
        take_rotate(r);
        break;
    case YM_ENTRY_BORDER:
        take_asked(r);
        break;
    default:
        break;
    }
}

bool audit_facts_gate(struct facts *f, size_t log, uint64_t at, const struct ym_entry *e)
{
    struct reading r = {f, log, at, e, false};
    struct ym_bytes seals;

    take(&r);
    if (ym_entry_spelled(e, "seals", &seals))
        take_seals(&r);
    return !r.no_memory;
}

void audit_facts_gate_release(struct facts *f)
{
    for (size_t i = 0; i < f->policy_count; i++)
        free(f->policy[i].terms);
    free(f->policy);
    free(f->ruleset);
    free(f->record);
    free(f->outcome);
    free(f->withdrawal);
    free(f->warning);
    free(f->us);
    free(f->inference);
    free(f->office);
    free(f->asked);
}
