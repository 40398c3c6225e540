#include "worker/trainer/border.h"

#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/fs.h"
#include "base/json.h"
#include "gate/border/us.h"
#include "gate/plan.h"
#include "worker/trainer/meter.h"

enum {
    MOST_SETS = 32,
    MOST_WARNED = MOST_SETS * YM_PEOPLE_COUNT * YM_RULE_MOST_BANDS,
    CARD_MAX = 1024 * 1024,
    MOST_DECISIONS = 8192,
    LAST_MARK = 95 /* at 100 it is the rule sets that speak */
};

struct decided { /* newest decision of a plan on a data set */
    char plan[2 * YM_HASH_BYTES + 1], dataset[64];
    uint8_t hash[YM_HASH_BYTES]; /* of its canonical members */
    uint8_t line[YM_HASH_BYTES];
};

struct warned { /* the highest mark of a limit that the year's warnings said was reached */
    char fact[32];
    int64_t from;
    int percent;
};

struct ym_border {
    const struct ym_site *site;
    int warned_year; /* of the newest warning */
    struct warned warned[MOST_WARNED];
    size_t warned_count;
    bool off;
    char why_not[513];
    struct ym_rules *rules[MOST_SETS];
    size_t rules_count;
    struct ym_dossier dossier;
    struct decided *decided;
    size_t decided_count, decided_cap;
};

struct ym_border *ym_border_new(const struct ym_site *site)
{
    struct ym_border *b = calloc(1, sizeof *b);
    if (b)
        b->site = site;
    return b;
}

void ym_border_free(struct ym_border *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->rules_count; i++)
        ym_rules_free(b->rules[i]);
    ym_dossier_release(&b->dossier);
    free(b->decided);
    free(b);
}

/* ---- rule sets ---- */

static enum ym_code rules_path(const struct ym_border *b, const uint8_t hash[YM_HASH_BYTES], char path[YM_SITE_PATH])
{
    return ym_site_hash_path(b->site, "rules", hash, ".json", path);
}

static enum ym_code load_rules(const struct ym_border *b, const uint8_t hash[YM_HASH_BYTES], struct ym_rules **out,
                               struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_buf text = {0};
    struct ym_doc *doc = NULL;
    json_t *o = NULL;
    char path[YM_SITE_PATH];
    enum ym_code code = rules_path(b, hash, path);
    if (code == YM_OK)
        code = ym_fs_read(path, YM_RULES_MAX_BYTES, &text, st);
    if (code == YM_OK)
        code = ym_json_parse(text.data, text.len, YM_RULES_MAX_BYTES, &o, st);
    if (code == YM_OK && !(doc = ym_doc_wrap(path, o)))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for a rule set");
    if (code == YM_OK)
        code = ym_rules_read(doc, out, &problems, st);
    if (code == YM_OK && memcmp((*out)->hash, hash, YM_HASH_BYTES) != 0) {
        ym_rules_free(*out);
        code = ym_status_set(st, YM_CORRUPT, "the file is not the one that was signed");
    }
    ym_doc_free(doc);
    json_decref(o);
    ym_buf_release(&text);
    ym_problems_release(&problems);
    return code == YM_OK ? code : ym_status_wrap(st, YM_CORRUPT, "rule set %s", path);
}

static void forget_rules(struct ym_border *b, const char *name)
{
    for (size_t i = 0; i < b->rules_count; i++) {
        if (strcmp(b->rules[i]->name, name) != 0)
            continue;
        ym_rules_free(b->rules[i]);
        b->rules[i--] = b->rules[--b->rules_count];
    }
}

static enum ym_code take_rules(struct ym_border *b, const json_t *leaf, struct ym_status *st)
{
    uint8_t hash[YM_HASH_BYTES];
    const char *name;
    struct ym_rules *rules = NULL;
    enum ym_code code = ym_json_get_str(leaf, "name", &name, st);
    if (code == YM_OK)
        code = ym_json_get_hash(leaf, "file", hash, st);
    if (code == YM_OK && json_is_true(json_object_get(leaf, "withdrawn"))) {
        forget_rules(b, name);
        return YM_OK;
    }
    if (code == YM_OK)
        code = load_rules(b, hash, &rules, st);
    if (code != YM_OK)
        return code;
    forget_rules(b, rules->name);
    if (b->rules_count == MOST_SETS) {
        ym_rules_free(rules);
        return ym_status_set(st, YM_EXHAUSTED, "more than %d rule sets are signed: withdraw one", MOST_SETS);
    }
    b->rules[b->rules_count++] = rules;
    return YM_OK;
}

static bool signed_already(const struct ym_border *b, const char *name)
{
    for (size_t i = 0; i < b->rules_count; i++)
        if (strcmp(b->rules[i]->name, name) == 0)
            return true;
    return false;
}

/* Counts at which a label may change: what stays in rules/ does not tell an auditor. */
static json_t *limits_of(const struct ym_rules *r)
{
    json_t *limits = json_object();
    for (size_t n = 0; n < YM_PEOPLE_COUNT; n++) {
        json_t *from = json_array();
        for (size_t i = 0; i < r->bands[n].count; i++)
            if (r->bands[n].from[i] > 1)
                json_array_append_new(from, json_integer(r->bands[n].from[i]));
        if (json_array_size(from) > 0)
            json_object_set(limits, ym_people_word((enum ym_people)n), from);
        json_decref(from);
    }
    return limits;
}

json_t *ym_border_rules_members(const struct ym_rules *r, bool withdrawn)
{
    json_t *o = json_pack("{s:s, s:I, s:s, s:b, s:b, s:o}", "name", r->name, "version", (json_int_t)r->version,
                          "effective_from", r->effective_from, "draft", r->draft, "withdrawn", withdrawn, "limits",
                          limits_of(r));
    if (o)
        ym_json_set_hash(o, "file", r->hash);
    return o;
}

enum ym_code ym_border_keep_rules(struct ym_border *b, const char *file, struct ym_bytes text, json_t **members,
                                  struct ym_problems *problems, struct ym_status *st)
{
    struct ym_doc *doc = NULL;
    struct ym_rules *r = NULL;
    char path[YM_SITE_PATH], dir[YM_SITE_PATH];
    enum ym_code code = ym_doc_parse(file, text.data, text.len, &doc, problems, st);
    if (code == YM_OK)
        code = ym_rules_read(doc, &r, problems, st);
    if (code == YM_OK && !signed_already(b, r->name) && b->rules_count == MOST_SETS)
        code = ym_status_set(st, YM_EXHAUSTED, "%d rule sets are signed: withdraw one first", MOST_SETS);
    if (code == YM_OK)
        code = ym_site_path(b->site, "rules", NULL, dir);
    if (code == YM_OK)
        code = ym_fs_mkdirs(dir, 0700, st);
    if (code == YM_OK)
        code = rules_path(b, r->hash, path);
    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(&r->canonical), 0600, st);
    if (code == YM_OK)
        *members = ym_border_rules_members(r, false);
    ym_rules_free(r);
    ym_doc_free(doc);
    return code;
}

size_t ym_border_rules_count(const struct ym_border *b)
{
    return b->rules_count;
}

const struct ym_rules *ym_border_rules_at(const struct ym_border *b, size_t i)
{
    return b->rules[i];
}

const struct ym_dossier *ym_border_dossier(const struct ym_border *b)
{
    return &b->dossier;
}

/* ---- other leaves ---- */

static enum ym_code take_filing(struct ym_border *b, const json_t *leaf, struct ym_status *st)
{
    struct ym_filing f;
    enum ym_code code = ym_filing_read(leaf, &f, st);
    return code == YM_OK ? ym_dossier_take(&b->dossier, &f, st) : code;
}

static enum ym_code take_switch(struct ym_border *b, const json_t *leaf, struct ym_status *st)
{
    const char *reason;
    enum ym_code code = ym_json_get_str(leaf, "reason", &reason, st);
    if (code != YM_OK || !json_is_boolean(json_object_get(leaf, "asked")))
        return ym_status_set(st, YM_INVALID, "border leaf without asked or reason");
    b->off = json_is_false(json_object_get(leaf, "asked"));
    snprintf(b->why_not, sizeof b->why_not, "%s", b->off ? reason : "");
    return YM_OK;
}

/* Of what a decision says, its own members alone: the envelope differs every time. */
static enum ym_code hash_decision(const json_t *leaf, uint8_t out[YM_HASH_BYTES], struct ym_status *st)
{
    static const char *const keys[] = {"study", "plan", "dataset", "facts", "decision", "rules"};
    struct ym_buf text = {0};
    json_t *own = json_object();
    for (size_t i = 0; own && i < sizeof keys / sizeof *keys; i++)
        json_object_set(own, keys[i], json_object_get(leaf, keys[i]));
    enum ym_code code = own ? ym_json_canonical(own, &text, st) : ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (code == YM_OK)
        ym_sha256(text.data, text.len, out);
    ym_buf_release(&text);
    json_decref(own);
    return code;
}

static struct decided *find_decided(const struct ym_border *b, const char *plan, const char *dataset)
{
    for (size_t i = 0; i < b->decided_count; i++)
        if (strcmp(b->decided[i].plan, plan) == 0 && strcmp(b->decided[i].dataset, dataset) == 0)
            return &b->decided[i];
    return NULL;
}

static struct decided *add_decided(struct ym_border *b, const char *plan, const char *dataset)
{
    struct decided *d = find_decided(b, plan, dataset);
    if (d)
        return d;
    if (b->decided_count == b->decided_cap) {
        size_t cap = b->decided_cap ? 2 * b->decided_cap : 16;
        struct decided *grown = cap > MOST_DECISIONS ? NULL : realloc(b->decided, cap * sizeof *grown);
        if (!grown)
            return NULL;
        b->decided = grown;
        b->decided_cap = cap;
    }
    d = &b->decided[b->decided_count++];
    snprintf(d->plan, sizeof d->plan, "%s", plan);
    snprintf(d->dataset, sizeof d->dataset, "%s", dataset);
    return d;
}

static enum ym_code take_decision(struct ym_border *b, const json_t *leaf, struct ym_bytes line, struct ym_status *st)
{
    uint8_t hash[YM_HASH_BYTES];
    const char *plan, *dataset;
    struct decided *d;
    enum ym_code code = ym_json_get_str(leaf, "plan", &plan, st);
    if (code == YM_OK)
        code = ym_json_get_str(leaf, "dataset", &dataset, st);
    if (code == YM_OK)
        code = hash_decision(leaf, hash, st);
    if (code == YM_OK &&
        (d = add_decided(b, plan, dataset)) != NULL) { /* one that is not remembered is written again */
        memcpy(d->hash, hash, sizeof hash);
        ym_sha256(line.data, line.len, d->line);
    }
    return code;
}

/* ---- warnings ---- */

static struct warned *find_warned(struct ym_border *b, const char *fact, int64_t from)
{
    for (size_t i = 0; i < b->warned_count; i++)
        if (b->warned[i].from == from && strcmp(b->warned[i].fact, fact) == 0)
            return &b->warned[i];
    return NULL;
}

static enum ym_code take_warning(struct ym_border *b, const json_t *leaf, struct ym_status *st)
{
    struct warned *w;
    int64_t from, percent, year;
    const char *fact;
    enum ym_code code = ym_json_get_str(leaf, "fact", &fact, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "from", 2, INT64_MAX, &from, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "percent", 1, 100, &percent, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "year", 1970, 9999, &year, st);
    if (code != YM_OK)
        return code;
    if (year != b->warned_year) /* also after a clock that went wrong was set back: this year's are said again */
        b->warned_count = 0;
    b->warned_year = (int)year;
    w = find_warned(b, fact, from);
    if (!w && b->warned_count < MOST_WARNED) {
        w = &b->warned[b->warned_count++];
        *w = (struct warned){.from = from};
        snprintf(w->fact, sizeof w->fact, "%s", fact);
    }
    if (w && percent > w->percent)
        w->percent = (int)percent;
    return YM_OK;
}

static json_t *warning(struct ym_border *b, const struct ym_rules *r, enum ym_people n, int64_t people, int year)
{
    const char *fact = ym_people_word(n);
    for (size_t i = 0; i < r->bands[n].count; i++) {
        int64_t from = r->bands[n].from[i];
        const struct warned *w = year == b->warned_year ? find_warned(b, fact, from) : NULL;
        int mark = from > 1 ? ym_meter_mark(people, from) : 0;
        mark = mark > LAST_MARK ? LAST_MARK : mark;
        bool room = w || year != b->warned_year || b->warned_count < MOST_WARNED; /* else it would be due for ever */
        if (room && mark > (w ? w->percent : 0))
            return json_pack("{s:s, s:s, s:I, s:i, s:I, s:i}", "ruleset", r->name, "fact", fact, "from",
                             (json_int_t)from, "percent", mark, "people", (json_int_t)people, "year", year);
    }
    return NULL;
}

json_t *ym_border_warning(struct ym_border *b, const struct ym_facts *facts, int64_t now)
{
    char today[YM_DATE_BYTES];
    json_t *o = NULL;
    ym_date_of(now, today);
    for (size_t i = 0; i < b->rules_count; i++)
        for (size_t n = 0; !o && n < YM_PEOPLE_COUNT; n++)
            if (!b->rules[i]->draft && strcmp(b->rules[i]->effective_from, today) <= 0)
                o = warning(b, b->rules[i], (enum ym_people)n, ym_meter_class(facts->people[n]), ym_year_of(now));
    return o;
}

enum ym_code ym_border_take(struct ym_border *b, const json_t *leaf, struct ym_bytes line, struct ym_status *st)
{
    const char *type;
    enum ym_code code = ym_json_get_str(leaf, "type", &type, st);
    if (code == YM_OK && strcmp(type, "ruleset") == 0)
        code = take_rules(b, leaf, st);
    else if (code == YM_OK && strcmp(type, "dossier") == 0)
        code = take_filing(b, leaf, st);
    else if (code == YM_OK && strcmp(type, "border") == 0)
        code = take_switch(b, leaf, st);
    else if (code == YM_OK && strcmp(type, "decision") == 0)
        code = take_decision(b, leaf, line, st);
    else if (code == YM_OK && strcmp(type, "warning") == 0)
        code = take_warning(b, leaf, st);
    return code;
}

/* ---- asking ---- */

bool ym_border_asked(const struct ym_border *b)
{
    return !b->off;
}

const char *ym_border_why_not(const struct ym_border *b)
{
    return b->why_not;
}

static void set_choice(struct ym_facts *f, enum ym_choice c, const char *value)
{
    f->choice[c] = (uint8_t)ym_choice_value_find(c, value);
}

static void signed_sets(const struct ym_border *b, struct ym_rules_in in[MOST_SETS])
{
    for (size_t i = 0; i < b->rules_count; i++)
        in[i] = (struct ym_rules_in){b->rules[i], true};
}

static void decide(const struct ym_border *b, const struct ym_facts *facts, int64_t now, bool forecast,
                   struct ym_crossing *out)
{
    struct ym_rules_in in[MOST_SETS];
    char today[YM_DATE_BYTES];
    ym_date_of(now, today);
    signed_sets(b, in);
    ym_border_decide(in, b->rules_count, facts, today, forecast, out);
}

void ym_border_decide_facts(const struct ym_border *b, const struct ym_facts *facts, int64_t now,
                            struct ym_crossing *out)
{
    decide(b, facts, now, false, out);
}

void ym_border_consent(const struct ym_border *b, const struct ym_plan *plan, const struct ym_card *card, int64_t now,
                       struct ym_consent_need *out)
{
    struct ym_transfer t;
    char today[YM_DATE_BYTES];
    ym_transfer_of(plan, card, &t);
    ym_date_of(now, today);
    ym_consent_needed(plan, card,
                      ym_dossier_state(&b->dossier, YM_RECORD_DETERMINATION, today, &t, NULL) == YM_RECORD_LIVE,
                      ym_dossier_state(&b->dossier, YM_RECORD_ETHICS, today, &t, NULL) == YM_RECORD_LIVE, out);
}

uint8_t ym_border_zone(const struct ym_border *b, const struct ym_plan *plan, const struct ym_card *card,
                       int64_t people, int64_t now, bool forecast, struct ym_status *st)
{
    struct ym_rules_in in[MOST_SETS];
    char today[YM_DATE_BYTES];
    ym_date_of(now, today);
    signed_sets(b, in);
    return ym_zone_of(in, b->rules_count, plan, card, people, today, forecast, st);
}

void ym_border_ask(const struct ym_border *b, const struct ym_plan *plan, const struct ym_card *card,
                   const struct ym_border_people *n, int64_t now, bool forecast, struct ym_facts *facts,
                   struct ym_crossing *out)
{
    struct ym_transfer t;
    char today[YM_DATE_BYTES];
    ym_border_facts(plan, card, facts);
    set_choice(facts, YM_CHOICE_ARTEFACT, "update");
    set_choice(facts, YM_CHOICE_PROTECTION, "complete"); /* the door lets nothing else out */
    facts->people[YM_PEOPLE_SENSITIVE] = facts->people[YM_PEOPLE_PI] = n->people;
    facts->people[YM_PEOPLE_RECORDS] = n->records;
    ym_us_facts(n->us, n->us_categories, facts);
    facts->choice[YM_CHOICE_ZONE] = ym_border_zone(b, plan, card, n->people, now, forecast, NULL);
    if (n->eligible >= 0)
        set_choice(facts, YM_CHOICE_CONSENT, n->eligible >= plan->min_patients ? "enough" : "below_minimum");
    ym_transfer_of(plan, card, &t);
    ym_date_of(now, today);
    ym_dossier_states(&b->dossier, today, &t, facts);
    decide(b, facts, now, forecast, out);
}

static json_t *rounded_facts(const struct ym_facts *facts)
{
    struct ym_facts f = *facts;
    for (size_t i = 0; i < YM_PEOPLE_COUNT; i++)
        f.people[i] = ym_meter_class(f.people[i]);
    return ym_facts_json(&f);
}

json_t *ym_border_decision_members(const struct ym_border *b, const struct ym_plan *plan, const char *dataset,
                                   const struct ym_facts *facts, const struct ym_crossing *d)
{
    json_t *rules = json_object();
    json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:O}", "study", plan->study, "dataset", dataset, "facts",
                          rounded_facts(facts), "decision", ym_crossing_json(d), "rules", rules);
    for (size_t i = 0; i < b->rules_count; i++)
        ym_json_set_hash(rules, b->rules[i]->name, b->rules[i]->hash);
    json_decref(rules);
    if (o)
        ym_json_set_hash(o, "plan", plan->hash);
    return o;
}

bool ym_border_decided(const struct ym_border *b, const json_t *members)
{
    uint8_t hash[YM_HASH_BYTES];
    const char *plan = json_string_value(json_object_get(members, "plan"));
    const char *dataset = json_string_value(json_object_get(members, "dataset"));
    const struct decided *d = plan && dataset ? find_decided(b, plan, dataset) : NULL;
    return d && hash_decision(members, hash, NULL) == YM_OK && memcmp(hash, d->hash, sizeof hash) == 0;
}

const uint8_t *ym_border_decision(const struct ym_border *b, const struct ym_plan *plan, const char *dataset)
{
    struct ym_buf hex = {0};
    const struct decided *d = NULL;
    if (!b->off && ym_hex_encode(plan->hash, sizeof plan->hash, &hex) == YM_OK)
        d = find_decided(b, ym_buf_str(&hex), dataset);
    ym_buf_release(&hex);
    return d ? d->line : NULL;
}

/* ---- the card ---- */

enum ym_code ym_site_card(const struct ym_site *site, const char *dataset, struct ym_card **out, struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_buf text = {0};
    struct ym_doc *doc = NULL;
    json_t *o = NULL;
    char file[80], path[YM_SITE_PATH];
    snprintf(file, sizeof file, "%s.card.json", dataset);
    enum ym_code code = ym_site_path(site, "data", file, path);
    if (code == YM_OK)
        code = ym_fs_read(path, CARD_MAX, &text, st);
    if (code == YM_OK)
        code = ym_json_parse(text.data, text.len, CARD_MAX, &o, st);
    if (code == YM_OK && !(doc = ym_doc_wrap(file, o)))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the card");
    if (code == YM_OK)
        code = ym_card_read(doc, out, &problems, st);
    ym_doc_free(doc);
    json_decref(o);
    ym_buf_release(&text);
    ym_problems_release(&problems);
    return code == YM_OK
               ? code
               : ym_status_wrap(st, code, "the card of \"%s\" cannot be read: add the data set again", dataset);
}
