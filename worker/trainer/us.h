#ifndef YM_TRAINER_US_H
#define YM_TRAINER_US_H

#include <jansson.h>

#include "gate/border/us.h"
#include "worker/data/people.h"
#include "worker/trainer/site.h"

/* How many US persons stand behind what left this hospital in the last twelve months, from one US
 * party to one recipient (28 CFR 202.205). Another object than the people meter: a window that
 * rolls by the second in place of a calendar year, and a pair in place of an exporter.
 *
 * A fold over the own ledger's charges that have a member "us": which pair, which categories, how
 * many people rounded up to 100, until when the release may leave, and a keyed hash of who they
 * are. Who they are, as pseudonyms (worker/data/people.h), lies in people/<hash>.us, on disk before
 * the charge. Nobody is taken off before the window has passed. A charge whose file is gone or was
 * changed counts as so many people whom nobody can name. One thread. */

#define YM_US_WINDOW_S (366 * INT64_C(86400)) /* at least twelve months, whatever year it is */

struct ym_us;
struct ym_us *ym_us_new(const struct ym_site *site, const uint8_t salt[YM_SITE_SALT]); /* site is borrowed */
void ym_us_free(struct ym_us *u);
/* A leaf of the own ledger, in order. YM_CORRUPT: a charge whose member "us" cannot be. */
enum ym_code ym_us_take(struct ym_us *u, const json_t *leaf, struct ym_status *st);

/* Different people counted for the pair from now - YM_US_WINDOW_S on, with a cohort on top; -1:
 * out of memory. *categories: of all of them, the transfer's included. */
int64_t ym_us_with(struct ym_us *u, const struct ym_us_transfer *t, const struct ym_cohort *cohort, int64_t now,
                   unsigned *categories);

struct ym_us_charge {
    const struct ym_us_transfer *transfer;
    const char *study;
    uint32_t round, attempt;
    int64_t until; /* unix seconds; after it the release does not leave */
    const struct ym_cohort *cohort;
};
/* Write who they are, fsynced, before the charge is signed; *out: its member "us", new. Nothing
 * counts until that charge is taken. */
enum ym_code ym_us_keep(struct ym_us *u, const struct ym_us_charge *c, json_t **out, struct ym_status *st);
/* Remove files that no charge in the window names. */
void ym_us_sweep(struct ym_us *u, int64_t now);

/* [{party, recipient, people, lost, categories: "genome health", mask: their bits}] of each pair in
 * the window; lost: of them, those whom nobody can name. */
json_t *ym_us_json(struct ym_us *u, int64_t now);

#endif
