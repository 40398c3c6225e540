#ifndef YM_PROTO_MESSAGE_H
#define YM_PROTO_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/status.h"
#include "proto/yumen.pb-c.h"

/* Messages of yumen.v1 between bytes and protobuf-c structs. Everything that
 * comes from a peer goes through ym_message_unpack:
 *
 *   Yumen__V1__PostRequest *m = NULL;
 *   code = ym_message_unpack(&yumen__v1__post_request__descriptor, wire, &m, st);
 *   ...
 *   ym_message_free(m);
 *
 * The generated C API: Debian's protobuf-c 1.4, https://github.com/protobuf-c. */

#define YM_MESSAGE_BYTES (1024 * 1024) /* wire bytes of one message */
#define YM_MESSAGE_FIXED_BYTES (64 * 1024)
#define YM_MESSAGE_FACTOR 8           /* memory of an unpack: at most FIXED + FACTOR * wire bytes at once */
#define YM_MESSAGE_UNKNOWN 16         /* unknown fields in one message, all levels together */
#define YM_MESSAGE_DEPTH 4            /* levels of sub-messages */
#define YM_MESSAGE_CHUNK (512 * 1024) /* bytes of one `data` field */

/* Unpack and validate: strings are UTF-8 without NUL, strings and bytes within
 * the bound of their field (table in message.c, by field name), enums among
 * their values, few unknown fields, no wrong wire types. In the result every
 * string pointer is usable ("" when absent); a hash or key is absent (0 bytes)
 * or of its exact length; a singular sub-message may be absent (NULL).
 *   out  address of a message pointer of the type's struct; set on success only
 * YM_INVALID: malformed or out of bounds; YM_EXHAUSTED: over the wire bound or
 * the memory budget. Any thread. */
enum ym_code ym_message_unpack(const ProtobufCMessageDescriptor *type, struct ym_bytes wire, void *out,
                               struct ym_status *st);

/* Frees what ym_message_unpack made; NULL is fine. */
void ym_message_free(void *message);

/* Append the wire form of a message that the caller filled (started from its
 * __INIT; only borrowed). Same checks as for unpack, so that nothing leaves
 * that a peer would refuse. YM_INVALID, YM_EXHAUSTED: out is untouched. */
enum ym_code ym_message_pack(const void *message, struct ym_buf *out, struct ym_status *st);

/* True when no message reachable from type contains itself: protobuf-c recurses
 * while it unpacks and has no depth bound. */
bool ym_message_flat(const ProtobufCMessageDescriptor *type);

/* The bound of a string or bytes field: least and most bytes when not empty. */
void ym_message_bound(const ProtobufCFieldDescriptor *field, size_t *least, size_t *most);

/* Filling bytes fields. */
static inline ProtobufCBinaryData ym_message_bytes(const void *data, size_t len)
{
    return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)(uintptr_t)data};
}

static inline struct ym_bytes ym_message_view(ProtobufCBinaryData b)
{
    return (struct ym_bytes){b.data, b.len};
}

#endif
