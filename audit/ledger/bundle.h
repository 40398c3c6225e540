#ifndef YM_AUDIT_BUNDLE_H
#define YM_AUDIT_BUNDLE_H

#include "base/buf.h"

/* An entry bundle of tlog-tiles: 256 leaves, each behind its length as two
 * big-endian bytes; the last bundle of a log may hold fewer. */
#define YM_BUNDLE_LEAVES 256

/* Visit the entries; YM_CORRUPT when the bundle does not hold exactly count, or
 * ends inside one. Stops at the first code of fn that is not YM_OK. */
enum ym_code ym_bundle_each(struct ym_bytes bundle, size_t count,
                            enum ym_code (*fn)(void *ctx, size_t i, struct ym_bytes leaf, struct ym_status *st),
                            void *ctx, struct ym_status *st);

#endif
