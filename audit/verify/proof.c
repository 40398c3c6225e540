#include "audit/verify/proof.h"

#include <string.h>

#include "audit/verify/crypto.h"

#define HEAD "c2sp.org/tlog-proof@v1"

static bool cut_line(struct ym_bytes *rest, struct ym_bytes *line)
{
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;

    if (!end)
        return false;
    *line = (struct ym_bytes){rest->data, (size_t)(end - rest->data)};
    rest->data = end + 1;
    rest->len -= line->len + 1;
    return true;
}

/* What follows "word " in the line. */
static bool behind(struct ym_bytes line, const char *word, struct ym_bytes *out)
{
    size_t n = strlen(word);

    if (line.len < n || memcmp(line.data, word, n) != 0)
        return false;
    *out = (struct ym_bytes){line.data + n, line.len - n};
    return true;
}

static bool read_index(struct ym_bytes text, uint64_t *out)
{
    *out = 0;
    if (text.len < 1 || text.len > 19 || (text.len > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *out = 10 * *out + (uint64_t)(text.data[i] - '0');
    }
    return true;
}

static bool read_extra(struct ym_bytes text, struct ym_buf *out)
{
    size_t pad = 0, len;
    bool good;

    if (text.len == 0 || text.len % 4 != 0)
        return false;
    for (; pad < 2 && text.data[text.len - 1 - pad] == '='; pad++)
        ;
    len = text.len / 4 * 3 - pad;
    if (ym_buf_reserve(out, len) != YM_OK)
        return false;
    good = ym_vbase64((const char *)text.data, text.len, out->data, len);
    out->len = good ? len : 0;
    return good;
}

bool ym_vproof_parse(struct ym_bytes text, struct ym_vproof *out)
{
    struct ym_bytes rest = text, line, value;

    memset(out, 0, sizeof(*out));
    if (text.len > YM_VPROOF_MAX || !cut_line(&rest, &line) || line.len != strlen(HEAD) ||
        memcmp(line.data, HEAD, line.len) != 0 || !cut_line(&rest, &line) || !behind(line, "extra ", &value) ||
        !read_extra(value, &out->entry))
        return false;
    if (!cut_line(&rest, &line) || !behind(line, "index ", &value) || !read_index(value, &out->index))
        return false;
    for (;;) {
        if (!cut_line(&rest, &line))
            return false;
        if (line.len == 0)
            break;
        if (out->count == YM_VPROOF_HASHES ||
            !ym_vbase64((const char *)line.data, line.len, out->hash[out->count++], 32))
            return false;
    }
    return ym_vnote_parse(rest, &out->note);
}

void ym_vproof_release(struct ym_vproof *p)
{
    ym_buf_release(&p->entry);
}

bool ym_vproof_included(const uint8_t leaf[32], uint64_t index, uint64_t size, const uint8_t (*hash)[32], size_t count,
                        const uint8_t root[32])
{
    uint64_t fn = index, sn = size - 1;
    uint8_t r[32];

    if (index >= size)
        return false;
    memcpy(r, leaf, sizeof(r));
    for (size_t i = 0; i < count; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            ym_vnode_hash(hash[i], r, r);
            for (; fn != 0 && !(fn & 1); fn >>= 1)
                sn >>= 1;
        } else {
            ym_vnode_hash(r, hash[i], r);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(r, root, sizeof(r)) == 0;
}

void ym_vnote_weigh(const struct ym_vnote *n, const struct ym_trust *t, bool *cosigned, struct ym_vsigned *out)
{
    const struct ym_vkey *key = ym_trust_find(t, n->origin);

    *out = (struct ym_vsigned){.log = key ? ym_vnote_check(n, key) : YM_VNOTE_UNSIGNED};
    for (size_t i = 0; i < t->witness_count; i++) {
        enum ym_vnote_answer a = ym_vnote_check(n, &t->witness[i]);

        cosigned[i] = a == YM_VNOTE_SIGNED;
        out->cosigners += cosigned[i];
        if (a == YM_VNOTE_FORGED && !out->forged)
            out->forged = &t->witness[i];
    }
    out->quorum = ym_trust_quorum(t, cosigned);
}
