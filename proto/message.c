#include "proto/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- allocation under a budget ---- */

struct budget {
    size_t left;
    bool spent;
};

/* What is asked for is written before the block, so that what protobuf-c frees
 * on the way (its lists of fields seen) returns to the budget. */
union block {
    size_t size;
    max_align_t align;
};

static void *budget_alloc(void *data, size_t size)
{
    struct budget *b = data;
    union block *block = size <= b->left ? malloc(sizeof *block + size) : NULL;

    if (!block) {
        b->spent = true;
        return NULL;
    }
    block->size = size;
    b->left -= size;
    return block + 1;
}

static void budget_free(void *data, void *p)
{
    struct budget *b = data;
    union block *block = p;

    if (!p)
        return;
    block--;
    if (b)
        b->left += block->size;
    free(block);
}

static ProtobufCAllocator budget_allocator(struct budget *b)
{
    return (ProtobufCAllocator){.alloc = budget_alloc, .free = budget_free, .allocator_data = b};
}

/* ---- bounds by field name; one meaning per name throughout yumen.v1 ---- */

struct bound {
    const char *field;
    size_t least, most;
};

static const struct bound bounds[] = {
    {"token_id", 8, 8},
    {"proof", 32, 32},
    {"identity_key", 32, 32},
    {"signature", 64, 64},
    {"sha256", 32, 32},
    {"plan_sha256", 32, 32},
    {"state_sha256", 32, 32},
    {"object_sha256", 32, 32},
    {"data", 1, YM_MESSAGE_CHUNK},
    {"plan", 1, 256 * 1024},
    {"note", 1, 64 * 1024},
    {"leaf", 1, 65535},
    {"session", 1, 4096},
    {"plan_leaf", 1, 65535},
    {"card_leaf", 1, 65535},
    {"cancel_leaf", 1, 65535},
    {"enrol_leaf", 1, 65535},
    {"release_leaf", 1, 65535},
    {"sponsor_enrol_leaf", 1, 65535},
    {"certificate", 1, 16 * 1024},
    {"self_signed", 1, 16 * 1024},
    {"ca", 1, 64 * 1024},
    {"hub_identity", 1, 16 * 1024},
    {"log", 1, 512},
    {"name", 1, 63},
    {"federation", 1, 63},
    {"study", 1, 63},
    {"sponsor", 1, 63},
    {"hospital", 1, 63},
    {"reason", 1, 255},
    {"why_not", 1, 1024},
};

void ym_message_bound(const ProtobufCFieldDescriptor *field, size_t *least, size_t *most)
{
    *least = *most = 0;
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        if (strcmp(field->name, bounds[i].field) == 0) {
            *least = bounds[i].least;
            *most = bounds[i].most;
            return;
        }
    }
}

/* ---- validation ----
 *
 * On the wire form, before protobuf-c allocates anything: it hands strings over
 * as C strings, so a NUL inside one could no longer be seen afterwards. */

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct walk {
    const uint8_t *at, *end;
};

static bool walk_varint(struct walk *w, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (w->at == w->end)
            return false;
        uint8_t byte = *w->at++;
        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = v;
            return true;
        }
    }
    return false;
}

struct field {
    uint32_t number;
    enum wire_type wire;
    uint64_t varint;       /* WIRE_VARINT */
    struct ym_bytes bytes; /* WIRE_BYTES */
};

static bool walk_skip(struct walk *w, uint64_t n)
{
    if (n > (uint64_t)(w->end - w->at))
        return false;
    w->at += n;
    return true;
}

static bool walk_field(struct walk *w, struct field *f)
{
    uint64_t tag, len;

    *f = (struct field){0};
    if (!walk_varint(w, &tag) || tag >> 3 == 0 || tag >> 3 >= 1u << 29)
        return false;
    f->number = (uint32_t)(tag >> 3);
    f->wire = (enum wire_type)(tag & 7);
    switch (f->wire) {
    case WIRE_VARINT:
        return walk_varint(w, &f->varint);
    case WIRE_64:
        return walk_skip(w, 8);
    case WIRE_32:
        return walk_skip(w, 4);
    case WIRE_BYTES:
        if (!walk_varint(w, &len))
            return false;
        f->bytes = (struct ym_bytes){w->at, (size_t)len};
        return walk_skip(w, len);
    default:
        return false; /* groups */
    }
}

struct check {
    size_t unknown; /* fields seen so far */
    struct ym_status *st;
};

static enum ym_code check_wire(const ProtobufCMessageDescriptor *type, struct ym_bytes wire, int depth,
                               struct check *k);

static enum ym_code check_length(const ProtobufCFieldDescriptor *d, size_t len, struct check *k)
{
    size_t least, most;
    if (len == 0)
        return YM_OK;
    ym_message_bound(d, &least, &most);
    if (len >= least && len <= most)
        return YM_OK;
    return ym_status_set(k->st, YM_INVALID, "field \"%s\" has %zu bytes, %zu to %zu are allowed", d->name, len, least,
                         most);
}

static enum ym_code check_known(const ProtobufCFieldDescriptor *d, const struct field *f, int depth, struct check *k)
{
    bool delimited =
        d->type == PROTOBUF_C_TYPE_STRING || d->type == PROTOBUF_C_TYPE_BYTES || d->type == PROTOBUF_C_TYPE_MESSAGE;

    if (delimited != (f->wire == WIRE_BYTES))
        return ym_status_set(k->st, YM_INVALID, "field \"%s\" has the wrong wire type", d->name);
    if (d->type == PROTOBUF_C_TYPE_MESSAGE)
        return check_wire(d->descriptor, f->bytes, depth + 1, k);
    if (d->type == PROTOBUF_C_TYPE_STRING && !ym_utf8_valid((const char *)f->bytes.data, f->bytes.len))
        return ym_status_set(k->st, YM_INVALID, "field \"%s\" is not UTF-8 without NUL", d->name);
    if (delimited)
        return check_length(d, f->bytes.len, k);
    if (d->type == PROTOBUF_C_TYPE_ENUM &&
        (f->varint > INT32_MAX || !protobuf_c_enum_descriptor_get_value(d->descriptor, (int)f->varint)))
        return ym_status_set(k->st, YM_INVALID, "field \"%s\" has an unknown value", d->name);
    return YM_OK;
}

static enum ym_code check_wire(const ProtobufCMessageDescriptor *type, struct ym_bytes wire, int depth, struct check *k)
{
    struct walk w = {wire.data, wire.data + wire.len};

    if (depth > YM_MESSAGE_DEPTH)
        return ym_status_set(k->st, YM_INVALID, "nested deeper than %d", YM_MESSAGE_DEPTH);
    while (w.at != w.end) {
        const ProtobufCFieldDescriptor *d;
        struct field f;
        enum ym_code code;

        if (!walk_field(&w, &f))
            return ym_status_set(k->st, YM_INVALID, "does not parse at byte %zu of %zu", (size_t)(w.at - wire.data),
                                 wire.len);
        d = protobuf_c_message_descriptor_get_field(type, f.number);
        if (!d && ++k->unknown > YM_MESSAGE_UNKNOWN)
            return ym_status_set(k->st, YM_INVALID, "more than %d unknown fields", YM_MESSAGE_UNKNOWN);
        code = d ? check_known(d, &f, depth, k) : YM_OK;
        if (code != YM_OK)
            return code;
    }
    return YM_OK;
}

static enum ym_code check_whole(const ProtobufCMessageDescriptor *type, struct ym_bytes wire, struct ym_status *st)
{
    struct check k = {.st = st};
    enum ym_code code;

    if (wire.len > YM_MESSAGE_BYTES)
        return ym_status_set(st, YM_EXHAUSTED, "message %s has %zu bytes, at most %d are allowed", type->short_name,
                             wire.len, YM_MESSAGE_BYTES);
    if (wire.len == 0)
        return YM_OK;
    code = check_wire(type, wire, 0, &k);
    return code == YM_OK ? code : ym_status_wrap(st, code, "message %s", type->short_name);
}

/* ---- the public four ---- */

enum ym_code ym_message_unpack(const ProtobufCMessageDescriptor *type, struct ym_bytes wire, void *out,
                               struct ym_status *st)
{
    struct budget budget = {.left = YM_MESSAGE_FIXED_BYTES + YM_MESSAGE_FACTOR * wire.len};
    ProtobufCAllocator allocator = budget_allocator(&budget);
    ProtobufCMessage *m;
    enum ym_code code = check_whole(type, wire, st);

    if (code != YM_OK)
        return code;
    m = protobuf_c_message_unpack(type, &allocator, wire.len, wire.data ? wire.data : (const uint8_t *)"");
    if (!m && budget.spent)
        return ym_status_set(st, YM_EXHAUSTED, "message %s needs more memory than its size allows", type->short_name);
    if (!m)
        return ym_status_set(st, YM_INVALID, "message %s does not parse", type->short_name);
    memcpy(out, &m, sizeof m);
    return YM_OK;
}

void ym_message_free(void *message)
{
    ProtobufCAllocator allocator = budget_allocator(NULL);
    if (message)
        protobuf_c_message_free_unpacked(message, &allocator);
}

enum ym_code ym_message_pack(const void *message, struct ym_buf *out, struct ym_status *st)
{
    const ProtobufCMessage *m = message;
    size_t size = protobuf_c_message_get_packed_size(m), before = out->len;
    enum ym_code code;

    if (size > YM_MESSAGE_BYTES)
        return ym_status_set(st, YM_EXHAUSTED, "message %s has %zu bytes, at most %d are allowed",
                             m->descriptor->short_name, size, YM_MESSAGE_BYTES);
    code = ym_buf_reserve(out, size + 1);
    if (code != YM_OK)
        return ym_status_set(st, code, "no memory for message %s", m->descriptor->short_name);
    protobuf_c_message_pack(m, out->data + before);
    code = check_whole(m->descriptor, (struct ym_bytes){out->data + before, size}, st);
    if (code == YM_OK)
        out->len += size;
    out->data[out->len] = 0;
    return code;
}

static bool flat_below(const ProtobufCMessageDescriptor *type, const ProtobufCMessageDescriptor **path, int depth)
{
    if (depth > YM_MESSAGE_DEPTH)
        return false;
    for (int i = 0; i < depth; i++) {
        if (path[i] == type)
            return false;
    }
    path[depth] = type;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *d = &type->fields[i];
        if (d->type == PROTOBUF_C_TYPE_MESSAGE && !flat_below(d->descriptor, path, depth + 1))
            return false;
    }
    return true;
}

bool ym_message_flat(const ProtobufCMessageDescriptor *type)
{
    const ProtobufCMessageDescriptor *path[YM_MESSAGE_DEPTH + 1];
    return flat_below(type, path, 0);
}
