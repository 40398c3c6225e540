#ifndef YM_WORKER_DATA_PEOPLE_H
#define YM_WORKER_DATA_PEOPLE_H

#include "base/crypto.h"
#include "base/status.h"

/* Who the people of a frozen set are, for counting alone: a pseudonym for each
 * patient, HMAC-SHA-256 under the site's salt of the kind of identifier and the
 * salted hash that orders the set. The frozen set holds no identifiers; this
 * side file beside it neither, but the same identifier of the same kind gives the
 * same pseudonym in every data set. Where identifiers say nothing outside their
 * own data set ("study_id", "unspecified") the set's name is hashed in, and where
 * each row is a patient ("row") the hash of the frozen bytes: who cannot be told
 * apart from somebody counted before counts again. Layout: docs/formats.md, "People". */

#define YM_PEOPLE_MAX_BYTES (UINT64_C(1) << 33)

struct ym_cohort {
    uint8_t (*id)[YM_HASH_BYTES]; /* ascending, all different */
    size_t count;
};
void ym_cohort_release(struct ym_cohort *c);
/* Takes ids in any order, twice too. YM_EXHAUSTED. */
enum ym_code ym_cohort_of(const uint8_t (*id)[YM_HASH_BYTES], size_t count, struct ym_cohort *out,
                          struct ym_status *st);
size_t ym_cohort_union_size(const struct ym_cohort *a, const struct ym_cohort *b);
enum ym_code ym_cohort_union(const struct ym_cohort *a, const struct ym_cohort *b, struct ym_cohort *out,
                             struct ym_status *st);
bool ym_cohort_has(const struct ym_cohort *c, const uint8_t id[YM_HASH_BYTES]);
bool ym_cohort_within(const struct ym_cohort *a, const struct ym_cohort *b); /* is all of a in b? */

/* kind: the card's identifier. dataset, frozen: the set's name and the hash of its bytes. */
void ym_pseudonym(const uint8_t salt[32], const char *kind, const char *dataset, const uint8_t frozen[YM_HASH_BYTES],
                  const uint8_t patient[YM_HASH_BYTES], uint8_t out[YM_HASH_BYTES]);

/* The side file: id[i] is of patient i of the frozen set with these bytes' hash. out: empty. */
enum ym_code ym_people_encode(const uint8_t frozen[YM_HASH_BYTES], const uint8_t (*id)[YM_HASH_BYTES], size_t count,
                              struct ym_buf *out, struct ym_status *st);
/* Its pseudonyms, in the order of the frozen set; borrowed from file. YM_CORRUPT. */
enum ym_code ym_people_ids(struct ym_bytes file, const uint8_t frozen[YM_HASH_BYTES],
                           const uint8_t (**id)[YM_HASH_BYTES], size_t *count, struct ym_status *st);
/* The patients who of it, [count] indices; NULL: all. frozen: NULL: of whichever set. YM_CORRUPT: it is of another
 * frozen set, or none. */
enum ym_code ym_people_load(const char *path, const uint8_t frozen[YM_HASH_BYTES], const uint32_t *who, size_t count,
                            struct ym_cohort *out, struct ym_status *st);

/* Marks, of the patients of that set, those who are among some: out [patients]. YM_CORRUPT as above, or another number.
 */
enum ym_code ym_people_mark(const char *path, const uint8_t frozen[YM_HASH_BYTES], const struct ym_cohort *some,
                            uint8_t *out, size_t patients, struct ym_status *st);

#endif
