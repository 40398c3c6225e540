#include "fuzz.h"
#include "worker/link.h"

/* Frames, their parts and answers as bytes of a stranger; and a link that must
 * hand on nothing out of order whatever it is fed: messages of the input are u16
 * length and bytes. */

static uint64_t last;

static void up(void *ctx)
{
    (void)ctx;
    last = 0;
}

static void frame(void *ctx, const struct ym_frame *f)
{
    (void)ctx;
    YM_ASSERT(f->sequence == last + 1);
    YM_ASSERT(f->payload.len <= f->room && f->room <= YM_FRAME_MAX_PAYLOAD);
    last = f->sequence;
}

static void emit(void *ctx, const uint8_t *message, size_t len)
{
    struct ym_frame f;

    (void)ctx;
    YM_ASSERT(ym_frame_decode((struct ym_bytes){message, len}, &f, NULL) == YM_OK);
}

static void feed_link(const uint8_t *data, size_t size)
{
    struct ym_link *l = ym_link_new(1, &(struct ym_link_events){.up = up, .frame = frame, .emit = emit});
    size_t at = 0;

    last = 0;
    for (int64_t now = 0; size - at >= 2; now += 100) {
        size_t len = (size_t)data[at] | (size_t)data[at + 1] << 8;

        at += 2;
        len = len > size - at ? size - at : len;
        ym_link_input(l, data + at, len, now);
        ym_link_step(l, now);
        at += len;
    }
    ym_link_free(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_bytes all = {data, size}, part[3];
    struct ym_frame f;
    struct ym_frame_answer answer;

    if (ym_frame_decode(all, &f, NULL) == YM_OK) {
        struct ym_buf again = {0};

        YM_ASSERT(ym_frame_encode(&f, &again, NULL) == YM_OK);
        YM_ASSERT(f.room == 0 || (again.len == size && memcmp(again.data, data, size) == 0));
        ym_buf_release(&again);
    }
    for (size_t n = 1; n <= 3; n++)
        if (ym_parts_split(all, part, n, NULL) == YM_OK)
            YM_ASSERT(part[n - 1].data + part[n - 1].len == data + size);
    if (ym_frame_answer_decode(all, &answer, NULL) == YM_OK)
        YM_ASSERT(memchr(answer.reason, 0, sizeof answer.reason) != NULL);
    feed_link(data, size);
    return 0;
}
