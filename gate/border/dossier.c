#include "gate/border/dossier.h"

#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/json.h"
#include "base/text.h"
#include "gate/card.h"
#include "gate/plan.h"
#include "gate/schema.h"

enum { MOST_FILINGS = 65536 };

void ym_dossier_release(struct ym_dossier *d)
{
    free(d->item);
    *d = (struct ym_dossier){0};
}

int ym_record_years(enum ym_record r)
{
    return r == YM_RECORD_SECURITY_ASSESSMENT || r == YM_RECORD_CERTIFICATE ? 3 : 0;
}

/* ---- what a document must have ---- */

enum { NUMBER, FILED, PROVINCE, RECIPIENTS, CATEGORIES, COMMITTEE, TOPICS, RENEWS, PARTS };
static const char *const part_words[PARTS] = {"number",     "filed",     "province", "recipients",
                                              "categories", "committee", "topics",   "renews"};
static const struct {
    enum ym_record record;
    unsigned parts;
} must_have[] = {
    {YM_RECORD_STANDARD_CONTRACT, 1u << NUMBER | 1u << FILED | 1u << PROVINCE},
    {YM_RECORD_CERTIFICATE, 1u << NUMBER | 1u << RECIPIENTS | 1u << CATEGORIES},
    {YM_RECORD_HGR_APPROVAL, 1u << NUMBER | 1u << RECIPIENTS},
    {YM_RECORD_HGR_FILING, 1u << NUMBER | 1u << FILED},
    {YM_RECORD_ETHICS, 1u << COMMITTEE | 1u << TOPICS},
};

const char *ym_review_topic(size_t i)
{
    static const char *const words[YM_REVIEW_TOPICS] = {"necessity", "consent", "data_handling",
                                                        "privacy",   "sharing", "risk"};
    return words[i];
}

static bool renews(const struct ym_filing *f)
{
    static const uint8_t none[YM_HASH_BYTES];
    return memcmp(f->renews, none, sizeof none) != 0;
}

static unsigned parts_of(const struct ym_filing *f)
{
    size_t topics = 0;
    while (topics < YM_REVIEW_TOPICS && f->topic[topics][0])
        topics++;
    return (unsigned)(!!f->number[0] << NUMBER | !!f->filed[0] << FILED | !!f->province[0] << PROVINCE |
                      !!f->recipients[0] << RECIPIENTS | !!f->categories[0] << CATEGORIES |
                      !!f->committee[0] << COMMITTEE | (topics == YM_REVIEW_TOPICS) << TOPICS |
                      (!renews(f) || f->last_day[0]) << RENEWS);
}

const char *ym_filing_lacks(const struct ym_filing *f)
{
    unsigned must = 1u << RENEWS | (f->filed[0] ? 1u << NUMBER : 0);
    for (size_t i = 0; i < sizeof must_have / sizeof *must_have; i++)
        if (must_have[i].record == f->record)
            must |= must_have[i].parts;
    must &= ~parts_of(f);
    for (size_t i = 0; i < PARTS; i++)
        if (must & 1u << i)
            return part_words[i];
    return NULL;
}

/* ---- members ---- */

static json_t *topics_of(const struct ym_filing *f)
{
    json_t *o = json_object();
    for (size_t i = 0; i < YM_REVIEW_TOPICS; i++)
        if (f->topic[i][0])
            json_object_set_new(o, ym_review_topic(i), json_string(f->topic[i]));
    return o;
}

json_t *ym_filing_members(const struct ym_filing *f)
{
    json_t *material = json_object();
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:b, s:O}", "record",
                  ym_record_word(f->record), "issuer", f->issuer, "number", f->number, "study", f->study, "dataset",
                  f->dataset, "valid_from", f->valid_from, "valid_until", f->valid_until, "filed", f->filed, "province",
                  f->province, "recipients", f->recipients, "categories", f->categories, "committee", f->committee,
                  "topics", topics_of(f), "withdrawn", f->withdrawn, "material", material);
    for (int i = 0; i < YM_MATERIAL_COUNT; i++)
        ym_json_set_hash(material, ym_material_word((enum ym_material)i), f->material[i]);
    json_decref(material);
    if (o) {
        ym_json_set_hash(o, "document", f->document);
        ym_json_set_hash(o, "renews", f->renews);
    }
    return o;
}

static enum ym_code get_text(const json_t *o, const char *key, char *out, size_t cap, struct ym_status *st)
{
    const char *text;
    enum ym_code code = ym_json_get_str(o, key, &text, st);
    if (code == YM_OK && (strlen(text) >= cap || !ym_text_printable(text, strlen(text))))
        code = ym_status_set(st, YM_INVALID, "\"%s\" is too long or not printable", key);
    if (code == YM_OK)
        snprintf(out, cap, "%s", text);
    return code;
}

static enum ym_code get_name(const json_t *o, const char *key, char out[64], struct ym_status *st)
{
    enum ym_code code = get_text(o, key, out, 64, st);
    return code != YM_OK || ym_name_valid(out) ? code : ym_status_set(st, YM_INVALID, "\"%s\" is no name", key);
}

static enum ym_code get_date(const json_t *o, const char *key, char out[16], struct ym_status *st)
{
    enum ym_code code = get_text(o, key, out, 16, st);
    return code != YM_OK || ym_date_valid(out)
               ? code
               : ym_status_set(st, YM_INVALID, "\"%s\" must be a date such as 2026-01-31", key);
}

static enum ym_code get_material(const json_t *o, struct ym_filing *f, struct ym_status *st)
{
    const json_t *material = json_object_get(o, "material");
    enum ym_code code = json_object_size(material) == YM_MATERIAL_COUNT
                            ? YM_OK
                            : ym_status_set(st, YM_INVALID, "\"material\" must hold %d hashes", YM_MATERIAL_COUNT);
    for (int i = 0; i < YM_MATERIAL_COUNT && code == YM_OK; i++)
        code = ym_json_get_hash(material, ym_material_word((enum ym_material)i), f->material[i], st);
    return code;
}

static enum ym_code get_topics(const json_t *o, struct ym_filing *f, struct ym_status *st)
{
    const json_t *topics = json_object_get(o, "topics");
    size_t seen = 0;
    enum ym_code code =
        json_is_object(topics) ? YM_OK : ym_status_set(st, YM_INVALID, "\"topics\" must be an object of texts");
    for (size_t i = 0; i < YM_REVIEW_TOPICS && code == YM_OK; i++) {
        if (!json_object_get(topics, ym_review_topic(i)))
            continue;
        seen++;
        code = get_text(topics, ym_review_topic(i), f->topic[i], sizeof f->topic[i], st);
    }
    return code != YM_OK || seen == json_object_size(topics)
               ? code
               : ym_status_set(st, YM_INVALID, "\"topics\" has a word that is none of the topics of a review");
}

/* What many documents do not have. */
static enum ym_code get_parts(const json_t *o, struct ym_filing *f, struct ym_status *st)
{
    enum ym_code code = get_text(o, "filed", f->filed, sizeof f->filed, st);
    if (code == YM_OK && f->filed[0] && !ym_date_valid(f->filed))
        code = ym_status_set(st, YM_INVALID, "\"filed\" must be a date such as 2026-01-31");
    if (code == YM_OK)
        code = get_text(o, "province", f->province, sizeof f->province, st);
    if (code == YM_OK && f->province[0] && !ym_name_valid(f->province))
        code = ym_status_set(st, YM_INVALID, "\"province\" is no name");
    if (code == YM_OK)
        code = get_text(o, "recipients", f->recipients, sizeof f->recipients, st);
    if (code == YM_OK)
        code = get_text(o, "categories", f->categories, sizeof f->categories, st);
    if (code == YM_OK)
        code = get_text(o, "committee", f->committee, sizeof f->committee, st);
    if (code == YM_OK)
        code = get_topics(o, f, st);
    return code == YM_OK ? ym_json_get_hash(o, "renews", f->renews, st) : code;
}

static enum ym_code get_record(const json_t *o, struct ym_filing *f, struct ym_status *st)
{
    const char *word;
    enum ym_code code = ym_json_get_str(o, "record", &word, st);
    int record = code == YM_OK ? ym_record_find(word) : -1;
    if (code == YM_OK && record < 0)
        return ym_status_set(st, YM_INVALID, T(BORDER_NO_KIND), word);
    if (code == YM_OK && !json_is_boolean(json_object_get(o, "withdrawn")))
        return ym_status_set(st, YM_INVALID, "\"withdrawn\" must be true or false");
    f->record = (enum ym_record)record;
    f->withdrawn = json_is_true(json_object_get(o, "withdrawn"));
    return code;
}

enum ym_code ym_filing_read(const json_t *members, struct ym_filing *out, struct ym_status *st)
{
    struct ym_filing f = {0};
    enum ym_code code = get_record(members, &f, st);
    if (code == YM_OK)
        code = ym_json_get_hash(members, "document", f.document, st);
    if (code == YM_OK)
        code = get_text(members, "issuer", f.issuer, sizeof f.issuer, st);
    if (code == YM_OK)
        code = get_text(members, "number", f.number, sizeof f.number, st);
    if (code == YM_OK)
        code = get_name(members, "study", f.study, st);
    if (code == YM_OK)
        code = get_name(members, "dataset", f.dataset, st);
    if (code == YM_OK)
        code = get_date(members, "valid_from", f.valid_from, st);
    if (code == YM_OK)
        code = get_date(members, "valid_until", f.valid_until, st);
    if (code == YM_OK && strcmp(f.valid_from, f.valid_until) > 0)
        code = ym_status_set(st, YM_INVALID, "\"valid_until\" lies before \"valid_from\"");
    if (code == YM_OK)
        code = get_parts(members, &f, st);
    if (code == YM_OK)
        code = get_material(members, &f, st);
    if (code == YM_OK)
        *out = f;
    return code;
}

/* ---- how long they last ---- */

/* The newest of those before it that it may extend. */
static const struct ym_filing *renewed_by(const struct ym_dossier *d, size_t before, const struct ym_filing *f)
{
    while (before-- > 0) {
        const struct ym_filing *p = &d->item[before];
        if (p->record == f->record && !strcmp(p->study, f->study) && !strcmp(p->dataset, f->dataset) &&
            memcmp(p->document, f->renews, YM_HASH_BYTES) == 0 && p->last_day[0])
            return p;
    }
    return NULL;
}

static bool longest(const struct ym_dossier *d, size_t before, const struct ym_filing *f, char out[16])
{
    const struct ym_filing *p = renews(f) ? renewed_by(d, before, f) : NULL;
    const char *from = f->valid_from;
    char end[YM_DATE_BYTES] = "9999-12-31";
    int years = ym_record_years(f->record);
    if (renews(f) && !p)
        return false;
    if (p && strcmp(from, p->last_day) < 0 && ym_date_days(from, p->last_day) <= YM_RENEWAL_AHEAD_DAYS)
        from = p->last_day;
    if (years)
        ym_date_add_years(from, years, end);
    snprintf(out, 16, "%s", end);
    return true;
}

bool ym_dossier_longest(const struct ym_dossier *d, const struct ym_filing *f, char out[16])
{
    return longest(d, d->count, f, out);
}

static void find_last_day(const struct ym_dossier *d, size_t before, struct ym_filing *f)
{
    char end[16];
    f->last_day[0] = 0;
    if (longest(d, before, f, end))
        snprintf(f->last_day, sizeof f->last_day, "%s", strcmp(f->valid_until, end) < 0 ? f->valid_until : end);
}

static void take_back(struct ym_dossier *d, const struct ym_filing *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++)
        if (d->item[i].record != f->record || memcmp(d->item[i].document, f->document, YM_HASH_BYTES) != 0)
            d->item[kept++] = d->item[i];
    d->count = kept;
    for (size_t i = 0; i < d->count; i++) /* what renewed it extends nothing now */
        if (renews(&d->item[i]))
            find_last_day(d, i, &d->item[i]);
}

enum ym_code ym_dossier_take(struct ym_dossier *d, const struct ym_filing *f, struct ym_status *st)
{
    if (f->withdrawn) {
        take_back(d, f);
        return YM_OK;
    }
    if (d->count == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 16;
        struct ym_filing *grown = cap > MOST_FILINGS ? NULL : realloc(d->item, cap * sizeof *grown);
        if (!grown)
            return ym_status_set(st, YM_EXHAUSTED, "no room for another record: %zu are kept", d->count);
        d->item = grown;
        d->cap = cap;
    }
    d->item[d->count] = *f;
    find_last_day(d, d->count, &d->item[d->count]);
    d->count++;
    return YM_OK;
}

/* ---- what they cover ---- */

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next of a list apart by ";" or its full-width twin, without the blanks around it and with ASCII letters small;
 * false at the end. */
static bool next_part(const char **at, char out[512])
{
    size_t len = 0;
    bool more = **at;
    while (blank(**at))
        ++*at;
    while (**at && **at != ';' && strncmp(*at, "；", 3) != 0 && len < 511) {
        char c = *(*at)++;
        out[len++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    while (len && blank(out[len - 1]))
        len--;
    out[len] = 0;
    *at += **at == ';' ? 1 : **at ? 3 : 0;
    return more;
}

static bool holds(const char *list, const char *wanted)
{
    char part[512];
    while (next_part(&list, part))
        if (!strcmp(part, wanted))
            return true;
    return false;
}

/* All that is wanted, and something is. */
static bool covers(const char *list, const char *wanted)
{
    char part[512];
    size_t count = 0;
    while (next_part(&wanted, part)) {
        if (!part[0])
            continue;
        if (!holds(list, part))
            return false;
        count++;
    }
    return count > 0;
}

static bool in_scope(const struct ym_filing *f, const struct ym_transfer *t)
{
    return (!f->province[0] || !t->province || !strcmp(f->province, t->province)) &&
           (!f->recipients[0] || !t->recipient || covers(f->recipients, t->recipient)) &&
           (!f->categories[0] || !t->categories || covers(f->categories, t->categories));
}

void ym_transfer_of(const struct ym_plan *plan, const struct ym_card *card, struct ym_transfer *out)
{
    *out = (struct ym_transfer){.study = plan->study,
                                .dataset = card->name,
                                .province = card->border.province,
                                .recipient = plan->border.recipient,
                                .categories = plan->border.categories};
    ym_material_of(plan, card, out->material);
}

static int first_change(const struct ym_filing *f, const struct ym_transfer *t)
{
    for (int i = 0; i < YM_MATERIAL_COUNT; i++)
        if (memcmp(f->material[i], t->material[i], YM_HASH_BYTES) != 0)
            return i;
    return -1;
}

enum ym_record_state ym_filing_state(const struct ym_filing *f, const char *today, const struct ym_transfer *t,
                                     int *changed)
{
    int change = first_change(f, t);
    if (changed)
        *changed = -1;
    if (strcmp(f->study, t->study) != 0 || strcmp(f->dataset, t->dataset) != 0 || strcmp(today, f->valid_from) < 0)
        return YM_RECORD_OUT_OF_SCOPE;
    if (ym_filing_lacks(f))
        return YM_RECORD_INCOMPLETE;
    if (strcmp(today, f->last_day) > 0)
        return YM_RECORD_EXPIRED;
    if (!in_scope(f, t))
        return YM_RECORD_OUT_OF_SCOPE;
    if (change < 0)
        return YM_RECORD_LIVE;
    if (changed)
        *changed = change;
    return YM_RECORD_STALE;
}

/* Of several, which to tell: one that is live opens; else the nearest to it. */
static int telling(enum ym_record_state s)
{
    static const int order[YM_RECORD_STATES] = {0, 2, 1, 3, 4, 5}; /* expired is nearer than out_of_scope */
    return order[s];
}

enum ym_record_state ym_dossier_state(const struct ym_dossier *d, enum ym_record r, const char *today,
                                      const struct ym_transfer *t, int *changed)
{
    enum ym_record_state best = YM_RECORD_ABSENT;
    if (changed)
        *changed = -1;
    for (size_t i = 0; i < d->count; i++) {
        if (d->item[i].record != r)
            continue;
        int change;
        enum ym_record_state s = ym_filing_state(&d->item[i], today, t, &change);
        if (telling(s) < telling(best))
            continue;
        best = s;
        if (changed)
            *changed = change;
    }
    return best;
}

void ym_dossier_states(const struct ym_dossier *d, const char *today, const struct ym_transfer *t, struct ym_facts *f)
{
    for (size_t r = 0; r < YM_RECORD_COUNT; r++)
        f->record[r] = (uint8_t)ym_dossier_state(d, (enum ym_record)r, today, t, NULL);
}

const char *ym_dossier_until(const struct ym_dossier *d, enum ym_record r, const char *today,
                             const struct ym_transfer *t)
{
    const char *last = "";
    for (size_t i = 0; i < d->count; i++)
        if (d->item[i].record == r && ym_filing_state(&d->item[i], today, t, NULL) == YM_RECORD_LIVE &&
            strcmp(d->item[i].last_day, last) > 0)
            last = d->item[i].last_day;
    return last;
}
