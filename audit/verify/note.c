#include "audit/verify/note.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit/verify/crypto.h"

#define DASH "\xe2\x80\x94 "

static bool cut_line(struct ym_bytes *rest, struct ym_bytes *line)
{
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;

    if (!end)
        return false;
    line->data = rest->data;
    line->len = (size_t)(end - rest->data);
    rest->data = end + 1;
    rest->len -= line->len + 1;
    return true;
}

static bool read_size(struct ym_bytes line, uint64_t *out)
{
    *out = 0;
    if (line.len < 1 || line.len > 19 || (line.len > 1 && line.data[0] == '0'))
        return false;
    for (size_t i = 0; i < line.len; i++) {
        unsigned digit = (unsigned)line.data[i] - '0';

        if (digit > 9)
            return false;
        *out = 10 * *out + digit;
    }
    return true;
}

/* Printable ASCII without spaces: it is shown to people, and stands before one in each signature line. */
static bool origin_good(struct ym_bytes origin)
{
    for (size_t i = 0; i < origin.len; i++)
        if (origin.data[i] <= ' ' || origin.data[i] >= 0x7f)
            return false;
    return origin.len > 0;
}

bool ym_vnote_parse(struct ym_bytes note, struct ym_vnote *out)
{
    struct ym_bytes rest = note, origin, size, root, blank;

    if (note.len > YM_VNOTE_MAX || !cut_line(&rest, &origin) || !cut_line(&rest, &size) || !cut_line(&rest, &root))
        return false;
    out->text = (struct ym_bytes){note.data, (size_t)(rest.data - note.data)};
    if (!cut_line(&rest, &blank) || blank.len != 0)
        return false;
    if (!origin_good(origin) || origin.len >= sizeof(out->origin))
        return false;
    memcpy(out->origin, origin.data, origin.len);
    out->origin[origin.len] = '\0';
    out->signatures = rest;
    return read_size(size, &out->size) && ym_vbase64((const char *)root.data, root.len, out->root, 32);
}

static void key_id(const struct ym_vkey *key, uint8_t out[4])
{
    uint8_t text[256 + 34], hash[YM_VHASH];
    size_t n = strlen(key->name);

    memcpy(text, key->name, n);
    text[n] = '\n';
    text[n + 1] = (uint8_t)key->type;
    memcpy(text + n + 2, key->pub, 32);
    ym_vhash(text, n + 34, hash);
    memcpy(out, hash, 4);
}

#define LOG_BLOB (4 + 64)
#define COSIGNER_BLOB (4 + 8 + 64)

/* "— name base64(keyid ...)" of this key; blob out. */
static bool line_of_key(struct ym_bytes line, const struct ym_vkey *key, uint8_t blob[COSIGNER_BLOB])
{
    size_t name = strlen(key->name), head = sizeof(DASH) - 1 + name + 1;
    uint8_t id[4];

    if (line.len < head || memcmp(line.data, DASH, sizeof(DASH) - 1) != 0 ||
        memcmp(line.data + sizeof(DASH) - 1, key->name, name) != 0 || line.data[head - 1] != ' ')
        return false;
    key_id(key, id);
    return ym_vbase64((const char *)line.data + head, line.len - head, blob,
                      key->type == YM_VKEY_LOG ? LOG_BLOB : COSIGNER_BLOB) &&
           memcmp(blob, id, 4) == 0;
}

/* C2SP tlog-cosignature, "Ed25519 signed message". */
static bool cosignature_good(const struct ym_vnote *n, const struct ym_vkey *key, const uint8_t *blob)
{
    char head[64];
    uint64_t time = 0;
    struct ym_buf text = {0};
    int len;
    bool good;

    for (int i = 0; i < 8; i++)
        time = time << 8 | blob[4 + i];
    len = snprintf(head, sizeof(head), "cosignature/v1\ntime %" PRIu64 "\n", time);
    good = time > 0 && time <= INT64_MAX && ym_buf_append(&text, head, (size_t)len) == YM_OK &&
           ym_buf_append(&text, n->text.data, n->text.len) == YM_OK &&
           ym_vsig_good(key->pub, text.data, text.len, blob + 12);
    ym_buf_release(&text);
    return good;
}

static bool line_good(const struct ym_vnote *n, const struct ym_vkey *key, const uint8_t *blob)
{
    return key->type == YM_VKEY_LOG ? ym_vsig_good(key->pub, n->text.data, n->text.len, blob + 4)
                                    : cosignature_good(n, key, blob);
}

enum ym_vnote_answer ym_vnote_check(const struct ym_vnote *n, const struct ym_vkey *key)
{
    struct ym_bytes rest = n->signatures, line;
    enum ym_vnote_answer answer = YM_VNOTE_UNSIGNED;
    uint8_t blob[COSIGNER_BLOB];

    while (cut_line(&rest, &line)) {
        if (!line_of_key(line, key, blob))
            continue;
        if (line_good(n, key, blob))
            return YM_VNOTE_SIGNED;
        answer = YM_VNOTE_FORGED;
    }
    return answer;
}

bool ym_vkey_read(const char *text, size_t len, struct ym_vkey *out)
{
    const char *plus = len ? memchr(text, '+', len) : NULL;
    size_t name = plus ? (size_t)(plus - text) : 0;
    uint8_t id[4], own[4], raw[33];

    if (name == 0 || name >= sizeof(out->name) || len != name + 1 + 8 + 1 + 44 || plus[9] != '+' ||
        memchr(text, '\0', len))
        return false;
    if (!ym_vhex(plus + 1, 8, id, 4) || !ym_vbase64(plus + 10, 44, raw, 33) ||
        (raw[0] != YM_VKEY_LOG && raw[0] != YM_VKEY_COSIGNER))
        return false;
    memcpy(out->name, text, name);
    out->name[name] = '\0';
    out->type = (enum ym_vkey_type)raw[0];
    memcpy(out->pub, raw + 1, 32);
    key_id(out, own);
    return memcmp(id, own, 4) == 0;
}
