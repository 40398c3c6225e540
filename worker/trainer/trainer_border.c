#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/calendar.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "worker/trainer/trainer_internal.h"

/* The gate's questions: before a charge, and at the desk. */

enum { MOST_FILINGS = 32768 };

static enum ym_code ask(struct ym_trainer *t, const struct ym_plan *plan, const char *dataset, bool forecast,
                        enum ym_people_bound bound, struct ym_facts *facts, struct ym_crossing *d, struct ym_status *st)
{
    struct ym_card *card = NULL;
    enum ym_code code = ym_site_card(&t->site, dataset, &card, st);

    if (code == YM_OK) {
        struct ym_border_people n = ym_trainer_count(t, plan, card, bound);

        ym_border_ask(t->border, plan, card, &n, ym_clock_unix(), forecast, facts, d);
    }
    ym_card_free(card);
    return code;
}

enum ym_code ym_trainer_consent(const struct ym_trainer *t, const struct ym_plan *plan, const char *dataset,
                                struct ym_consent_need *out, struct ym_status *st)
{
    struct ym_card *card = NULL;
    enum ym_code code = ym_site_card(&t->site, dataset, &card, st);

    if (code == YM_OK)
        ym_border_consent(t->border, plan, card, ym_clock_unix(), out);
    ym_card_free(card);
    return code;
}

enum ym_code ym_trainer_record_new(struct ym_trainer *t, const char *type, json_t *members, struct ym_status *st)
{
    struct ym_buf line = {0};
    enum ym_code code = members ? ym_trainer_sign(t, type, members, &line, st)
                                : ym_status_set(st, YM_EXHAUSTED, "no memory for a %s leaf", type);

    if (code == YM_OK)
        code = ym_trainer_record(t, ym_buf_bytes(&line), false, st);
    json_decref(members);
    ym_buf_release(&line);
    return code;
}

/* What it says is an error of its own: YM_DENIED with the reasons, unless it proceeds. */
static enum ym_code proceeds(const struct ym_crossing *d, struct ym_status *st)
{
    struct ym_buf text = {0};
    enum ym_code code;

    if (d->outcome == YM_PROCEED)
        return YM_OK;
    code = ym_crossing_reasons(d, &text);
    ym_status_set(st, YM_DENIED, "%s", code == YM_OK ? ym_buf_str(&text) : "no memory");
    ym_buf_release(&text);
    return YM_DENIED;
}

enum ym_code ym_trainer_may_cross(struct ym_trainer *t, const struct ym_plan *plan, const char *dataset,
                                  struct ym_status *st)
{
    struct ym_facts facts;
    struct ym_crossing d;
    enum ym_code code;

    if (!ym_border_asked(t->border))
        return YM_OK;
    code = ask(t, plan, dataset, false, YM_PEOPLE_LEAST, &facts, &d, st); /* the charge asks of the exact number */
    return code == YM_OK ? proceeds(&d, st) : code;
}

/* Before the decision that reaches a mark, and so before the charge. */
static enum ym_code warn(struct ym_trainer *t, const struct ym_facts *facts, struct ym_status *st)
{
    json_t *due;
    enum ym_code code = YM_OK;

    while (code == YM_OK && (due = ym_border_warning(t->border, facts, ym_clock_unix())) != NULL)
        code = ym_trainer_record_new(t, "warning", due, st);
    return code;
}

enum ym_code ym_trainer_decide(struct ym_trainer *t, const struct ym_plan *plan, const char *dataset,
                               struct ym_status *st)
{
    struct ym_facts facts;
    struct ym_crossing d;
    json_t *members;
    enum ym_code code;

    if (!ym_border_asked(t->border))
        return YM_OK;
    code = ask(t, plan, dataset, false, YM_PEOPLE_EXACT, &facts, &d, st);
    if (code != YM_OK)
        return code;
    members = ym_border_decision_members(t->border, plan, dataset, &facts, &d);
    if (d.outcome == YM_PROCEED) /* in a new year the same decision passes the marks again */
        code = warn(t, &facts, st);
    if (code == YM_OK && !(members && ym_border_decided(t->border, members)))
        code = ym_trainer_record_new(t, "decision", members, st);
    else
        json_decref(members);
    return code == YM_OK ? proceeds(&d, st) : code;
}

static void add_wait(json_t *list, const struct ym_core_study *s, const char *track, const struct ym_track_decision *d)
{
    struct ym_buf why = {0};

    if (d->outcome != YM_PROCEED && ym_track_reason(d, &why) == YM_OK)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "study", s->study, "dataset",
                                              s->dataset, "track", track, "outcome", ym_outcome_word(d->outcome),
                                              "role", ym_office_word(d->role), "why", ym_buf_str(&why)));
    ym_buf_release(&why);
}

json_t *ym_trainer_waits(struct ym_trainer *t)
{
    json_t *list = json_array();

    for (size_t i = 0; ym_border_asked(t->border) && i < ym_core_study_count(t->core); i++) {
        const struct ym_core_study *s = ym_core_study_at(t->core, i);
        struct ym_facts facts;
        struct ym_crossing d;

        if (!s->plan || s->closed || s->decision != YM_APPROVED ||
            ask(t, s->plan, s->dataset, false, YM_PEOPLE_MOST, &facts, &d, NULL) != YM_OK)
            continue;
        add_wait(list, s, "artefact", &d.artefact);
        for (size_t k = 0; k < YM_TRACK_COUNT; k++)
            add_wait(list, s, ym_track_word((enum ym_track)k), &d.track[k]);
    }
    return list;
}

/* ---- the desk ---- */

static json_t *text_reply(struct ym_buf *text)
{
    json_t *o = json_pack("{s:b, s:s}", "ok", 1, "text", ym_buf_str(text));

    ym_buf_release(text);
    return o;
}

static enum ym_code find_both(struct ym_trainer *t, const json_t *request, struct ym_core_study **s,
                              const char **dataset, struct ym_status *st)
{
    enum ym_code code = ym_core_find(t->core, ym_trainer_text(request, "plan"), s, st);

    if (code != YM_OK)
        return code;
    *dataset = ym_trainer_text(request, "dataset")[0] ? ym_trainer_text(request, "dataset") : (*s)->dataset;
    if (!ym_core_dataset_find(t->core, *dataset))
        return ym_status_set(st, YM_NOT_FOUND, "%s", T(BORDER_NEED_DATASET));
    return YM_OK;
}

/* Of the card what is not of the file: no path, no local column. zone: why that fact is unknown, "" when it is not, or
 * when no list is asked. */
static void add_card(struct ym_trainer *t, const struct ym_plan *plan, const char *dataset,
                     const struct ym_facts *facts, bool forecast, json_t *reply)
{
    static const char *const keys[] = {"name", "title", "size_class", "tier", "border"};
    struct ym_status st = YM_STATUS_INIT;
    struct ym_card *card = NULL;
    json_t *all = NULL, *o = json_object();

    if (ym_site_card(&t->site, dataset, &card, NULL) == YM_OK) {
        ym_border_zone(t->border, plan, card, facts->people[YM_PEOPLE_SENSITIVE], ym_clock_unix(), forecast, &st);
        ym_json_parse(card->canonical.data, card->canonical.len, card->canonical.len, &all, NULL);
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(all, keys[i]))
            json_object_set(o, keys[i], json_object_get(all, keys[i]));
    json_object_set_new(reply, "card", o);
    json_object_set_new(reply, "zone", json_string(st.message));
    json_decref(all);
    ym_card_free(card);
}

static void add_reason(json_t *list, const char *track, const struct ym_track_decision *d)
{
    struct ym_buf why = {0}, rule = {0};

    if (d->rule)
        ym_buf_printf(&rule, "%s, %s/%lld", d->rule->id, d->rules->name, (long long)d->rules->version);
    if (ym_track_reason(d, &why) == YM_OK)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "track", track, "outcome",
                                              ym_outcome_word(d->outcome), "role",
                                              d->outcome == YM_PROCEED ? "" : ym_office_word(d->role), "why",
                                              ym_buf_str(&why), "rule", ym_buf_str(&rule)));
    ym_buf_release(&why);
    ym_buf_release(&rule);
}

static json_t *reasons_json(const struct ym_crossing *d)
{
    json_t *list = json_array();

    add_reason(list, "artefact", &d->artefact);
    for (size_t k = 0; k < YM_TRACK_COUNT; k++)
        add_reason(list, ym_track_word((enum ym_track)k), &d->track[k]);
    return list;
}

enum ym_code ym_trainer_border_show(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    bool forecast = json_is_true(json_object_get(request, "forecast"));
    struct ym_core_study *s;
    struct ym_facts facts;
    struct ym_crossing d;
    struct ym_buf text = {0};
    const char *dataset;
    enum ym_code code = find_both(t, request, &s, &dataset, st);

    if (code == YM_OK)
        code = ask(t, s->plan, dataset, forecast, YM_PEOPLE_MOST, &facts, &d, st);
    if (code == YM_OK)
        code = ym_crossing_print(&d, &text);
    if (code != YM_OK)
        return code;
    *reply = text_reply(&text);
    json_object_set_new(*reply, "study", json_string(s->study));
    json_object_set_new(*reply, "dataset", json_string(dataset));
    json_object_set_new(*reply, "asked", json_boolean(ym_border_asked(t->border)));
    json_object_set_new(*reply, "why_not", json_string(ym_border_why_not(t->border)));
    json_object_set_new(*reply, "decision", ym_crossing_json(&d));
    json_object_set_new(*reply, "reasons", reasons_json(&d));
    json_object_set_new(*reply, "facts", ym_facts_json(&facts));
    add_card(t, s->plan, dataset, &facts, forecast, *reply);
    return YM_OK;
}

enum ym_code ym_trainer_border_switch(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    bool asked = json_is_true(json_object_get(request, "asked"));
    const char *reason = ym_trainer_text(request, "reason");
    enum ym_code code = YM_OK;

    if (!asked && !ym_site_reason_valid(reason))
        return ym_status_set(st, YM_INVALID, "%s", T(REFUSE_REASON));
    if (asked != ym_border_asked(t->border) || (!asked && strcmp(reason, ym_border_why_not(t->border)) != 0))
        code = ym_trainer_propose(t, "border", json_pack("{s:b, s:s}", "asked", asked, "reason", asked ? "" : reason),
                                  reply, st);
    if (code == YM_OK && !*reply)
        *reply = json_pack("{s:b, s:b, s:s}", "ok", 1, "asked", asked, "why_not", ym_border_why_not(t->border));
    return code;
}

/* ---- old decisions under the sets of today ---- */

static const json_t *track_of(const json_t *decision, const char *name)
{
    const json_t *list = json_object_get(decision, "tracks"), *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        if (strcmp(ym_trainer_text(one, "track"), name) == 0)
            return one;
    }
    return NULL;
}

/* The tracks that would be decided otherwise: [{track, was, now, rule}]. */
static json_t *changes(const json_t *was, const json_t *now)
{
    json_t *list = json_array();
    const json_t *one, *old;
    size_t i;

    json_array_foreach(json_object_get(now, "tracks"), i, one)
    {
        old = track_of(was, ym_trainer_text(one, "track"));
        if (strcmp(ym_trainer_text(old, "outcome"), ym_trainer_text(one, "outcome")) == 0 &&
            strcmp(ym_trainer_text(old, "label"), ym_trainer_text(one, "label")) == 0)
            continue;
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "track", ym_trainer_text(one, "track"), "was",
                                        ym_trainer_text(old, "outcome"), "was_label", ym_trainer_text(old, "label"),
                                        "now", ym_trainer_text(one, "outcome"), "now_label",
                                        ym_trainer_text(one, "label"), "rule", ym_trainer_text(one, "rule")));
    }
    return list;
}

struct again {
    struct ym_trainer *t;
    json_t *list;
};

static bool decide_again(void *ctx, uint64_t index, struct ym_bytes line)
{
    struct again *a = ctx;
    struct ym_facts facts;
    struct ym_crossing d;
    json_t *o = NULL, *now;

    if (ym_leaf_parse(line, &o, NULL) == YM_OK && strcmp(ym_trainer_text(o, "type"), "decision") == 0 &&
        ym_facts_read(json_object_get(o, "facts"), &facts, NULL) == YM_OK) {
        ym_border_decide_facts(a->t->border, &facts, ym_clock_unix(), &d);
        now = ym_crossing_json(&d);
        json_array_append_new(a->list, json_pack("{s:I, s:I, s:s, s:s, s:s, s:s, s:o}", "leaf", (json_int_t)index,
                                                 "time", json_integer_value(json_object_get(o, "time")), "study",
                                                 ym_trainer_text(o, "study"), "dataset", ym_trainer_text(o, "dataset"),
                                                 "was", ym_trainer_text(json_object_get(o, "decision"), "outcome"),
                                                 "now", ym_outcome_word(d.outcome), "changes",
                                                 changes(json_object_get(o, "decision"), now)));
        json_decref(now);
    }
    json_decref(o);
    return true;
}

enum ym_code ym_trainer_border_again(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    struct again a = {t, json_array()};
    enum ym_code code = ym_ledger_each(t->ledger, 0, decide_again, &a, st);

    (void)request;
    if (code == YM_OK)
        *reply = json_pack("{s:b, s:O}", "ok", 1, "decisions", a.list);
    json_decref(a.list);
    return code;
}

static json_t *rules_json(const struct ym_rules *r)
{
    json_t *covers = json_array();
    json_t *o = json_pack("{s:s, s:I, s:s, s:b, s:s, s:s, s:o}", "name", r->name, "version", (json_int_t)r->version,
                          "effective_from", r->effective_from, "draft", r->draft, "title_en", r->title[0], "title_zh",
                          r->title[1], "covers", covers);

    for (size_t i = 0; i < YM_TRACK_COUNT; i++)
        if (r->covers[i])
            json_array_append_new(covers, json_string(ym_track_word((enum ym_track)i)));
    if (r->zone)
        json_array_append_new(covers, json_string("zone"));
    if (r->clocks)
        json_array_append_new(covers, json_string("clocks"));
    if (o)
        ym_json_set_hash(o, "file", r->hash);
    return o;
}

json_t *ym_trainer_rules_list(struct ym_trainer *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ym_border_rules_count(t->border); i++)
        json_array_append_new(list, rules_json(ym_border_rules_at(t->border, i)));
    return json_pack("{s:b, s:b, s:s, s:o}", "ok", 1, "asked", ym_border_asked(t->border), "why_not",
                     ym_border_why_not(t->border), "rules", list);
}

enum ym_code ym_trainer_rules_sign(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    const char *text = ym_trainer_text(request, "text");
    struct ym_problems problems = {0};
    struct ym_buf all = {0};
    json_t *members = NULL;
    enum ym_code code =
        ym_border_keep_rules(t->border, ym_trainer_text(request, "file"),
                             (struct ym_bytes){(const uint8_t *)text, strlen(text)}, &members, &problems, st);

    if (code != YM_OK && problems.count && ym_problems_format(&problems, &all) == YM_OK)
        ym_status_set(st, code, "%s", ym_buf_str(&all));
    if (code == YM_OK)
        code = ym_trainer_propose(t, "ruleset", members, reply, st);
    if (code == YM_OK && !*reply)
        *reply = ym_trainer_rules_list(t);
    ym_buf_release(&all);
    ym_problems_release(&problems);
    return code;
}

enum ym_code ym_trainer_rules_withdraw(struct ym_trainer *t, const json_t *request, json_t **reply,
                                       struct ym_status *st)
{
    const struct ym_rules *r = NULL;
    enum ym_code code;

    for (size_t i = 0; i < ym_border_rules_count(t->border); i++)
        if (strcmp(ym_border_rules_at(t->border, i)->name, ym_trainer_text(request, "name")) == 0)
            r = ym_border_rules_at(t->border, i);
    if (!r)
        return ym_status_set(st, YM_NOT_FOUND, "no rule set \"%.64s\" is signed", ym_trainer_text(request, "name"));
    code = ym_trainer_propose(t, "ruleset", ym_border_rules_members(r, true), reply, st);
    if (code == YM_OK && !*reply)
        *reply = ym_trainer_rules_list(t);
    return code;
}

/* ---- the dossier ---- */

static int64_t warning(int64_t days)
{
    static const int64_t steps[] = {60, 90, 180};
    size_t i = 0;

    while (i < sizeof steps / sizeof *steps && days > steps[i])
        i++;
    return i < sizeof steps / sizeof *steps ? steps[i] : 0;
}

/* What a filing is asked today. Of a study not known any more: its own words. *card: the caller frees. */
static void transfer_of(const struct ym_trainer *t, const struct ym_filing *f, struct ym_card **card,
                        struct ym_transfer *out)
{
    struct ym_core_study *s = NULL;

    *out = (struct ym_transfer){.study = f->study, .dataset = f->dataset};
    memcpy(out->material, f->material, sizeof out->material);
    if (ym_core_find(t->core, f->study, &s, NULL) == YM_OK && s->plan &&
        ym_site_card(&t->site, f->dataset, card, NULL) == YM_OK)
        ym_transfer_of(s->plan, *card, out);
}

static void add_due(json_t *list, const struct ym_rules *r, const struct ym_filing *f)
{
    char day[16];

    for (size_t i = 0; i < r->clocks->step_count; i++) {
        const struct ym_clock_step *step = &r->clocks->step[i];

        if (step->record == f->record && ym_clock_due(r->clocks, i, f->filed, day))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "step", step->id, "day", day, "en",
                                                  step->text[0], "zh", step->text[1], "ruleset", r->name));
    }
}

/* Of an application: by when which step may be expected, by the signed sets in force. */
static json_t *due_json(const struct ym_trainer *t, const struct ym_filing *f, const char *today)
{
    json_t *list = json_array();

    for (size_t i = 0; f->filed[0] && !f->number[0] && i < ym_border_rules_count(t->border); i++) {
        const struct ym_rules *r = ym_border_rules_at(t->border, i);

        if (r->clocks && !r->draft && strcmp(r->effective_from, today) <= 0)
            add_due(list, r, f);
    }
    return list;
}

/* until: the last day of it; warn: the mark of days left that what is live of its kind has passed, 0 none. */
static json_t *filing_json(const struct ym_trainer *t, const struct ym_filing *f)
{
    struct ym_transfer transfer;
    struct ym_card *card = NULL;
    char today[YM_DATE_BYTES];
    json_t *o = ym_filing_members(f);
    const char *lacks = ym_filing_lacks(f), *last;
    int changed = -1;
    enum ym_record_state state;

    ym_date_of(ym_clock_unix(), today);
    transfer_of(t, f, &card, &transfer);
    state = ym_filing_state(f, today, &transfer, &changed);
    last = ym_dossier_until(ym_border_dossier(t->border), f->record, today, &transfer);
    json_object_set_new(o, "state", json_string(ym_record_state_word(state)));
    json_object_set_new(o, "changed", json_string(changed < 0 ? "" : ym_material_word((enum ym_material)changed)));
    json_object_set_new(o, "lacks", json_string(lacks ? lacks : ""));
    json_object_set_new(o, "until", json_string(f->last_day[0] ? f->last_day : f->valid_until));
    json_object_set_new(o, "days_left",
                        json_integer(ym_date_days(today, f->last_day[0] ? f->last_day : f->valid_until)));
    json_object_set_new(o, "warn", json_integer(state == YM_RECORD_LIVE ? warning(ym_date_days(today, last)) : 0));
    json_object_set_new(o, "due", due_json(t, f, today));
    ym_card_free(card);
    return o;
}

json_t *ym_trainer_dossier_list(struct ym_trainer *t)
{
    const struct ym_dossier *d = ym_border_dossier(t->border);
    json_t *list = json_array();

    for (size_t i = 0; i < d->count; i++)
        json_array_append_new(list, filing_json(t, &d->item[i]));
    return json_pack("{s:b, s:o}", "ok", 1, "filings", list);
}

/* By 8 or more digits of a document's hash, of one kind. */
static const struct ym_filing *find_filing(const struct ym_trainer *t, const char *digits, int record)
{
    const struct ym_dossier *d = ym_border_dossier(t->border);
    const struct ym_filing *found = NULL;

    for (size_t i = 0; i < d->count && strlen(digits) >= 8; i++) {
        struct ym_buf hex = {0};

        ym_hex_encode(d->item[i].document, YM_HASH_BYTES, &hex);
        if (strncmp(ym_buf_str(&hex), digits, strlen(digits)) == 0 && (int)d->item[i].record == record)
            found = &d->item[i];
        ym_buf_release(&hex);
    }
    return found;
}

/* Digits of what it renews into a hash; zeros where it renews nothing. */
static enum ym_code fill_renews(const struct ym_trainer *t, json_t *filing, struct ym_status *st)
{
    static const uint8_t none[YM_HASH_BYTES];
    const char *digits = ym_trainer_text(filing, "renews");
    const struct ym_filing *prior = find_filing(t, digits, ym_record_find(ym_trainer_text(filing, "record")));

    if (digits[0] && !prior)
        return ym_status_set(st, YM_NOT_FOUND, "%s", T(BORDER_NO_FILING));
    ym_json_set_hash(filing, "renews", prior ? prior->document : none);
    return YM_OK;
}

/* Dates where none were given: from today; the last one waits for what it renews. */
static void fill_dates(json_t *filing)
{
    char today[YM_DATE_BYTES];

    ym_date_of(ym_clock_unix(), today);
    if (!ym_trainer_text(filing, "valid_from")[0])
        json_object_set_new(filing, "valid_from", json_string(today));
    if (!ym_trainer_text(filing, "valid_until")[0])
        json_object_set_new(filing, "valid_until", json_string("9999-12-31"));
}

/* Such a document lasts so long and no longer; where no date was given, so long. */
static enum ym_code fill_until(const struct ym_trainer *t, bool given, struct ym_filing *f, struct ym_status *st)
{
    char end[16];

    if (!ym_dossier_longest(ym_border_dossier(t->border), f, end))
        return ym_status_set(st, YM_NOT_FOUND, "%s", T(BORDER_NO_FILING));
    if (!given && !ym_record_years(f->record))
        return ym_status_set(st, YM_INVALID, "%s", T(BORDER_NEED_UNTIL));
    if (given && strcmp(f->valid_until, end) > 0)
        return ym_status_set(st, YM_INVALID, T(BORDER_TOO_LONG), end);
    if (!given)
        snprintf(f->valid_until, sizeof f->valid_until, "%s", end);
    return YM_OK;
}

static enum ym_code fill_place(const struct ym_trainer *t, const struct ym_core_study *s, const char *dataset,
                               json_t *filing, struct ym_status *st)
{
    uint8_t material[YM_MATERIAL_COUNT][YM_HASH_BYTES];
    struct ym_card *card = NULL;
    json_t *hashes = json_object();
    enum ym_code code = ym_site_card(&t->site, dataset, &card, st);

    if (code == YM_OK)
        ym_material_of(s->plan, card, material);
    for (int i = 0; i < YM_MATERIAL_COUNT && code == YM_OK; i++)
        ym_json_set_hash(hashes, ym_material_word((enum ym_material)i), material[i]);
    json_object_set_new(filing, "material", hashes);
    json_object_set_new(filing, "study", json_string(s->study));
    json_object_set_new(filing, "dataset", json_string(dataset));
    ym_card_free(card);
    return code;
}

enum ym_code ym_trainer_dossier_add(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st)
{
    struct ym_core_study *s;
    struct ym_filing f;
    const char *dataset;
    bool given = false;
    json_t *filing = json_deep_copy(json_object_get(request, "filing"));
    enum ym_code code = find_both(t, request, &s, &dataset, st);

    if (code == YM_OK && ym_border_dossier(t->border)->count >= MOST_FILINGS)
        code = ym_status_set(st, YM_EXHAUSTED, "%d records are filed: withdraw what has expired", MOST_FILINGS);
    if (code == YM_OK && !json_is_object(filing))
        code = ym_status_set(st, YM_INVALID, "a filing is missing");
    if (code == YM_OK)
        code = fill_place(t, s, dataset, filing, st);
    if (code == YM_OK)
        code = fill_renews(t, filing, st);
    if (code == YM_OK) {
        given = ym_trainer_text(filing, "valid_until")[0];
        fill_dates(filing);
        code = ym_filing_read(filing, &f, st);
    }
    if (code == YM_OK)
        code = fill_until(t, given, &f, st);
    if (code == YM_OK)
        code = ym_trainer_propose(t, "dossier", ym_filing_members(&f), reply, st);
    if (code == YM_OK && !*reply)
        *reply = ym_trainer_dossier_list(t);
    json_decref(filing);
    return code;
}

static bool fits(const json_t *request, const char *key, const char *value)
{
    const char *asked = ym_trainer_text(request, key);

    return !asked[0] || strcmp(asked, value) == 0;
}

/* What the digits name, of the kind, study and data set that are named too; *many: entries of several of these. */
static const struct ym_filing *find_meant(const struct ym_trainer *t, const json_t *request, bool *many)
{
    const struct ym_dossier *d = ym_border_dossier(t->border);
    const char *digits = ym_trainer_text(request, "document");
    const struct ym_filing *found = NULL;

    for (size_t i = 0; i < d->count && strlen(digits) >= 8; i++) {
        const struct ym_filing *f = &d->item[i];
        struct ym_buf hex = {0};

        ym_hex_encode(f->document, YM_HASH_BYTES, &hex);
        if (strncmp(ym_buf_str(&hex), digits, strlen(digits)) == 0 &&
            fits(request, "record", ym_record_word(f->record)) && fits(request, "study", f->study) &&
            fits(request, "dataset", f->dataset)) {
            *many |= found && (found->record != f->record || strcmp(found->study, f->study) != 0 ||
                               strcmp(found->dataset, f->dataset) != 0);
            found = f;
        }
        ym_buf_release(&hex);
    }
    return found;
}

enum ym_code ym_trainer_dossier_withdraw(struct ym_trainer *t, const json_t *request, json_t **reply,
                                         struct ym_status *st)
{
    bool many = false;
    const struct ym_filing *found = find_meant(t, request, &many);
    struct ym_filing f;
    enum ym_code code;

    if (many)
        return ym_status_set(st, YM_CONFLICT, "%s", T(BORDER_MANY_FILINGS));

    if (!found)
        return ym_status_set(st, YM_NOT_FOUND, "%s", T(BORDER_NO_FILING));
    f = *found;
    f.withdrawn = true;
    code = ym_trainer_propose(t, "dossier", ym_filing_members(&f), reply, st);
    if (code == YM_OK && !*reply)
        *reply = ym_trainer_dossier_list(t);
    return code;
}
