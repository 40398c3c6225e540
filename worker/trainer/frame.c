#include "worker/trainer/frame.h"

#include <string.h>

static const uint8_t magic[4] = {'Y', 'M', 'F', '1'};

static void put_le(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;

    for (int i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static bool kind_known(uint8_t kind)
{
    return kind == YM_FRAME_HELLO || (kind >= YM_FRAME_CONTROL && kind <= YM_FRAME_RELEASE_DATA) ||
           (kind >= YM_FRAME_GATEWAY && kind <= YM_FRAME_NOTICE);
}

static bool all_zero(const uint8_t *p, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++)
        any |= p[i];
    return any == 0;
}

static enum ym_code check_bounds(const struct ym_frame *f, struct ym_status *st)
{
    if (f->room > YM_FRAME_MAX_PAYLOAD || f->payload.len > f->room)
        return ym_status_set(st, YM_INVALID, "frame payload of %zu in %u bytes is out of bounds", f->payload.len,
                             f->room);
    if (f->total > YM_FRAME_MAX_TOTAL || f->offset > f->total)
        return ym_status_set(st, YM_INVALID, "frame offset or total is out of bounds");
    if (f->kind == YM_FRAME_HELLO && (f->sequence != 0 || f->room != 0))
        return ym_status_set(st, YM_INVALID, "hello frame carries a sequence or a payload");
    if (f->kind != YM_FRAME_HELLO && f->sequence == 0)
        return ym_status_set(st, YM_INVALID, "frame of kind %d has no sequence", (int)f->kind);
    if (f->from == 0)
        return ym_status_set(st, YM_INVALID, "frame without a sender");
    return YM_OK;
}

enum ym_code ym_frame_decode(struct ym_bytes m, struct ym_frame *frame, struct ym_status *st)
{
    struct ym_frame f = {0};
    const uint8_t *p = m.data;
    uint32_t length;
    enum ym_code code;

    if (m.len < YM_FRAME_HEADER || memcmp(p, magic, sizeof magic) != 0)
        return ym_status_set(st, YM_INVALID, "not a frame (%zu bytes)", m.len);
    if (p[4] != 1 || p[6] != 0 || p[7] != 0 || !kind_known(p[5]))
        return ym_status_set(st, YM_INVALID, "frame of version %u kind %u is not known", p[4], p[5]);
    length = (uint32_t)get_le(p + 56, 4);
    f = (struct ym_frame){.kind = p[5],
                          .from = get_le(p + 8, 8),
                          .to = get_le(p + 16, 8),
                          .sequence = get_le(p + 24, 8),
                          .acknowledged = get_le(p + 32, 8),
                          .offset = get_le(p + 40, 8),
                          .total = get_le(p + 48, 8),
                          .payload = {p + YM_FRAME_HEADER, length},
                          .room = (uint32_t)get_le(p + 60, 4)};
    code = check_bounds(&f, st);
    if (code != YM_OK)
        return code;
    if (f.room != m.len - YM_FRAME_HEADER)
        return ym_status_set(st, YM_INVALID, "frame says %u payload bytes and holds %zu", f.room,
                             m.len - YM_FRAME_HEADER);
    if (!all_zero(p + YM_FRAME_HEADER + length, f.room - length))
        return ym_status_set(st, YM_INVALID, "frame padding is not zero");
    *frame = f;
    return YM_OK;
}

enum ym_code ym_frame_encode(const struct ym_frame *frame, struct ym_buf *out, struct ym_status *st)
{
    struct ym_frame f = *frame;
    uint8_t *p;
    enum ym_code code;

    if (f.room == 0)
        f.room = f.payload.len > YM_FRAME_MAX_PAYLOAD ? 0 : (uint32_t)f.payload.len;
    code = check_bounds(&f, st);
    if (code != YM_OK)
        return code;
    if (ym_buf_reserve(out, YM_FRAME_HEADER + (size_t)f.room) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for a frame of %u bytes", f.room);
    p = out->data + out->len;
    memset(p, 0, YM_FRAME_HEADER + (size_t)f.room);
    memcpy(p, magic, sizeof magic);
    p[4] = 1;
    p[5] = (uint8_t)f.kind;
    put_le(p + 8, f.from, 8);
    put_le(p + 24, f.sequence, 8);
    put_le(p + 40, f.offset, 8);
    put_le(p + 48, f.total, 8);
    put_le(p + 56, f.payload.len, 4);
    put_le(p + 60, f.room, 4);
    ym_frame_restamp(p, f.to, f.acknowledged);
    if (f.payload.len)
        memcpy(p + YM_FRAME_HEADER, f.payload.data, f.payload.len);
    out->len += YM_FRAME_HEADER + (size_t)f.room;
    return YM_OK;
}

void ym_frame_restamp(uint8_t *message, uint64_t to, uint64_t acknowledged)
{
    put_le(message + 16, to, 8);
    put_le(message + 32, acknowledged, 8);
}

enum ym_code ym_parts_append(struct ym_buf *out, struct ym_bytes part)
{
    uint8_t head[4];

    if (part.len > YM_FRAME_MAX_PAYLOAD || ym_buf_reserve(out, sizeof head + part.len) != YM_OK)
        return YM_EXHAUSTED;
    put_le(head, part.len, 4);
    ym_buf_append(out, head, sizeof head);
    return part.len ? ym_buf_append(out, part.data, part.len) : YM_OK;
}

enum ym_code ym_parts_split(struct ym_bytes data, struct ym_bytes *part, size_t count, struct ym_status *st)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        size_t len;

        if (data.len - at < 4)
            return ym_status_set(st, YM_INVALID, "part %zu of %zu is missing", i + 1, count);
        len = (size_t)get_le(data.data + at, 4);
        at += 4;
        if (len > data.len - at)
            return ym_status_set(st, YM_INVALID, "part %zu of %zu is longer than its frame", i + 1, count);
        part[i] = (struct ym_bytes){data.data + at, len};
        at += len;
    }
    if (at != data.len)
        return ym_status_set(st, YM_INVALID, "bytes after the last part");
    return YM_OK;
}

enum ym_code ym_frame_answer_encode(const struct ym_frame_answer *a, struct ym_buf *out)
{
    if (ym_buf_reserve(out, sizeof a->leaf + 1 + sizeof a->reason) != YM_OK)
        return YM_EXHAUSTED;
    ym_buf_append(out, a->leaf, sizeof a->leaf);
    ym_buf_append(out, &a->answer, 1);
    return ym_buf_append(out, a->reason, strnlen(a->reason, sizeof a->reason - 1));
}

enum ym_code ym_frame_answer_decode(struct ym_bytes p, struct ym_frame_answer *out, struct ym_status *st)
{
    size_t reason_len;

    if (p.len < YM_HASH_BYTES + 1 || p.len > YM_HASH_BYTES + sizeof out->reason)
        return ym_status_set(st, YM_INVALID, "answer of %zu bytes", p.len);
    if (p.data[YM_HASH_BYTES] > YM_INTERNAL)
        return ym_status_set(st, YM_INVALID, "answer code %u is not known", p.data[YM_HASH_BYTES]);
    reason_len = p.len - YM_HASH_BYTES - 1;
    for (size_t i = 0; i < reason_len; i++) {
        uint8_t c = p.data[YM_HASH_BYTES + 1 + i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            return ym_status_set(st, YM_INVALID, "answer reason is not a word");
    }
    memset(out, 0, sizeof *out);
    memcpy(out->leaf, p.data, YM_HASH_BYTES);
    out->answer = p.data[YM_HASH_BYTES];
    memcpy(out->reason, p.data + YM_HASH_BYTES + 1, reason_len);
    return YM_OK;
}
