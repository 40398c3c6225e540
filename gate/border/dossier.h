#ifndef YM_GATE_BORDER_DOSSIER_H
#define YM_GATE_BORDER_DOSSIER_H

#include "gate/border/declare.h"

/* The register of outside documents: who issued what, by its hash, for which
 * study and data set, from when to when, and the six material facts as they
 * were when it was entered. Nothing in the software grants anything: a filing
 * is a fact that somebody with a key of their own entered. Pure; the caller
 * checks signatures. One filing is one "dossier" leaf (docs/leaves.md). */

struct ym_filing {
    enum ym_record record;
    uint8_t document[YM_HASH_BYTES];
    char issuer[256], number[64];
    char study[64], dataset[64]; /* what it is for */
    char valid_from[16], valid_until[16];
    uint8_t material[YM_MATERIAL_COUNT][YM_HASH_BYTES];
    bool withdrawn; /* takes back every earlier filing of the same record and document */
};

struct ym_dossier {
    struct ym_filing *item;
    size_t count, cap;
};
void ym_dossier_release(struct ym_dossier *d);

/* Members of a leaf and back: record, document, issuer, number, study, dataset,
 * valid_from, valid_until, material {six words: hash}, withdrawn. YM_INVALID names the member. */
json_t *ym_filing_members(const struct ym_filing *f);
enum ym_code ym_filing_read(const json_t *members, struct ym_filing *out, struct ym_status *st);
enum ym_code ym_dossier_take(struct ym_dossier *d, const struct ym_filing *f, struct ym_status *st);

/* What is asked of it. */
struct ym_transfer {
    const char *study, *dataset;
    uint8_t material[YM_MATERIAL_COUNT][YM_HASH_BYTES];
};
/* Of one filing. changed (may be NULL): of a stale one, which fact; -1. */
enum ym_record_state ym_filing_state(const struct ym_filing *f, const char *today, const struct ym_transfer *t,
                                     int *changed);
/* The best of all filings of the record: live only when it is for this study
 * and data set, today is within its dates, and no material fact has changed.
 * changed (may be NULL): of a stale one, which; -1. */
enum ym_record_state ym_dossier_state(const struct ym_dossier *d, enum ym_record r, const char *today,
                                      const struct ym_transfer *t, int *changed);
/* All of them into f->record. */
void ym_dossier_states(const struct ym_dossier *d, const char *today, const struct ym_transfer *t, struct ym_facts *f);

/* How long a document of this kind lasts where nothing else is written on it:
 * years; 0: a date must be given. */
int ym_record_years(enum ym_record r);

#endif
