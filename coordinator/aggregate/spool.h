#ifndef YM_COORDINATOR_SPOOL_H
#define YM_COORDINATOR_SPOOL_H

#include "base/buf.h"
#include "base/crypto.h"
#include "models/model.h"

/* Uploads on their way in: <dir>/<study>/<round>-<attempt>/<site>, appended as
 * the bytes arrive. What is in the file is what has arrived: after any restart
 * the upload goes on at the file's length. Nothing is believed before
 * ym_spool_check has read the whole file. */

struct ym_spool_key {
    const char *dir, *study, *site;
    uint32_t round, attempt;
};

struct ym_spool; /* one open upload; one thread at a time */

#define YM_SPOOL_SYNC_BYTES (8u << 20) /* fsynced at least this often */

/* total: bytes of the whole. offset out: where the next byte goes. A file
 * longer than total is emptied. */
enum ym_code ym_spool_open(const struct ym_spool_key *key, uint64_t total, struct ym_spool **out, uint64_t *offset,
                           struct ym_status *st);
/* YM_CONFLICT when offset is not where the file ends, YM_INVALID past total,
 * YM_EXHAUSTED when the disk is full (what was there stays). */
enum ym_code ym_spool_append(struct ym_spool *s, uint64_t offset, struct ym_bytes data, struct ym_status *st);
enum ym_code ym_spool_sync(struct ym_spool *s, struct ym_status *st);
uint64_t ym_spool_length(const struct ym_spool *s);
void ym_spool_close(struct ym_spool **s);
/* Bytes that have arrived; 0 when there is no file. */
uint64_t ym_spool_arrived(const struct ym_spool_key *key);

/* Read the file whole: total bytes, SHA-256, every value within width_bits of
 * two's complement, and zero in the `zeros` runs zero. reason out: "" or "incomplete" (CONFLICT, the
 * file stays), "wrong_hash" (CORRUPT), "out_of_range" (INVALID): then the file is removed, for no more bytes can mend
 * it. */
enum ym_code ym_spool_check(const struct ym_spool_key *key, uint64_t total, const uint8_t hash[YM_HASH_BYTES],
                            uint32_t width_bits, const struct ym_run *zero, size_t zeros, const char **reason,
                            struct ym_status *st);

enum ym_code ym_spool_path(const struct ym_spool_key *key, char *path, size_t cap);
/* Forget one upload, or all of an attempt (key->site NULL). Missing is fine. */
void ym_spool_drop(const struct ym_spool_key *key);
/* Forget every attempt that keep does not want. */
void ym_spool_sweep(const char *dir, bool (*keep)(void *ctx, const char *study, uint32_t round, uint32_t attempt),
                    void *ctx);

#endif
