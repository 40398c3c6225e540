#include "gate/border/evaluate.h"

#include <string.h>

#include "base/listing.h"
#include "base/text.h"
#include "gate/border/words.h"

static const char *const outcome_words[] = {"proceed", "hold", "refuse"};
static const char *const ground_words[] = {"rule", "unknown", "record", "no_match", "no_set", "two_sets", "artefact"};

const char *ym_outcome_word(enum ym_outcome outcome)
{
    return outcome_words[outcome];
}

/* ---- one row ---- */

enum match { MATCH_NO, MATCH_YES, MATCH_UNKNOWN };

struct view { /* facts as one set sees them: unknown choices assumed, counts in bands */
    uint8_t choice[YM_CHOICE_COUNT];
    int band[YM_PEOPLE_COUNT]; /* -1: unknown */
};

static int band_of(const struct ym_bands *b, int64_t n)
{
    int band = -1;
    for (size_t i = 0; n >= 0 && i < b->count && n >= b->from[i]; i++)
        band = (int)i;
    return band;
}

static void look(const struct ym_rules *r, const struct ym_facts *f, struct view *v)
{
    for (size_t i = 0; i < YM_CHOICE_COUNT; i++)
        v->choice[i] = f->choice[i] ? f->choice[i] : r->assume[i];
    for (size_t i = 0; i < YM_PEOPLE_COUNT; i++)
        v->band[i] = band_of(&r->bands[i], f->people[i]);
}

struct unknown {
    const char *word;
    enum ym_office role;
};

/* MATCH_UNKNOWN when only unknown facts keep the row from a clear answer; who is the first of them. */
static enum match match_rule(const struct ym_rule *rule, const struct view *v, struct unknown *who)
{
    who->word = NULL;
    for (size_t i = 0; i < YM_CHOICE_COUNT; i++) {
        if (!rule->choice[i])
            continue;
        if (v->choice[i] && !(rule->choice[i] >> v->choice[i] & 1))
            return MATCH_NO;
        if (!v->choice[i] && !who->word)
            *who = (struct unknown){ym_choice_word((enum ym_choice)i), ym_choice_office((enum ym_choice)i)};
    }
    for (size_t i = 0; i < YM_PEOPLE_COUNT; i++) {
        if (!rule->people[i])
            continue;
        if (v->band[i] >= 0 && !(rule->people[i] >> v->band[i] & 1))
            return MATCH_NO;
        if (v->band[i] < 0 && !who->word)
            *who = (struct unknown){ym_people_word((enum ym_people)i), ym_people_office((enum ym_people)i)};
    }
    return who->word ? MATCH_UNKNOWN : MATCH_YES;
}

/* ---- one track ---- */

static struct ym_track_decision hold(enum ym_ground ground, enum ym_office role, const struct ym_rules *rules)
{
    return (struct ym_track_decision){YM_LABEL_HOLD, YM_HOLD, ground, role, rules, NULL, NULL, -1, 0};
}

static bool group_live(uint32_t group, const struct ym_facts *f)
{
    for (unsigned i = 0; i < YM_RECORD_COUNT; i++)
        if (group >> i & 1 && f->record[i] == YM_RECORD_LIVE)
            return true;
    return false;
}

/* Of a group without a live record, the one nearest to it: an expired one says more than an absent one. */
static int nearest_record(uint32_t group, const struct ym_facts *f)
{
    int best = -1;
    for (int i = 0; i < YM_RECORD_COUNT; i++)
        if (group >> i & 1 && (best < 0 || f->record[i] > f->record[best]))
            best = i;
    return best;
}

/* A row that matched. */
static struct ym_track_decision apply(const struct ym_rules *rules, const struct ym_rule *rule,
                                      const struct ym_facts *f)
{
    struct ym_track_decision d = {rule->label, YM_PROCEED, YM_GROUND_RULE, rule->role, rules, rule, NULL, -1, 0};
    size_t n = 0;
    while (n < rule->need_count && group_live(rule->need[n], f))
        n++;
    if (rule->label == YM_LABEL_REFUSE) {
        d.outcome = YM_REFUSE;
    } else if (n < rule->need_count) {
        d.outcome = YM_HOLD;
        d.ground = YM_GROUND_RECORD;
        d.record = nearest_record(rule->need[n], f);
        d.record_state = (enum ym_record_state)f->record[d.record];
        d.role = ym_record_office((enum ym_record)d.record);
    } else if (rule->label == YM_LABEL_HOLD && !rule->next) {
        d.outcome = YM_HOLD;
    }
    return d;
}

static struct ym_track_decision decide_by(const struct ym_rules *rules, enum ym_track t, const struct ym_facts *f)
{
    struct view v;
    struct unknown who;
    enum ym_label worst = YM_LABEL_NONE;
    struct ym_track_decision d = hold(YM_GROUND_NO_MATCH, YM_OFFICE_DATA_OFFICE, rules);
    look(rules, f, &v);
    for (size_t i = 0; i < rules->rule_count[t]; i++) {
        const struct ym_rule *rule = &rules->rule[t][i];
        enum match m = match_rule(rule, &v, &who);
        if (m == MATCH_NO)
            continue;
        d = m == MATCH_YES ? apply(rules, rule, f) : hold(YM_GROUND_UNKNOWN, who.role, rules);
        d.rule = rule;
        d.fact = who.word;
        if (m == MATCH_UNKNOWN || d.outcome != YM_PROCEED || !rule->next)
            break;
        if (rule->label != YM_LABEL_HOLD && ym_label_rank(rule->label) > ym_label_rank(worst))
            worst = rule->label;
        d = hold(YM_GROUND_NO_MATCH, YM_OFFICE_DATA_OFFICE, rules);
    }
    if (ym_label_rank(worst) > ym_label_rank(d.label))
        d.label = worst;
    return d;
}

/* In force for this track: signed, of today or before, and a draft only in a forecast. */
static bool in_force(const struct ym_rules_in *in, enum ym_track t, const char *today, bool forecast)
{
    return in->is_signed && in->rules->covers[t] && (forecast || !in->rules->draft) &&
           strcmp(in->rules->effective_from, today) <= 0;
}

static const struct ym_rules_in *find_set(const struct ym_rules_in *sets, size_t count, enum ym_track t,
                                          const char *today, bool forecast, bool *two)
{
    const struct ym_rules_in *found = NULL;
    *two = false;
    for (size_t i = 0; i < count; i++) {
        if (!in_force(&sets[i], t, today, forecast))
            continue;
        bool replaces = found && sets[i].rules->draft && !found->rules->draft;
        bool yields = found && !sets[i].rules->draft && found->rules->draft;
        *two |= found && !replaces && !yields;
        if (!found || replaces)
            found = &sets[i];
    }
    return found;
}

/* ---- what leaves, whatever the rules ---- */

static struct ym_track_decision decide_artefact(const struct ym_facts *f)
{
    struct ym_track_decision d = {YM_LABEL_NONE, YM_PROCEED, YM_GROUND_ARTEFACT, YM_OFFICE_IT, NULL, NULL, NULL, -1, 0};
    unsigned a = f->choice[YM_CHOICE_ARTEFACT];
    const char *word = ym_choice_value(YM_CHOICE_ARTEFACT, a);
    bool model = !strcmp(word, "model") || !strcmp(word, "synthetic");
    bool released = !strcmp(word, "update") || !strcmp(word, "statistic");
    d.fact = ym_choice_word(YM_CHOICE_ARTEFACT);
    if (released && f->choice[YM_CHOICE_PROTECTION] == 2)
        return d;
    if (model && f->choice[YM_CHOICE_LABELS] == 2 && f->record[YM_RECORD_RELEASE_APPROVAL] == YM_RECORD_LIVE)
        return d;
    d.label = model ? YM_LABEL_HOLD : YM_LABEL_REFUSE;
    d.outcome = model ? YM_HOLD : YM_REFUSE;
    if (released)
        d.fact = ym_choice_word(YM_CHOICE_PROTECTION);
    if (model && f->choice[YM_CHOICE_LABELS] != 2)
        d.fact = ym_choice_word(YM_CHOICE_LABELS);
    else if (model) {
        d.record = YM_RECORD_RELEASE_APPROVAL;
        d.ground = YM_GROUND_RECORD;
        d.record_state = (enum ym_record_state)f->record[d.record];
        d.role = ym_record_office(YM_RECORD_RELEASE_APPROVAL);
    }
    return d;
}

void ym_border_decide(const struct ym_rules_in *sets, size_t count, const struct ym_facts *f, const char *today,
                      bool forecast, struct ym_crossing *out)
{
    *out = (struct ym_crossing){.artefact = decide_artefact(f), .forecast = forecast};
    out->outcome = out->artefact.outcome;
    out->label = out->artefact.label;
    for (size_t t = 0; t < YM_TRACK_COUNT; t++) {
        bool two;
        const struct ym_rules_in *in = find_set(sets, count, (enum ym_track)t, today, forecast, &two);
        struct ym_track_decision *d = &out->track[t];
        if (!in || two)
            *d = hold(in ? YM_GROUND_TWO_SETS : YM_GROUND_NO_SET, YM_OFFICE_DATA_OFFICE, NULL);
        else
            *d = decide_by(in->rules, (enum ym_track)t, f);
        if (d->outcome > out->outcome)
            out->outcome = d->outcome;
        if (ym_label_rank(d->label) > ym_label_rank(out->label))
            out->label = d->label;
    }
}

/* ---- for people and programs ---- */

enum ym_code ym_track_reason(const struct ym_track_decision *d, struct ym_buf *out)
{
    char name[YM_WORD_BYTES];

    switch (d->ground) {
    case YM_GROUND_UNKNOWN:
        return ym_buf_printf(out, T(BORDER_UNKNOWN), d->fact);
    case YM_GROUND_RECORD:
        return ym_buf_printf(out, T(BORDER_RECORD),
                             ym_word_named(YM_WORD_RECORD, ym_record_word((enum ym_record)d->record), name),
                             ym_word_text(YM_WORD_STATE, ym_record_state_word(d->record_state)));
    case YM_GROUND_NO_MATCH:
        return ym_buf_puts(out, T(BORDER_NO_MATCH));
    case YM_GROUND_NO_SET:
        return ym_buf_puts(out, T(BORDER_NO_SET));
    case YM_GROUND_TWO_SETS:
        return ym_buf_puts(out, T(BORDER_TWO_SETS));
    case YM_GROUND_ARTEFACT:
        return ym_buf_printf(out, T(BORDER_ARTEFACT), ym_word_text(YM_WORD_FACT, d->fact));
    case YM_GROUND_RULE:
        break;
    }
    return ym_buf_puts(out, d->rule->text[ym_text_lang() == YM_LANG_ZH]);
}

static void add_track(struct ym_listing *t, const char *name, const struct ym_track_decision *d)
{
    struct ym_buf why = {0};
    ym_listing_add(t, "%s", ym_word_text(YM_WORD_TRACK, name));
    ym_listing_add(t, "%s", ym_word_text(YM_WORD_OUTCOME, ym_outcome_word(d->outcome)));
    ym_listing_add(t, "%s", ym_word_text(YM_WORD_LABEL, ym_label_word(d->label)));
    ym_track_reason(d, &why);
    if (d->outcome != YM_PROCEED)
        ym_buf_printf(&why, T(BORDER_WHO), ym_word_text(YM_WORD_OFFICE, ym_office_word(d->role)));
    if (d->rule)
        ym_buf_printf(&why, " [%s, %s/%lld]", d->rule->id, d->rules->name, (long long)d->rules->version);
    ym_listing_add(t, "%s", ym_buf_str(&why));
    ym_buf_release(&why);
}

enum ym_code ym_crossing_print(const struct ym_crossing *d, struct ym_buf *out)
{
    struct ym_listing t = {.columns = 4};
    if (d->forecast)
        ym_buf_printf(out, "%s\n", T(BORDER_FORECAST));
    add_track(&t, "artefact", &d->artefact);
    for (size_t i = 0; i < YM_TRACK_COUNT; i++)
        add_track(&t, ym_track_word((enum ym_track)i), &d->track[i]);
    ym_listing_add(&t, "%s", T(BORDER_OVERALL));
    ym_listing_add(&t, "%s", ym_word_text(YM_WORD_OUTCOME, ym_outcome_word(d->outcome)));
    ym_listing_add(&t, "%s", ym_word_text(YM_WORD_LABEL, ym_label_word(d->label)));
    ym_listing_add(&t, "%s", "");
    ym_listing_format(&t, out);
    return ym_buf_printf(out, "%s\n", T(BORDER_NOT_ADVICE));
}

enum ym_code ym_crossing_reasons(const struct ym_crossing *d, struct ym_buf *out)
{
    const struct ym_track_decision *all[YM_TRACK_COUNT + 1] = {&d->artefact};
    enum ym_code code = YM_OK;
    for (size_t t = 0; t < YM_TRACK_COUNT; t++)
        all[t + 1] = &d->track[t];
    for (size_t i = 0; code == YM_OK && i <= YM_TRACK_COUNT; i++) {
        if (all[i]->outcome == YM_PROCEED)
            continue;
        code = ym_buf_printf(out, "%s%s: ", out->len ? "; " : "",
                             ym_word_text(YM_WORD_TRACK, i ? ym_track_word((enum ym_track)(i - 1)) : "artefact"));
        if (code == YM_OK)
            code = ym_track_reason(all[i], out);
        if (code == YM_OK)
            code = ym_buf_printf(out, T(BORDER_WHO), ym_word_text(YM_WORD_OFFICE, ym_office_word(all[i]->role)));
    }
    return code;
}

static json_t *track_json(const char *name, const struct ym_track_decision *d)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:I}", "track", name, "outcome", ym_outcome_word(d->outcome),
                     "label", ym_label_word(d->label), "ground", ground_words[d->ground], "fact",
                     d->fact ? d->fact : "", "record", d->record < 0 ? "" : ym_record_word((enum ym_record)d->record),
                     "role", d->outcome == YM_PROCEED ? "" : ym_office_word(d->role), "rule",
                     d->rule ? d->rule->id : "", "version", (json_int_t)(d->rules ? d->rules->version : 0));
}

json_t *ym_crossing_json(const struct ym_crossing *d)
{
    json_t *tracks = json_array();
    json_array_append_new(tracks, track_json("artefact", &d->artefact));
    for (size_t t = 0; t < YM_TRACK_COUNT; t++) {
        json_t *one = track_json(ym_track_word((enum ym_track)t), &d->track[t]);
        const struct ym_rules *r = d->track[t].rules;
        json_object_set_new(one, "ruleset", json_string(r ? r->name : ""));
        json_array_append_new(tracks, one);
    }
    return json_pack("{s:b,s:s,s:s,s:o}", "forecast", d->forecast, "label", ym_label_word(d->label), "outcome",
                     ym_outcome_word(d->outcome), "tracks", tracks);
}
