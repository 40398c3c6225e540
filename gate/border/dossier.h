#ifndef YM_GATE_BORDER_DOSSIER_H
#define YM_GATE_BORDER_DOSSIER_H

#include "gate/border/declare.h"

/* The register of outside documents: who issued what, by its hash, for which
 * study and data set, from when to when, and the six material facts as they
 * were when it was entered. Nothing in the software grants anything: a filing
 * is a fact that somebody with a key of their own entered. Pure; the caller
 * checks signatures. One filing is one "dossier" leaf (docs/leaves.md). */

enum { YM_REVIEW_TOPICS = 6 };
const char *ym_review_topic(size_t i); /* what an ethics committee reviews: "necessity" "consent" ... */

struct ym_filing {
    enum ym_record record;
    uint8_t document[YM_HASH_BYTES];
    char issuer[256], number[64];
    char study[64], dataset[64]; /* what it is for */
    char valid_from[16], valid_until[16];
    /* "" where there is no such thing: */
    char filed[16];                        /* the day it was handed in with an authority */
    char province[64];                     /* of that authority; the exporter's own, else it is out of scope */
    char recipients[512], categories[512]; /* what it covers, apart by ";": the plan's, else it is out of scope */
    char committee[64];                    /* under which number the ethics committee is registered */
    char topic[YM_REVIEW_TOPICS][64];      /* where in the document each topic is reviewed */
    uint8_t renews[YM_HASH_BYTES];         /* the document that it extends; zeros: none */
    uint8_t material[YM_MATERIAL_COUNT][YM_HASH_BYTES];
    bool withdrawn; /* takes back every earlier filing of the same record and document */

    char last_day[16]; /* not in the leaf: ym_dossier_take finds it. "": it renews nothing that is on record */
};

/* The first member that such a document must have and this one lacks; NULL when it
 * is complete. With a day of filing but no number it is an application. */
const char *ym_filing_lacks(const struct ym_filing *f);

struct ym_dossier {
    struct ym_filing *item;
    size_t count, cap;
};
void ym_dossier_release(struct ym_dossier *d);

/* Members of a leaf and back: record, document, issuer, number, study, dataset,
 * valid_from, valid_until, filed, province, recipients, categories, committee, topics {word: where}, renews,
 * material {six words: hash}, withdrawn. YM_INVALID names the member. */
json_t *ym_filing_members(const struct ym_filing *f);
enum ym_code ym_filing_read(const json_t *members, struct ym_filing *out, struct ym_status *st);
/* Adds it and finds its last day: that on the document, but no later than its kind
 * lasts. A renewal counts from the last day of what it extends when it comes at
 * most YM_RENEWAL_AHEAD_DAYS before it, else from its own first day; the days
 * between are nobody's. */
enum { YM_RENEWAL_AHEAD_DAYS = 120 };
enum ym_code ym_dossier_take(struct ym_dossier *d, const struct ym_filing *f, struct ym_status *st);

/* The last day that such a filing may have, taken now. False: what it renews is not on record. */
bool ym_dossier_longest(const struct ym_dossier *d, const struct ym_filing *f, char out[16]);

/* What is asked of it. NULL: not asked (of a study not known any more). */
struct ym_transfer {
    const char *study, *dataset;
    const char *province, *recipient, *categories;
    uint8_t material[YM_MATERIAL_COUNT][YM_HASH_BYTES];
};
void ym_transfer_of(const struct ym_plan *plan, const struct ym_card *card, struct ym_transfer *out); /* borrowed */
/* Of one filing. changed (may be NULL): of a stale one, which fact; -1. */
enum ym_record_state ym_filing_state(const struct ym_filing *f, const char *today, const struct ym_transfer *t,
                                     int *changed);
/* The best of all filings of the record: live only when it is for this study and
 * data set, today is within its dates, it is complete, covers the province, the
 * recipient and the categories, and no material fact has changed.
 * changed (may be NULL): of a stale one, which; -1. */
enum ym_record_state ym_dossier_state(const struct ym_dossier *d, enum ym_record r, const char *today,
                                      const struct ym_transfer *t, int *changed);
/* All of them into f->record. */
void ym_dossier_states(const struct ym_dossier *d, const char *today, const struct ym_transfer *t, struct ym_facts *f);

/* The last day on which one of those that are live today still is; "" when none is. */
const char *ym_dossier_until(const struct ym_dossier *d, enum ym_record r, const char *today,
                             const struct ym_transfer *t);

/* How long a document of this kind lasts where nothing else is written on it:
 * years; 0: a date must be given. */
int ym_record_years(enum ym_record r);

#endif
