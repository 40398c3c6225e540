#include "worker/data/recode.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

enum { HELD_BYTES = 8, PIECE_BYTES = 4096 };

struct ym_recode {
    ym_recode_sink_fn sink;
    void *ctx;
    bool plain; /* UTF-8 passes through; cells are checked one by one */
    iconv_t cd;
    char held[HELD_BYTES + PIECE_BYTES]; /* the beginning of a character, then new bytes */
    size_t held_len;
};

enum ym_code ym_recode_open(const char *encoding, ym_recode_sink_fn sink, void *ctx, struct ym_recode **out,
                            struct ym_status *st)
{
    struct ym_recode *r = calloc(1, sizeof *r);
    if (!r)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    r->sink = sink;
    r->ctx = ctx;
    r->plain = !strcmp(encoding, "utf-8");
    r->cd = r->plain ? (iconv_t)-1 : iconv_open("UTF-8", encoding);
    if (!r->plain && r->cd == (iconv_t)-1) {
        free(r);
        return ym_status_set(st, YM_UNAVAILABLE, "this system cannot read the encoding '%s'", encoding);
    }
    *out = r;
    return YM_OK;
}

void ym_recode_close(struct ym_recode *r)
{
    if (!r)
        return;
    if (r->cd != (iconv_t)-1)
        iconv_close(r->cd);
    free(r);
}

/* Convert what is held. Keeps an unfinished character for the next piece. */
static enum ym_code convert(struct ym_recode *r, struct ym_status *st)
{
    char out[4 * PIECE_BYTES], *in = r->held;
    size_t left = r->held_len;
    while (left) {
        char *to = out;
        size_t room = sizeof out - 1;
        int trouble = iconv(r->cd, &in, &left, &to, &room) == (size_t)-1 ? errno : 0;
        if (trouble == EILSEQ) {
            *to++ = (char)0xff;
            in++;
            left--;
            iconv(r->cd, NULL, NULL, NULL, NULL);
        }
        enum ym_code code = to > out ? r->sink(r->ctx, out, (size_t)(to - out), st) : YM_OK;
        if (code != YM_OK)
            return code;
        if (trouble == EINVAL)
            break;
    }
    YM_ASSERT(left <= HELD_BYTES);
    memmove(r->held, in, left);
    r->held_len = left;
    return YM_OK;
}

enum ym_code ym_recode_push(struct ym_recode *r, const void *data, size_t len, struct ym_status *st)
{
    const char *p = data;
    enum ym_code code = YM_OK;
    if (r->plain)
        return len ? r->sink(r->ctx, data, len, st) : YM_OK;
    while (len && code == YM_OK) {
        size_t piece = len < PIECE_BYTES ? len : PIECE_BYTES;
        memcpy(r->held + r->held_len, p, piece);
        r->held_len += piece;
        p += piece;
        len -= piece;
        code = convert(r, st);
    }
    return code;
}

enum ym_code ym_recode_finish(struct ym_recode *r, struct ym_status *st)
{
    size_t cut = r->held_len;
    r->held_len = 0;
    return cut ? r->sink(r->ctx, "\xff", 1, st) : YM_OK;
}
