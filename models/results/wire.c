#include "models/results/wire.h"

#include <string.h>

enum { VARINT = 0, DELIMITED = 2, FIXED32 = 5 };

void ym_wire_release(struct ym_wire *w)
{
    ym_buf_release(&w->bytes);
    w->failed = false;
}

static void append(struct ym_wire *w, const void *data, size_t len)
{
    w->failed |= ym_buf_append(&w->bytes, data, len) != YM_OK;
}

static void varint(struct ym_wire *w, uint64_t v)
{
    uint8_t out[10];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    append(w, out, n);
}

static void tag(struct ym_wire *w, uint32_t field, uint32_t type)
{
    varint(w, (uint64_t)field << 3 | type);
}

void ym_wire_int(struct ym_wire *w, uint32_t field, int64_t value)
{
    tag(w, field, VARINT);
    varint(w, (uint64_t)value);
}

void ym_wire_bytes(struct ym_wire *w, uint32_t field, const void *data, size_t len)
{
    tag(w, field, DELIMITED);
    varint(w, len);
    append(w, data, len);
}

void ym_wire_text(struct ym_wire *w, uint32_t field, const char *text)
{
    ym_wire_bytes(w, field, text, strlen(text));
}

void ym_wire_message(struct ym_wire *w, uint32_t field, struct ym_wire *part)
{
    w->failed |= part->failed;
    ym_wire_bytes(w, field, part->bytes.data, part->bytes.len);
    ym_wire_release(part);
}

void ym_wire_float(struct ym_wire *w, uint32_t field, float value)
{
    tag(w, field, FIXED32);
    append(w, &value, sizeof value);
}
