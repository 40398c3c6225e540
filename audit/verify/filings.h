#ifndef YM_VERIFY_FILINGS_H
#define YM_VERIFY_FILINGS_H

#include "audit/verify/entry.h"
#include "audit/verify/map.h"
#include "base/calendar.h"
#include "gate/border/facts.h"

/* Documents on record in a hospital's ledger, each with the days on which it is live
 * (docs/border.md, "Documents"), worked out anew from its dossier leaves. Zero-initialised is empty. */
struct ym_vfiling {
    char document[65], renews[65], from[YM_DATE_BYTES], until[YM_DATE_BYTES];
    char last[YM_DATE_BYTES]; /* until, or as long as its kind lasts; "": something is missing */
    enum ym_record record;
    bool whole;      /* its own parts are there */
    uint64_t before; /* 1 + the one before it for the same record, study and data set; 0: none */
};

struct ym_vfilings {
    struct ym_vfiling *item;
    size_t count;
    struct ym_vmap places;
};

/* The next dossier leaf. False: out of memory. */
bool ym_vfilings_take(struct ym_vfilings *v, const struct ym_entry *e);
/* One of that record is there with all its parts, not taken back, for this study and data set, on this
 * day (YYYY-MM-DD). What it covers besides is in plan and card, which are not here. */
bool ym_vfilings_live(const struct ym_vfilings *v, const char *record, const char *study, const char *dataset,
                      const char *today);
void ym_vfilings_release(struct ym_vfilings *v);

#endif
