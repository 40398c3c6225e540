#ifndef YM_TRAINER_WITHDRAW_H
#define YM_TRAINER_WITHDRAW_H

#include <jansson.h>

#include "gate/plan.h"
#include "worker/data/people.h"
#include "worker/trainer/site.h"

/* Who withdrew, by data set: pseudonyms of worker/data/people.h in private files
 * withdrawn/<dataset>-<hash>.set. The ledger's withdrawal leaves name the file by
 * its hash and say how many stand in it, rounded up to 100. A file is on disk
 * before its leaf, and the older ones go after it; a file that no leaf names,
 * left by a crash, counts too: nobody who withdrew comes back. One thread. */

/* In place of a data set: whoever stands here is out of every data set, of those that come later too. A word that
 * no data set can have for a name. */
#define YM_WITHDRAWN_ALL "_all"

struct ym_withdrawn;
struct ym_withdrawn *ym_withdrawn_new(const struct ym_site *site); /* borrowed */
void ym_withdrawn_free(struct ym_withdrawn *w);

/* Fold one leaf of the own ledger; others than withdrawal change nothing. */
enum ym_code ym_withdrawn_take(struct ym_withdrawn *w, const json_t *leaf, struct ym_status *st);
/* Read the lists, after the fold and after each withdrawal. YM_CORRUPT: one that the ledger names is gone or changed.
 */
enum ym_code ym_withdrawn_load(struct ym_withdrawn *w, struct ym_status *st);

/* Who is out of a data set: its list and the one of all data sets together. Never NULL; empty where nobody
 * withdrew. Until the next load. */
const struct ym_cohort *ym_withdrawn_of(const struct ym_withdrawn *w, const char *dataset);
size_t ym_withdrawn_count(const struct ym_withdrawn *w);
const char *ym_withdrawn_at(const struct ym_withdrawn *w, size_t i); /* data set i */

/* How many stand in the data set's own list. */
size_t ym_withdrawn_own(const struct ym_withdrawn *w, const char *dataset);
/* Did this pseudonym withdraw from any data set? */
bool ym_withdrawn_any(const struct ym_withdrawn *w, const uint8_t id[YM_HASH_BYTES]);

/* Write the data set's list with more people in it; *members new: of the leaf that makes it count. */
enum ym_code ym_withdrawn_keep(struct ym_withdrawn *w, const char *dataset, const struct ym_cohort *more,
                               json_t **members, struct ym_status *st);
/* Remove the lists that a newer one stands for. */
void ym_withdrawn_sweep(struct ym_withdrawn *w);

#endif
