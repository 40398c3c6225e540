#include "gate/border/dossier.h"

#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/json.h"
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

json_t *ym_filing_members(const struct ym_filing *f)
{
    json_t *material = json_object();
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:O}", "record", ym_record_word(f->record), "issuer",
                  f->issuer, "number", f->number, "study", f->study, "dataset", f->dataset, "valid_from", f->valid_from,
                  "valid_until", f->valid_until, "withdrawn", f->withdrawn, "material", material);
    for (int i = 0; i < YM_MATERIAL_COUNT; i++)
        ym_json_set_hash(material, ym_material_word((enum ym_material)i), f->material[i]);
    json_decref(material);
    if (o)
        ym_json_set_hash(o, "document", f->document);
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

static enum ym_code get_record(const json_t *o, struct ym_filing *f, struct ym_status *st)
{
    const char *word;
    enum ym_code code = ym_json_get_str(o, "record", &word, st);
    int record = code == YM_OK ? ym_record_find(word) : -1;
    if (code == YM_OK && record < 0)
        return ym_status_set(st, YM_INVALID, "\"%.60s\" is no kind of record", word);
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
        code = get_material(members, &f, st);
    if (code == YM_OK)
        *out = f;
    return code;
}

static void take_back(struct ym_dossier *d, const struct ym_filing *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->count; i++)
        if (d->item[i].record != f->record || memcmp(d->item[i].document, f->document, YM_HASH_BYTES) != 0)
            d->item[kept++] = d->item[i];
    d->count = kept;
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
    d->item[d->count++] = *f;
    return YM_OK;
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
    if (strcmp(today, f->valid_until) > 0)
        return YM_RECORD_EXPIRED;
    if (change < 0)
        return YM_RECORD_LIVE;
    if (changed)
        *changed = change;
    return YM_RECORD_STALE;
}

/* Of several, which to tell: one that is live opens; else the nearest to it. */
static int telling(enum ym_record_state s)
{
    static const int order[YM_RECORD_STATES] = {0, 2, 1, 3, 4}; /* absent expired out_of_scope stale live */
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
