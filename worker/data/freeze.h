#ifndef YM_WORKER_DATA_FREEZE_H
#define YM_WORKER_DATA_FREEZE_H

#include "worker/data/csv.h"
#include "worker/data/freeze_report.h"
#include "worker/data/frozen.h"

/* The pieces of ym_freeze_file, for CSV bytes that do not lie in a file. Card,
 * report and picture's context are borrowed until free. Memory: 8 bytes a value,
 * one a pixel's channel and 48 a row. */
struct ym_freeze;

/* The bytes of one image, [height][width][channels], of the row's cell (trimmed, not empty). YM_INVALID and a reason
 * fails the row; anything else ends the reading. */
typedef enum ym_code (*ym_picture_fn)(void *ctx, size_t var, const char *cell, size_t len, uint8_t *out,
                                      struct ym_status *st);
enum ym_code ym_freeze_new(const struct ym_card *card, const uint8_t salt[32], bool skip_bad, struct ym_buf *report,
                           struct ym_freeze **out, struct ym_status *st);
/* Whence images come; without it a card with images cannot be frozen. */
void ym_freeze_pictures(struct ym_freeze *f, ym_picture_fn picture, void *ctx);
/* Instead of pushed bytes: the next record, the header first. */
enum ym_code ym_freeze_record(struct ym_freeze *f, const struct ym_csv_record *record, struct ym_status *st);
enum ym_code ym_freeze_push(struct ym_freeze *f, const void *data, size_t len, struct ym_status *st);
enum ym_code ym_freeze_finish(struct ym_freeze *f, struct ym_buf *frozen_bytes, struct ym_status *st);
/* Before the first record: remember identifiers, which no frozen set holds; and once it is finished, that of each
 * patient in order, each ended by a zero byte. For a hospital's own results alone (worker/infer). */
void ym_freeze_keep_names(struct ym_freeze *f);
enum ym_code ym_freeze_names(const struct ym_freeze *f, struct ym_buf *out, struct ym_status *st);
/* Once it is finished: of each row in the set's order, which of the file's it was (size_t, the first is 0). */
enum ym_code ym_freeze_order(const struct ym_freeze *f, struct ym_buf *out, struct ym_status *st);
/* The side file of these finished bytes (people.h). */
enum ym_code ym_freeze_people(const struct ym_freeze *f, struct ym_bytes frozen, struct ym_buf *out,
                              struct ym_status *st);
struct ym_report *ym_freeze_report(struct ym_freeze *f); /* for a source that fails by itself */
void ym_freeze_free(struct ym_freeze *f);

/* The bytes of a frozen set (frozen.c): column metadata is the "variables" of
 * the card's public part. first_row [patients + 1], draw [patients], consent [patients] (ym_consent_join of its rows),
 * value [rows][var_count], pixel [rows][stride], unused where the card has no image. */
enum ym_code ym_frozen_encode(const struct ym_card *card, const uint64_t *first_row, const uint64_t *draw,
                              const uint64_t *consent, size_t patients, const double *value, const uint8_t *pixel,
                              size_t rows, struct ym_buf *out, struct ym_status *st);
/* A patient's number in [0, YM_HOLDOUT_ONE), by which plans hold patients out: 16 bits of
 * SHA-256 over the salted hash of the identifier. The same at every freezing under
 * one salt, a function of this patient alone, and too short to name anybody. */
uint64_t ym_freeze_draw(const uint8_t patient[YM_HASH_BYTES]);
/* Bytes of all images of a row. */
size_t ym_frozen_stride(const struct ym_card *card);

#endif
