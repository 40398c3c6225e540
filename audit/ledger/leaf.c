#include "audit/ledger/leaf.h"

#include <stdio.h>
#include <string.h>

#include "audit/ledger/ledger.h"
#include "base/json.h"

#define DOMAIN "yumen/leaf/v1"
#define SIG_MEMBER ",\"sig\":\""
#define SIG_BASE64 88 /* of 64 bytes */
#define SIG_TAIL (sizeof(SIG_MEMBER) - 1 + SIG_BASE64 + 2)
#define KEY_DIGITS 16

static bool type_valid(const char *type)
{
    size_t n = strlen(type);

    return n > 0 && n <= 32 && strspn(type, "abcdefghijklmnopqrstuvwxyz_") == n;
}

static void cut(struct ym_buf *b, size_t len)
{
    b->len = len;
    if (b->data)
        b->data[len] = '\0';
}

/* What is signed: domain 0x00 type 0x00 line-without-sig. */
static enum ym_code signed_bytes(const char *type, struct ym_bytes line, struct ym_buf *out)
{
    enum ym_code code = ym_buf_append(out, DOMAIN, sizeof(DOMAIN));

    if (code == YM_OK)
        code = ym_buf_append(out, type, strlen(type) + 1);
    if (code == YM_OK)
        code = ym_buf_append(out, line.data, line.len);
    return code;
}

static void key_digits(const uint8_t pub[YM_PUBKEY_BYTES], char out[KEY_DIGITS + 1])
{
    uint8_t hash[YM_HASH_BYTES];

    ym_sha256(pub, YM_PUBKEY_BYTES, hash);
    for (size_t i = 0; i < KEY_DIGITS / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static enum ym_code envelope(const char *type, const json_t *members, const char *by, int64_t time,
                             const uint8_t pub[YM_PUBKEY_BYTES], json_t **out, struct ym_status *st)
{
    static const char *const reserved[] = {"type", "v", "time", "by", "key", "sig"};
    char key[KEY_DIGITS + 1];
    json_t *leaf;

    if (!type_valid(type) || !ym_name_valid(by) || time < 0 || !json_is_object(members))
        return ym_status_set(st, YM_INVALID, "leaf type '%.32s' by '%.63s' cannot be signed", type, by);
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (json_object_get(members, reserved[i]))
            return ym_status_set(st, YM_INVALID, "leaf '%s': member '%s' is reserved", type, reserved[i]);
    key_digits(pub, key);
    leaf = json_copy((json_t *)members);
    if (!leaf || json_object_set_new(leaf, "type", json_string(type)) ||
        json_object_set_new(leaf, "v", json_integer(1)) || json_object_set_new(leaf, "time", json_integer(time)) ||
        json_object_set_new(leaf, "by", json_string(by)) || json_object_set_new(leaf, "key", json_string(key))) {
        json_decref(leaf);
        return ym_status_set(st, YM_EXHAUSTED, "out of memory for a leaf");
    }
    *out = leaf;
    return YM_OK;
}

static enum ym_code sign_line(const char *type, const struct ym_key *key, struct ym_buf *line, struct ym_buf *out)
{
    struct ym_bytes bare = {line->data, line->len};
    struct ym_buf message = {0};
    uint8_t sig[YM_SIG_BYTES];
    size_t before = out->len;
    enum ym_code code = signed_bytes(type, bare, &message);

    if (code != YM_OK)
        goto out;
    ym_key_sign(key, message.data, message.len, sig);
    code = ym_buf_append(out, line->data, line->len - 1);
    if (code == YM_OK)
        code = ym_buf_puts(out, SIG_MEMBER);
    if (code == YM_OK)
        code = ym_base64_encode(sig, sizeof(sig), out);
    if (code == YM_OK)
        code = ym_buf_puts(out, "\"}");
    if (code != YM_OK)
        cut(out, before);
out:
    ym_buf_release(&message);
    return code;
}

enum ym_code ym_leaf_sign(const char *type, const json_t *members, const char *by, int64_t time,
                          const struct ym_key *key, struct ym_buf *out, struct ym_status *st)
{
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_buf line = {0};
    json_t *leaf = NULL;
    enum ym_code code;

    ym_key_public(key, pub);
    code = envelope(type, members, by, time, pub, &leaf, st);
    if (code != YM_OK)
        return code;
    code = ym_json_canonical(leaf, &line, st);
    if (code != YM_OK)
        goto out;
    if (line.len + SIG_TAIL - 1 > YM_LEAF_MAX) {
        code = ym_status_set(st, YM_INVALID, "leaf '%s' has %zu bytes, more than %d", type, line.len, YM_LEAF_MAX);
        goto out;
    }
    code = sign_line(type, key, &line, out);
    if (code != YM_OK)
        ym_status_set(st, code, "out of memory for a leaf");
out:
    ym_buf_release(&line);
    json_decref(leaf);
    return code;
}

/* Cut ',"sig":"..."' off; bare gets the line as it was signed. */
static enum ym_code split(struct ym_bytes line, struct ym_buf *bare, uint8_t sig[YM_SIG_BYTES], struct ym_status *st)
{
    struct ym_buf raw = {0};
    const char *tail;
    enum ym_code code = YM_OK;

    if (line.len > YM_LEAF_MAX || line.len < SIG_TAIL + 2)
        return ym_status_set(st, YM_INVALID, "a leaf of %zu bytes is out of bounds", line.len);
    tail = (const char *)line.data + line.len - SIG_TAIL;
    if (memcmp(tail, SIG_MEMBER, sizeof(SIG_MEMBER) - 1) != 0 || memcmp(tail + SIG_TAIL - 2, "\"}", 2) != 0)
        return ym_status_set(st, YM_INVALID, "the leaf does not end with its signature");
    if (ym_base64_decode(tail + sizeof(SIG_MEMBER) - 1, SIG_BASE64, &raw) != YM_OK || raw.len != YM_SIG_BYTES) {
        code = ym_status_set(st, YM_INVALID, "the leaf's signature is not base64 of 64 bytes");
        goto out;
    }
    if (ym_buf_append(bare, line.data, line.len - SIG_TAIL) != YM_OK || ym_buf_puts(bare, "}") != YM_OK) {
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory for a leaf");
        goto out;
    }
    memcpy(sig, raw.data, YM_SIG_BYTES);
out:
    ym_buf_release(&raw);
    return code;
}

static enum ym_code check_envelope(const json_t *leaf, struct ym_status *st)
{
    const char *type, *by, *key;
    int64_t n;
    enum ym_code code;

    if (!json_is_object(leaf))
        return ym_status_set(st, YM_INVALID, "a leaf must be an object");
    code = ym_json_get_str(leaf, "type", &type, st);
    if (code == YM_OK)
        code = ym_json_get_str(leaf, "by", &by, st);
    if (code == YM_OK)
        code = ym_json_get_str(leaf, "key", &key, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "v", 1, 1, &n, st);
    if (code == YM_OK)
        code = ym_json_get_int(leaf, "time", 0, INT64_MAX, &n, st);
    if (code != YM_OK)
        return code;
    if (!type_valid(type) || !ym_name_valid(by) || strlen(key) != KEY_DIGITS ||
        strspn(key, "0123456789abcdef") != KEY_DIGITS || json_object_get(leaf, "sig"))
        return ym_status_set(st, YM_INVALID, "the leaf's type, by, key or sig is malformed");
    return YM_OK;
}

static enum ym_code parse_bare(const struct ym_buf *bare, json_t **out, struct ym_status *st)
{
    struct ym_buf again = {0};
    json_t *leaf = NULL;
    enum ym_code code = ym_json_parse(bare->data, bare->len, YM_LEAF_MAX, &leaf, st);

    if (code != YM_OK)
        return code;
    code = check_envelope(leaf, st);
    if (code != YM_OK)
        goto out;
    code = ym_json_canonical(leaf, &again, st);
    if (code != YM_OK)
        goto out;
    if (again.len != bare->len || memcmp(again.data, bare->data, bare->len) != 0) {
        code = ym_status_set(st, YM_INVALID, "the leaf is not in canonical form");
        goto out;
    }
    *out = leaf;
    leaf = NULL;
out:
    ym_buf_release(&again);
    json_decref(leaf);
    return code;
}

enum ym_code ym_leaf_parse(struct ym_bytes line, json_t **out, struct ym_status *st)
{
    struct ym_buf bare = {0};
    uint8_t sig[YM_SIG_BYTES];
    enum ym_code code = split(line, &bare, sig, st);

    if (code == YM_OK)
        code = parse_bare(&bare, out, st);
    ym_buf_release(&bare);
    return code;
}

static enum ym_code check_signature(const json_t *leaf, const struct ym_buf *bare, const uint8_t pub[YM_PUBKEY_BYTES],
                                    const uint8_t sig[YM_SIG_BYTES], struct ym_status *st)
{
    const char *type = json_string_value(json_object_get(leaf, "type"));
    const char *by = json_string_value(json_object_get(leaf, "by"));
    struct ym_bytes text = {bare->data, bare->len};
    struct ym_buf message = {0};
    char digits[KEY_DIGITS + 1];
    enum ym_code code = YM_OK;

    key_digits(pub, digits);
    if (strcmp(digits, json_string_value(json_object_get(leaf, "key"))) != 0)
        return ym_status_set(st, YM_DENIED, "leaf '%s' of '%s' was signed with another key", type, by);
    if (signed_bytes(type, text, &message) != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory for a leaf");
    else if (!ym_sig_verify(pub, message.data, message.len, sig))
        code = ym_status_set(st, YM_DENIED, "leaf '%s' of '%s' has a wrong signature", type, by);
    ym_buf_release(&message);
    return code;
}

enum ym_code ym_leaf_open(struct ym_bytes line, const uint8_t pub[YM_PUBKEY_BYTES], const char *type, json_t **out,
                          struct ym_status *st)
{
    struct ym_buf bare = {0};
    uint8_t sig[YM_SIG_BYTES];
    json_t *leaf = NULL;
    enum ym_code code = split(line, &bare, sig, st);

    if (code == YM_OK)
        code = parse_bare(&bare, &leaf, st);
    if (code == YM_OK)
        code = check_signature(leaf, &bare, pub, sig, st);
    if (code == YM_OK && type && strcmp(type, json_string_value(json_object_get(leaf, "type"))) != 0)
        code = ym_status_set(st, YM_INVALID, "expected a leaf of type '%s'", type);
    if (code == YM_OK) {
        *out = leaf;
        leaf = NULL;
    }
    json_decref(leaf);
    ym_buf_release(&bare);
    return code;
}
