#ifndef YM_MODELS_RESULTS_WIRE_H
#define YM_MODELS_RESULTS_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Protocol Buffers' wire format, as much of it as writing takes: varints, floats and
 * length-delimited fields (Encoding, protobuf.dev). A message is built in memory
 * of its own and then put into its parent. Memory that runs out is remembered in
 * `failed`, so that callers ask once, at the end. Zero-initialised is empty. */
struct ym_wire {
    struct ym_buf bytes;
    bool failed;
};

void ym_wire_release(struct ym_wire *w);
void ym_wire_int(struct ym_wire *w, uint32_t field, int64_t value);
void ym_wire_float(struct ym_wire *w, uint32_t field, float value);
void ym_wire_bytes(struct ym_wire *w, uint32_t field, const void *data, size_t len);
void ym_wire_text(struct ym_wire *w, uint32_t field, const char *text);
/* part becomes field of w and is released. */
void ym_wire_message(struct ym_wire *w, uint32_t field, struct ym_wire *part);

#endif
