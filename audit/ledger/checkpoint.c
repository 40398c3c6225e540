#include "audit/ledger/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DASH "\xe2\x80\x94 " /* em dash and space, as signed-note has it */

static void cut(struct ym_buf *b, size_t len)
{
    b->len = len;
    if (b->data)
        b->data[len] = '\0';
}

enum ym_code ym_checkpoint_text(const char *origin, uint64_t size, const uint8_t root[YM_HASH_BYTES],
                                struct ym_buf *out)
{
    enum ym_code code = ym_buf_printf(out, "%s\n%" PRIu64 "\n", origin, size);

    if (code == YM_OK)
        code = ym_base64_encode(root, YM_HASH_BYTES, out);
    if (code == YM_OK)
        code = ym_buf_puts(out, "\n");
    return code;
}

enum ym_code ym_checkpoint_format(const char *origin, uint64_t size, const uint8_t root[YM_HASH_BYTES],
                                  const struct ym_key *key, struct ym_buf *out)
{
    uint8_t blob[4 + YM_SIG_BYTES], pub[YM_PUBKEY_BYTES];
    struct ym_buf text = {0};
    size_t before = out->len;
    enum ym_code code = ym_checkpoint_text(origin, size, root, &text);

    if (code != YM_OK)
        goto out;
    ym_key_public(key, pub);
    ym_note_key_id(origin, YM_NOTE_LOG, pub, blob);
    ym_key_sign(key, text.data, text.len, blob + 4);
    code = ym_buf_append(out, text.data, text.len);
    if (code == YM_OK)
        code = ym_buf_printf(out, "\n" DASH "%s ", origin);
    if (code == YM_OK)
        code = ym_base64_encode(blob, sizeof(blob), out);
    if (code == YM_OK)
        code = ym_buf_puts(out, "\n");
    if (code != YM_OK)
        cut(out, before);
out:
    ym_buf_release(&text);
    return code;
}

bool ym_note_line(struct ym_bytes *rest, struct ym_bytes *line)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;

    if (!end)
        return false;
    *line = (struct ym_bytes){rest->data, (size_t)(end - rest->data)};
    rest->len -= line->len + 1;
    rest->data = end + 1;
    return true;
}

bool ym_note_number(struct ym_bytes line, uint64_t *out)
{
    uint64_t n = 0;

    if (line.len == 0 || line.len > 19 || (line.data[0] == '0' && line.len > 1))
        return false;
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] < '0' || line.data[i] > '9')
            return false;
        n = 10 * n + (uint64_t)(line.data[i] - '0');
    }
    *out = n;
    return true;
}

static bool parse_root(struct ym_bytes line, uint8_t root[YM_HASH_BYTES])
{
    struct ym_buf raw = {0};
    bool good = ym_base64_decode((const char *)line.data, line.len, &raw) == YM_OK && raw.len == YM_HASH_BYTES;

    if (good)
        memcpy(root, raw.data, YM_HASH_BYTES);
    ym_buf_release(&raw);
    return good;
}

/* Unknown signature lines are skipped, as signed-note asks; ours must be there. */
static bool signature_good(struct ym_bytes text, struct ym_bytes lines, const char *origin,
                           const uint8_t pub[YM_PUBKEY_BYTES], uint8_t sig[YM_SIG_BYTES])
{
    struct ym_buf head = {0}, raw = {0};
    struct ym_bytes line;
    uint8_t id[4];
    bool good = false;

    ym_note_key_id(origin, YM_NOTE_LOG, pub, id);
    if (ym_buf_printf(&head, DASH "%s ", origin) != YM_OK)
        goto out;
    while (!good && ym_note_line(&lines, &line)) {
        if (line.len <= head.len || memcmp(line.data, head.data, head.len) != 0)
            continue;
        ym_buf_clear(&raw);
        if (ym_base64_decode((const char *)line.data + head.len, line.len - head.len, &raw) != YM_OK)
            continue;
        good = raw.len == 4 + YM_SIG_BYTES && memcmp(raw.data, id, 4) == 0 &&
               ym_sig_verify(pub, text.data, text.len, raw.data + 4);
    }
    if (good)
        memcpy(sig, raw.data + 4, YM_SIG_BYTES);
out:
    ym_buf_release(&head);
    ym_buf_release(&raw);
    return good;
}

static enum ym_code open_note(struct ym_bytes note, const char *origin, const uint8_t pub[YM_PUBKEY_BYTES],
                              uint64_t *size, uint8_t root[YM_HASH_BYTES], uint8_t sig[YM_SIG_BYTES],
                              struct ym_status *st)
{
    struct ym_bytes rest = note, name, count, hash, blank, text;
    uint8_t read_root[YM_HASH_BYTES];
    uint64_t read_size;

    if (note.len > YM_CHECKPOINT_MAX || !ym_note_line(&rest, &name) || !ym_note_line(&rest, &count) ||
        !ym_note_line(&rest, &hash))
        return ym_status_set(st, YM_CORRUPT, "the checkpoint is not a signed note");
    text = (struct ym_bytes){note.data, (size_t)(rest.data - note.data)};
    if (!ym_note_line(&rest, &blank) || blank.len != 0 || !ym_note_number(count, &read_size) ||
        !parse_root(hash, read_root))
        return ym_status_set(st, YM_CORRUPT, "the checkpoint is not origin, size and root");
    if (name.len != strlen(origin) || memcmp(name.data, origin, name.len) != 0)
        return ym_status_set(st, YM_CORRUPT, "the checkpoint is of another log than '%.255s'", origin);
    if (!signature_good(text, rest, origin, pub, sig))
        return ym_status_set(st, YM_CORRUPT, "the checkpoint of '%.255s' is not signed by this ledger's key", origin);
    *size = read_size;
    memcpy(root, read_root, YM_HASH_BYTES);
    return YM_OK;
}

enum ym_code ym_checkpoint_open(struct ym_bytes note, const char *origin, const uint8_t pub[YM_PUBKEY_BYTES],
                                uint64_t *size, uint8_t root[YM_HASH_BYTES], struct ym_status *st)
{
    uint8_t sig[YM_SIG_BYTES];

    return open_note(note, origin, pub, size, root, sig, st);
}

enum ym_code ym_checkpoint_signature(struct ym_bytes note, const char *origin, const uint8_t pub[YM_PUBKEY_BYTES],
                                     uint8_t sig[YM_SIG_BYTES], struct ym_status *st)
{
    uint8_t root[YM_HASH_BYTES];
    uint64_t size;

    return open_note(note, origin, pub, &size, root, sig, st);
}
