#ifndef YM_WORKER_DATA_RECODE_H
#define YM_WORKER_DATA_RECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* A stream of bytes in a named encoding (utf-8, gb18030) to UTF-8, in pieces of
 * any size. A byte that the encoding does not have comes out as 0xFF, which no
 * UTF-8 text holds: the cell it stands in is refused later, with its line. */
typedef enum ym_code (*ym_recode_sink_fn)(void *ctx, const void *data, size_t len, struct ym_status *st);

struct ym_recode;
enum ym_code ym_recode_open(const char *encoding, ym_recode_sink_fn sink, void *ctx, struct ym_recode **out,
                            struct ym_status *st);
void ym_recode_close(struct ym_recode *r);
enum ym_code ym_recode_push(struct ym_recode *r, const void *data, size_t len, struct ym_status *st);
enum ym_code ym_recode_finish(struct ym_recode *r, struct ym_status *st); /* a cut last character is a bad byte */

#endif
