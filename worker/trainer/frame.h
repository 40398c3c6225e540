#ifndef YM_WORKER_FRAME_H
#define YM_WORKER_FRAME_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/status.h"

/* What crosses the ZeroMQ socket between a hospital's gateway and its trainer:
 * one message = one frame = 64 header bytes and a payload, all little-endian.
 *
 *    0  4  "YMF1"
 *    4  1  version, 1
 *    5  1  kind
 *    6  2  zero
 *    8  8  from      who sends: random id of this run of the process
 *   16  8  to        id of the peer as far as known, else 0
 *   24  8  sequence  1, 2, ... within (from, to); 0: not numbered (HELLO)
 *   32  8  acknowledged  last sequence taken from the peer
 *   40  8  offset    place of the payload in a larger whole
 *   48  8  total     length of that whole; 0 when the frame is the whole
 *   56  4  length    payload bytes that mean something
 *   60  4  room      payload bytes present; those past length are zero
 *
 * Both ends read frames as foreign bytes. */

#define YM_FRAME_HEADER 64
#define YM_FRAME_MAX_PAYLOAD (512 * 1024)
#define YM_FRAME_MAX_TOTAL (UINT64_C(2) << 30)
#define YM_FRAME_CONTROL_BYTES 4096
#define YM_FRAME_CARD_BYTES 65536
#define YM_FRAME_RELEASE_BYTES 8192
#define YM_FRAME_OBJECT_DATA (YM_FRAME_MAX_PAYLOAD - 64) /* data bytes of one OBJECT frame, at most */

enum ym_frame_kind {
    YM_FRAME_HELLO = 1, /* both ways: who I am, what I have taken; no payload */
    /* trainer to gateway: sent by worker/trainer/door.c alone */
    YM_FRAME_CONTROL = 16,      /* one signed leaf, padded to YM_FRAME_CONTROL_BYTES */
    YM_FRAME_CARD = 17,         /* one dataset_card leaf, padded to YM_FRAME_CARD_BYTES */
    YM_FRAME_RELEASE = 18,      /* charge and release leaf as two parts, padded to YM_FRAME_RELEASE_BYTES */
    YM_FRAME_RELEASE_DATA = 19, /* update bytes of the last RELEASE, in order */
    /* gateway to trainer */
    YM_FRAME_GATEWAY = 32,    /* canonical JSON: spki, enrolled, connected, hub, not_after */
    YM_FRAME_ENROLLED = 33,   /* canonical JSON: the hub's answer to say_enrol, or its refusal */
    YM_FRAME_PLAN = 34,       /* three parts: plan, sponsor's plan leaf, sponsor's enrol leaf */
    YM_FRAME_OBJECT = 35,     /* SHA-256 of the whole, then bytes at offset */
    YM_FRAME_ROUND = 36,      /* round_open leaf; its state came before it as OBJECT */
    YM_FRAME_COLLECT = 37,    /* say_collect leaf */
    YM_FRAME_CLOSED = 38,     /* round_result or abort leaf */
    YM_FRAME_LOG = 40,        /* entries offset .. total - 1 of the hub's log, as in an entry bundle */
    YM_FRAME_CHECKPOINT = 41, /* the hub's signed note over the entries given so far */
    YM_FRAME_NOTICE = 42,     /* the hub's incident leaf about this hospital */
    YM_FRAME_ANSWER = 39,     /* SHA-256 of a posted leaf, answer byte, reason text */
};

struct ym_frame {
    enum ym_frame_kind kind;
    uint64_t from, to, sequence, acknowledged, offset, total;
    struct ym_bytes payload; /* length bytes, borrowed */
    uint32_t room;           /* >= payload.len */
};

/* Check and read a whole message. YM_INVALID says what is wrong; frame is
 * untouched then. */
enum ym_code ym_frame_decode(struct ym_bytes message, struct ym_frame *frame, struct ym_status *st);
/* Append the frame; room 0 means payload.len. YM_INVALID when a bound is broken. */
enum ym_code ym_frame_encode(const struct ym_frame *frame, struct ym_buf *out, struct ym_status *st);
/* Renew the fields that change between sending and re-sending. */
void ym_frame_restamp(uint8_t *message, uint64_t to, uint64_t acknowledged);

/* A payload of several parts: u32 length, bytes, each. Split wants exactly
 * count parts that fill data; they are borrowed from it. */
enum ym_code ym_parts_append(struct ym_buf *out, struct ym_bytes part);
enum ym_code ym_parts_split(struct ym_bytes data, struct ym_bytes *part, size_t count, struct ym_status *st);

/* Payload of ANSWER. reason: at most 63 bytes [a-z0-9_]. */
struct ym_frame_answer {
    uint8_t leaf[YM_HASH_BYTES];
    uint8_t answer; /* enum ym_code */
    char reason[64];
};
enum ym_code ym_frame_answer_encode(const struct ym_frame_answer *a, struct ym_buf *out);
enum ym_code ym_frame_answer_decode(struct ym_bytes payload, struct ym_frame_answer *out, struct ym_status *st);

#endif
