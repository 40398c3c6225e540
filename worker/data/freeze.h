#ifndef YM_WORKER_DATA_FREEZE_H
#define YM_WORKER_DATA_FREEZE_H

#include "worker/data/frozen.h"

/* The pieces of ym_freeze_csv, for bytes that do not lie in a file. Card and
 * report are borrowed until free. Memory: 8 bytes a value and 48 a row. */
struct ym_freeze;
enum ym_code ym_freeze_new(const struct ym_card *card, const uint8_t salt[32], bool skip_bad, struct ym_buf *report,
                           struct ym_freeze **out, struct ym_status *st);
enum ym_code ym_freeze_push(struct ym_freeze *f, const void *data, size_t len, struct ym_status *st);
enum ym_code ym_freeze_finish(struct ym_freeze *f, struct ym_buf *frozen_bytes, struct ym_status *st);
void ym_freeze_free(struct ym_freeze *f);

/* The bytes of a frozen set (frozen.c): column metadata is the "variables" of
 * the card's public part. first_row [patients + 1], value [rows][var_count]. */
enum ym_code ym_frozen_encode(const struct ym_card *card, const uint64_t *first_row, size_t patients,
                              const double *value, size_t rows, struct ym_buf *out, struct ym_status *st);

#endif
