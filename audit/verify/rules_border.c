#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/check.h"
#include "audit/verify/crypto.h"
#include "audit/verify/filings.h"
#include "base/calendar.h"
#include "gate/border/facts.h"

/* Where a hospital's rule sets are asked, each charge rests on what they decided
 * last on its plan and data set: that lets it pass on every track, was decided by
 * the sets in force, and by documents that are live at the charge's own time. */

enum { MOST_SETS = 64, MOST_LIMITS = 64, SKEW_S = 300 };

struct set {                                      /* a rule set in force */
    char name[64], file[65], from[YM_DATE_BYTES]; /* from "": of no date that there is */
    bool draft;
    size_t limit_count;
    struct {
        char fact[64];
        int64_t from;
    } limit[MOST_LIMITS];
};

struct pass {
    struct ym_check *c;
    size_t log, i;
    const struct ym_entry *e;
    struct ym_vmap *seen;
    bool unasked;              /* people said so; without a word they are asked */
    int64_t returned;          /* so many of the next entries come back from a ledger whose decisions are lost */
    struct set set[MOST_SETS]; /* by name */
    size_t set_count;
    char sets[65]; /* hash of them as a decision spells them */
    struct ym_vfilings filings;
    struct ym_vmap places;
};

#define FIND(p, reason, ...) ym_check_find((p)->c, (p)->log, (int64_t)(p)->i, YM_REASON_##reason, __VA_ARGS__)
#define ABOUT "|%s|%s|%s"
#define ABOUT_OF(e) ym_entry_text(e, "study"), ym_entry_text(e, "plan"), ym_entry_text(e, "dataset")

/* ---- rule sets ---- */

static void hash_text(struct ym_bytes text, char out[65])
{
    uint8_t raw[YM_VHASH];

    ym_vhash(text.data, text.len, raw);
    ym_vhex_text(raw, sizeof raw, out);
}

static void hash_sets(struct pass *p)
{
    struct ym_buf text = {0};
    bool good = ym_buf_puts(&text, "{") == YM_OK;

    for (size_t k = 0; good && k < p->set_count; k++)
        good = ym_buf_printf(&text, "%s\"%s\":\"%s\"", k ? "," : "", p->set[k].name, p->set[k].file) == YM_OK;
    good = good && ym_buf_puts(&text, "}") == YM_OK;
    p->c->no_memory |= !good;
    hash_text(ym_buf_bytes(&text), p->sets);
    ym_buf_release(&text);
}

static void read_set(const struct pass *p, struct set *s)
{
    const char *fact, *date = ym_entry_text(p->e, "effective_from");

    *s = (struct set){.draft = ym_entry_bool(p->e, "draft")};
    snprintf(s->name, sizeof s->name, "%s", ym_entry_text(p->e, "name"));
    snprintf(s->file, sizeof s->file, "%s", ym_entry_text(p->e, "file"));
    snprintf(s->from, sizeof s->from, "%s", ym_date_valid(date) ? date : "");
    while (s->limit_count < MOST_LIMITS &&
           ym_entry_limit_at(p->e, s->limit_count, &fact, &s->limit[s->limit_count].from))
        snprintf(s->limit[s->limit_count++].fact, sizeof s->limit[0].fact, "%s", fact);
}

static void take_ruleset(struct pass *p)
{
    const char *name = ym_entry_text(p->e, "name");
    size_t at = 0;
    bool known;

    while (at < p->set_count && strcmp(p->set[at].name, name) < 0)
        at++;
    known = at < p->set_count && strcmp(p->set[at].name, name) == 0;
    if (ym_entry_bool(p->e, "withdrawn")) {
        if (known)
            memmove(&p->set[at], &p->set[at + 1], (--p->set_count - at) * sizeof p->set[0]);
    } else if (!known && p->set_count == MOST_SETS) {
        FIND(p, DECISION_RULES, "more than %d rule sets are in force", MOST_SETS);
    } else {
        if (!known)
            memmove(&p->set[at + 1], &p->set[at], (p->set_count++ - at) * sizeof p->set[0]);
        read_set(p, &p->set[at]);
    }
    hash_sets(p);
}

/* ---- decisions ---- */

static bool proceeds(const struct ym_vjson *j, const struct ym_vnode *n)
{
    const struct ym_vnode *outcome = n ? ym_vjson_get(j, n, "outcome") : NULL;

    return outcome && outcome->kind == YM_V_TEXT && strcmp(outcome->text, "proceed") == 0;
}

static bool track_proceeds(const struct ym_vjson *j, const struct ym_vnode *tracks, const char *track)
{
    for (const struct ym_vnode *n = ym_vjson_first(j, tracks); n; n = ym_vjson_next(j, n)) {
        const struct ym_vnode *name = ym_vjson_get(j, n, "track");

        if (name && name->kind == YM_V_TEXT && strcmp(name->text, track) == 0)
            return proceeds(j, n);
    }
    return false;
}

/* As a whole, on each of the tracks, and not as a forecast. */
static bool lets_pass(const struct ym_entry *e)
{
    static const char *const track[] = {"artefact", "cac", "hgr", "ethics", "consent", "ai", "us"};
    const struct ym_vjson *j = &e->json;
    const struct ym_vnode *d = ym_vjson_get(j, ym_vjson_root(j), "decision");
    const struct ym_vnode *forecast = ym_vjson_get(j, d, "forecast"), *tracks = ym_vjson_get(j, d, "tracks");
    bool pass = proceeds(j, d) && forecast && forecast->kind == YM_V_FALSE && tracks && tracks->kind == YM_V_ARRAY &&
                tracks->count == sizeof track / sizeof *track;

    for (size_t t = 0; pass && t < sizeof track / sizeof *track; t++)
        pass = track_proceeds(j, tracks, track[t]);
    return pass;
}

/* Bits of the records that it took for live; the highest bit: one that nobody knows. */
static uint64_t live_records(const struct ym_entry *e)
{
    const struct ym_vjson *j = &e->json;
    const struct ym_vnode *records = ym_vjson_get(j, ym_vjson_get(j, ym_vjson_root(j), "facts"), "records");
    uint64_t bits = 0;

    if (!records || records->kind != YM_V_OBJECT)
        return 0;
    for (const struct ym_vnode *n = ym_vjson_first(j, records); n; n = ym_vjson_next(j, n)) {
        int r = ym_record_find(n->key);

        if (n->kind == YM_V_TEXT && strcmp(n->text, "live") == 0)
            bits |= (uint64_t)1 << (r < 0 ? 63 : r);
    }
    return bits;
}

/* ---- warnings ---- */

#define MARK "m|%d|%s|%" PRId64

/* The mark of a limit that so many people reach. */
static uint64_t mark_of(int64_t people, int64_t from)
{
    static const int mark[] = {95, 80, 50};

    for (size_t i = 0; i < sizeof mark / sizeof *mark; i++)
        if ((__int128)people * 100 >= (__int128)from * mark[i])
            return (uint64_t)mark[i];
    return 0;
}

static void take_warning(struct pass *p)
{
    int year = (int)ym_entry_int(p->e, "year");
    const char *fact = ym_entry_text(p->e, "fact");
    int64_t from = ym_entry_int(p->e, "from");
    uint64_t percent = (uint64_t)ym_entry_int(p->e, "percent"), before = 0;

    ym_vmap_get(&p->places, &before, MARK, year, fact, from);
    ym_check_keep(p->c, &p->places, percent > before ? percent : before, MARK, year, fact, from);
}

/* A warning is a moment older than the decision that it comes before. */
static uint64_t warned(const struct pass *p, const char *fact, int64_t from)
{
    int64_t time = ym_entry_int(p->e, "time");
    uint64_t now = 0, just = 0;

    ym_vmap_get(&p->places, &now, MARK, ym_year_of(time), fact, from);
    ym_vmap_get(&p->places, &just, MARK, ym_year_of(time > SKEW_S ? time - SKEW_S : 0), fact, from);
    return now > just ? now : just;
}

static void check_warnings(struct pass *p)
{
    char today[YM_DATE_BYTES];

    ym_date_of(ym_entry_int(p->e, "time"), today);
    for (const struct set *s = p->set; s < p->set + p->set_count; s++)
        for (size_t k = 0; !s->draft && strcmp(s->from, today) <= 0 && k < s->limit_count; k++) {
            int64_t people = ym_entry_count(p->e, "facts", "people", s->limit[k].fact);
            uint64_t mark = people < 0 ? 0 : mark_of(people, s->limit[k].from);

            if (mark > warned(p, s->limit[k].fact, s->limit[k].from))
                FIND(p, WARNING_MISSING, "%" PRIu64 " percent of %" PRId64 " '%s', a limit of '%s', and no warning",
                     mark, s->limit[k].from, s->limit[k].fact, s->name);
        }
}

/* Two numbers in one: where it is, and whether it lets the charge pass. */
static void take_decision(struct pass *p)
{
    const struct ym_entry *e = p->e;
    struct ym_bytes text = {0};
    char sets[65];

    ym_entry_spelled(e, "rules", &text);
    hash_text(text, sets);
    if (strcmp(sets, p->sets) != 0)
        FIND(p, DECISION_RULES, "other rule sets decided than the %zu that were in force", p->set_count);
    if (lets_pass(e))
        check_warnings(p);
    ym_check_keep(p->c, p->seen, 2 * (uint64_t)p->i + lets_pass(e), "d|%s" ABOUT, e->hash, ABOUT_OF(e));
    ym_check_keep(p->c, p->seen, p->i, "D" ABOUT, ABOUT_OF(e));
    ym_check_keep(p->c, &p->places, live_records(e), "l|%s", e->hash);
    ym_check_keep(p->c, &p->places, p->i, "s|%s|%s", e->hash, sets);
}

/* What was true when it was decided, and must be so when it is charged. */
static void check_grounds(struct pass *p, const char *decision)
{
    uint64_t live = 0;
    char today[YM_DATE_BYTES];

    if (!ym_vmap_get(&p->places, NULL, "s|%s|%s", decision, p->sets))
        FIND(p, DECISION_RULES, "the rule sets in force are not those that decided");
    ym_vmap_get(&p->places, &live, "l|%s", decision);
    ym_date_of(ym_entry_int(p->e, "time"), today);
    for (int r = 0; r < 64; r++) {
        const char *record = r < YM_RECORD_COUNT ? ym_record_word((enum ym_record)r) : "?";

        if (live >> r & 1 &&
            !(r < YM_RECORD_COUNT && ym_vfilings_live(&p->filings, record, ym_entry_text(p->e, "study"),
                                                      ym_entry_text(p->e, "dataset"), today)))
            FIND(p, DECISION_RECORDS, "it rests on a record '%s' that was not live on %s, or lacks a part", record,
                 today);
    }
}

static void take_charge(struct pass *p)
{
    const char *decision = ym_entry_text(p->e, "decision");
    uint64_t at = 0, newest = 0;

    if (strspn(decision, "0") == strlen(decision)) {
        if (!p->unasked)
            FIND(p, DECISION_MISSING, "rule sets are asked here, and it rests on no decision of theirs");
    } else if (!ym_vmap_get(p->seen, &at, "d|%s" ABOUT, decision, ABOUT_OF(p->e))) {
        FIND(p, DECISION_MISSING, "no earlier decision %.16s... on this plan and data set", decision);
    } else if (at % 2 == 0) {
        FIND(p, DECISION_MISSING, "the rule sets did not let it pass, entry %" PRIu64, at / 2);
    } else if (ym_vmap_get(p->seen, &newest, "D" ABOUT, ABOUT_OF(p->e)) && newest != at / 2) {
        FIND(p, DECISION_MISSING, "entry %" PRIu64 " decided otherwise since", newest);
    } else {
        check_grounds(p, decision);
    }
}

static void take(void *ctx, size_t i, const struct ym_entry *e)
{
    struct pass *p = ctx;
    bool returned = p->returned > 0;

    p->i = i;
    p->e = e;
    p->returned -= returned;
    if (e->type == YM_ENTRY_BORDER)
        p->unasked = !ym_entry_bool(e, "asked");
    else if (e->type == YM_ENTRY_RECOVER)
        p->returned = ym_entry_int(e, "count");
    else if (e->type == YM_ENTRY_RULESET)
        take_ruleset(p);
    else if (e->type == YM_ENTRY_DOSSIER)
        p->c->no_memory |= !ym_vfilings_take(&p->filings, e);
    else if (e->type == YM_ENTRY_DECISION)
        take_decision(p);
    else if (e->type == YM_ENTRY_WARNING)
        take_warning(p);
    else if (e->type == YM_ENTRY_CHARGE && !returned)
        take_charge(p);
}

static void *begin(struct ym_check *c, size_t log)
{
    struct pass *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (struct pass){.c = c, .log = log, .seen = &c->log[log].seen};
    hash_sets(p);
    return p;
}

static void end(void *pass)
{
    struct pass *p = pass;

    ym_vmap_release(&p->places);
    ym_vfilings_release(&p->filings);
    free(p);
}

const struct ym_rule ym_rule_border = {begin, take, end};
