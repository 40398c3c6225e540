#include "audit/verify/filings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LASTS_YEARS = 3,
    RENEWAL_DAYS = 120,
    NEWEST = 64 /* looked at, of what one study and data set has of a record */
};

#define OF "r|%s|%s|%s"

/* ---- what each kind must have ---- */

static const struct {
    enum ym_record record;
    const char *part[3];
} must_have[] = {
    {YM_RECORD_STANDARD_CONTRACT, {"number", "filed", "province"}},
    {YM_RECORD_CERTIFICATE, {"number", "recipients", "categories"}},
    {YM_RECORD_HGR_APPROVAL, {"number", "recipients"}},
    {YM_RECORD_HGR_FILING, {"number", "filed"}},
    {YM_RECORD_ETHICS, {"committee"}},
};

static bool reviewed(const struct ym_entry *e)
{
    static const char *const topic[] = {"necessity", "consent", "data_handling", "privacy", "sharing", "risk"};
    bool good = true;

    for (size_t i = 0; i < sizeof topic / sizeof *topic; i++)
        good = good && ym_entry_inner(e, "topics", topic[i])[0];
    return good;
}

/* What was filed has a number, or is an application. */
static bool has_parts(const struct ym_entry *e, enum ym_record record)
{
    bool good = !ym_entry_text(e, "filed")[0] || ym_entry_text(e, "number")[0];

    for (size_t i = 0; i < sizeof must_have / sizeof *must_have; i++)
        for (size_t k = 0; must_have[i].record == record && k < 3 && must_have[i].part[k]; k++)
            good = good && ym_entry_text(e, must_have[i].part[k])[0];
    return good && (record != YM_RECORD_ETHICS || reviewed(e));
}

/* ---- how long it lasts ---- */

static bool renews(const struct ym_vfiling *f)
{
    return strspn(f->renews, "0") != strlen(f->renews);
}

/* Not taken back since it was entered. */
static bool stands(const struct ym_vfilings *v, uint64_t at)
{
    const struct ym_vfiling *f = &v->item[at - 1];
    uint64_t withdrawn = 0;

    ym_vmap_get(&v->places, &withdrawn, "w|%s|%s", ym_record_word(f->record), f->document);
    return at >= withdrawn;
}

/* The newest before it that it may extend; NULL: none. */
static const struct ym_vfiling *extends(const struct ym_vfilings *v, const struct ym_vfiling *f)
{
    uint64_t at = f->before;

    for (int k = 0; at > 0 && k < NEWEST; k++, at = v->item[at - 1].before)
        if (strcmp(v->item[at - 1].document, f->renews) == 0 && v->item[at - 1].last[0] && stands(v, at))
            return &v->item[at - 1];
    return NULL;
}

/* From its first day or, dated a little before the last day of what it renews, from that day. */
static void find_last_day(const struct ym_vfilings *v, struct ym_vfiling *f)
{
    const struct ym_vfiling *old = renews(f) ? extends(v, f) : NULL;
    const char *from = f->from;
    char end[YM_DATE_BYTES] = "9999-12-31";

    f->last[0] = '\0';
    if (!f->whole || (renews(f) && !old))
        return;
    if (old && strcmp(from, old->last) < 0 && ym_date_days(from, old->last) <= RENEWAL_DAYS)
        from = old->last;
    if (f->record == YM_RECORD_SECURITY_ASSESSMENT || f->record == YM_RECORD_CERTIFICATE)
        ym_date_add_years(from, LASTS_YEARS, end);
    snprintf(f->last, sizeof f->last, "%s", strcmp(f->until, end) < 0 ? f->until : end);
}

/* ---- the ledger ---- */

/* What renewed it extends nothing now. */
static bool take_back(struct ym_vfilings *v, const struct ym_entry *e)
{
    bool good =
        ym_vmap_put(&v->places, v->count + 1, "w|%s|%s", ym_entry_text(e, "record"), ym_entry_text(e, "document"));

    for (size_t i = 0; i < v->count; i++)
        if (renews(&v->item[i]))
            find_last_day(v, &v->item[i]);
    return good;
}

static void copy_date(const struct ym_entry *e, const char *member, char out[YM_DATE_BYTES])
{
    snprintf(out, YM_DATE_BYTES, "%s", ym_entry_text(e, member));
}

bool ym_vfilings_take(struct ym_vfilings *v, const struct ym_entry *e)
{
    int record = ym_record_find(ym_entry_text(e, "record"));
    const char *study = ym_entry_text(e, "study"), *dataset = ym_entry_text(e, "dataset");
    struct ym_vfiling *grown, *f;

    if (ym_entry_bool(e, "withdrawn"))
        return take_back(v, e);
    if (record < 0 || !ym_date_valid(ym_entry_text(e, "valid_from")) || !ym_date_valid(ym_entry_text(e, "valid_until")))
        return true; /* never live */
    grown = realloc(v->item, (v->count + 1) * sizeof *grown);
    if (!grown)
        return false;
    v->item = grown;
    f = &grown[v->count++];
    *f = (struct ym_vfiling){.record = (enum ym_record)record, .whole = has_parts(e, (enum ym_record)record)};
    ym_vmap_get(&v->places, &f->before, OF, ym_record_word(f->record), study, dataset);
    snprintf(f->document, sizeof f->document, "%s", ym_entry_text(e, "document"));
    snprintf(f->renews, sizeof f->renews, "%s", ym_entry_text(e, "renews"));
    copy_date(e, "valid_from", f->from);
    copy_date(e, "valid_until", f->until);
    find_last_day(v, f);
    return ym_vmap_put(&v->places, v->count, OF, ym_record_word(f->record), study, dataset);
}

bool ym_vfilings_live(const struct ym_vfilings *v, const char *record, const char *study, const char *dataset,
                      const char *today)
{
    uint64_t at = 0;

    ym_vmap_get(&v->places, &at, OF, record, study, dataset);
    for (int k = 0; at > 0 && k < NEWEST; k++, at = v->item[at - 1].before) {
        const struct ym_vfiling *f = &v->item[at - 1];

        if (f->last[0] && stands(v, at) && strcmp(today, f->from) >= 0 && strcmp(today, f->last) <= 0)
            return true;
    }
    return false;
}

void ym_vfilings_release(struct ym_vfilings *v)
{
    free(v->item);
    ym_vmap_release(&v->places);
    *v = (struct ym_vfilings){0};
}
