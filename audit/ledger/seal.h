#ifndef YM_AUDIT_SEAL_H
#define YM_AUDIT_SEAL_H

#include "base/crypto.h"

/* The checkpoints of a log that others were asked to cosign, kept for good beside
 * it: <dir>/cosigned/<size, 20 digits> is the checkpoint of that size as the log
 * signed it, and behind it a line of each cosigner as they come in
 * (audit/ledger/cosign.h), each written whole by temp, fsync, rename. The bare
 * checkpoint is not fsynced, for a round's end does not wait for what the log can
 * sign again; a power cut may leave it torn, which sweep makes good. One writer at
 * a time. */

/* Keep a checkpoint; what is there of that size stays. dir is the ledger's folder. */
enum ym_code ym_seal_write(const char *dir, uint64_t size, struct ym_bytes note, struct ym_status *st);
/* Remove what a power cut left: files that are no signed note. At start. */
enum ym_code ym_seal_sweep(const char *dir, struct ym_status *st);
/* Add a cosigner's line, with its newline, checked by the caller. A second one of the
 * same name changes nothing. YM_NOT_FOUND: no checkpoint of that size was
 * sealed; YM_EXHAUSTED: YM_COSIGNED_MAX, or the disk, is full. */
enum ym_code ym_seal_add(const char *dir, uint64_t size, struct ym_bytes line, struct ym_status *st);
enum ym_code ym_seal_read(const char *dir, uint64_t size, struct ym_buf *out, struct ym_status *st);
/* The largest size that was sealed; YM_NOT_FOUND: none. */
enum ym_code ym_seal_newest(const char *dir, uint64_t *size, struct ym_status *st);

#endif
