#ifndef YM_AUDIT_PULL_H
#define YM_AUDIT_PULL_H

#include "base/crypto.h"

/* Mirror a log that is served as static files (C2SP tlog-tiles), from wherever
 * get finds them. Nothing that comes is believed: the checkpoint by its
 * signature, the roots of all full bundles by the checkpoint's root, each bundle
 * by its root before it is kept. Bundles wait in <dir>/tmp, each durable when it
 * is there, so a pull that was killed goes on where it was; the copy in dir is
 * the old one, whole, until everything new is there. Sealed checkpoints
 * (audit/ledger/seal.h) come along where the source has them: signed by the log,
 * of a root that the copy has; lines of cosigners are for keep_line to judge. */
#define YM_PULL_LEAVES_MAX ((uint64_t)1 << 24)

struct ym_pull_source {
    /* Append the file `path` of the log to out; more than limit bytes is
     * YM_EXHAUSTED, a file that is not there YM_NOT_FOUND. */
    enum ym_code (*get)(void *ctx, const char *path, size_t limit, struct ym_buf *out, struct ym_status *st);
    void (*progress)(void *ctx, uint64_t have, uint64_t size); /* entries; NULL: nobody looks */
    /* A line, with its newline, behind a checkpoint's text and not the log's own: keep it? NULL: all are kept. */
    bool (*keep_line)(void *ctx, struct ym_bytes text, struct ym_bytes line);
    void *ctx;
};

struct ym_pulled {
    uint64_t before, size; /* entries of the copy, before and now */
    uint8_t root[YM_HASH_BYTES];
};

/* Extend the copy in dir (made when absent) to the source's checkpoint, which must be of
 * origin and signed by pub. A checkpoint of the same size adds its signature lines.
 * YM_CONFLICT: the log is shorter than the copy, or differs from it; the copy stays, and
 * a checkpoint that contradicts it is kept in <dir>/contradiction/ as evidence, for both
 * are signed. YM_CORRUPT: what is served does not fit the checkpoint. */
enum ym_code ym_ledger_pull(const char *dir, const char *origin, const uint8_t pub[YM_PUBKEY_BYTES],
                            const struct ym_pull_source *source, struct ym_pulled *out, struct ym_status *st);
/* Without a trust file: the origin that the log's checkpoint names, for a key got elsewhere. */
enum ym_code ym_pull_origin(const struct ym_pull_source *source, char origin[256], struct ym_status *st);
/* ... and the key that leaf 0 says it has. It proves nothing but that all is of one make. */
enum ym_code ym_pull_owner(const struct ym_pull_source *source, uint8_t pub[YM_PUBKEY_BYTES], struct ym_status *st);

#endif
