#include "audit/ledger/cosign.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DASH "\xe2\x80\x94 "
#define BLOB_BYTES (4 + 8 + YM_SIG_BYTES)

bool ym_cosign_text(struct ym_bytes note, struct ym_bytes *text)
{
    const uint8_t *blank = note.len > 0 ? memmem(note.data, note.len, "\n\n", 2) : NULL;

    if (!blank)
        return false;
    *text = (struct ym_bytes){note.data, (size_t)(blank - note.data) + 1};
    return true;
}

static enum ym_code message(struct ym_bytes text, uint64_t time, struct ym_buf *out)
{
    enum ym_code code = ym_buf_printf(out, "cosignature/v1\ntime %" PRIu64 "\n", time);

    return code == YM_OK ? ym_buf_append(out, text.data, text.len) : code;
}

void ym_cosign_sign(struct ym_bytes text, const struct ym_key *key, uint64_t time, uint8_t sig[YM_SIG_BYTES])
{
    struct ym_buf m = {0};

    YM_ASSERT(message(text, time, &m) == YM_OK);
    ym_key_sign(key, m.data, m.len, sig);
    ym_buf_release(&m);
}

bool ym_cosign_verify(struct ym_bytes text, const uint8_t pub[YM_PUBKEY_BYTES], uint64_t time,
                      const uint8_t sig[YM_SIG_BYTES])
{
    struct ym_buf m = {0};
    bool good =
        time > 0 && time <= INT64_MAX && message(text, time, &m) == YM_OK && ym_sig_verify(pub, m.data, m.len, sig);

    ym_buf_release(&m);
    return good;
}

enum ym_code ym_cosign_line(const char *name, const uint8_t pub[YM_PUBKEY_BYTES], uint64_t time,
                            const uint8_t sig[YM_SIG_BYTES], struct ym_buf *out)
{
    uint8_t blob[BLOB_BYTES];
    size_t before = out->len;
    enum ym_code code;

    ym_note_key_id(name, YM_NOTE_COSIGNER, pub, blob);
    for (int i = 0; i < 8; i++)
        blob[4 + i] = (uint8_t)(time >> (56 - 8 * i));
    memcpy(blob + 12, sig, YM_SIG_BYTES);
    code = ym_buf_printf(out, DASH "%s ", name);
    if (code == YM_OK)
        code = ym_base64_encode(blob, sizeof(blob), out);
    if (code == YM_OK)
        code = ym_buf_puts(out, "\n");
    if (code != YM_OK)
        out->len = before;
    return code;
}

enum ym_code ym_cosign_append(struct ym_bytes text, const char *name, const struct ym_key *key, uint64_t time,
                              struct ym_buf *out)
{
    uint8_t sig[YM_SIG_BYTES], pub[YM_PUBKEY_BYTES];

    ym_cosign_sign(text, key, time, sig);
    ym_key_public(key, pub);
    return ym_cosign_line(name, pub, time, sig, out);
}

/* "<head>base64(blob)" of the key with this id. */
static bool line_of(struct ym_bytes line, const struct ym_buf *head, const uint8_t id[4], struct ym_buf *blob)
{
    ym_buf_clear(blob);
    return line.len > head->len && memcmp(line.data, head->data, head->len) == 0 &&
           ym_base64_decode((const char *)line.data + head->len, line.len - head->len, blob) == YM_OK &&
           blob->len == BLOB_BYTES && memcmp(blob->data, id, 4) == 0;
}

static uint64_t read_time(const uint8_t *at)
{
    uint64_t time = 0;

    for (int i = 0; i < 8; i++)
        time = time << 8 | at[i];
    return time;
}

enum ym_code ym_cosign_open(struct ym_bytes note, const char *name, const uint8_t pub[YM_PUBKEY_BYTES], uint64_t *time,
                            struct ym_status *st)
{
    struct ym_bytes text, rest;
    struct ym_buf head = {0}, blob = {0};
    uint64_t newest = 0;
    uint8_t id[4];
    enum ym_code code = YM_OK;

    if (note.len > YM_COSIGNED_MAX || !ym_cosign_text(note, &text))
        return ym_status_set(st, YM_CORRUPT, "the checkpoint is not a signed note");
    ym_note_key_id(name, YM_NOTE_COSIGNER, pub, id);
    if (ym_buf_printf(&head, DASH "%s ", name) != YM_OK)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    rest = (struct ym_bytes){text.data + text.len + 1, note.len - text.len - 1};
    while (code == YM_OK && rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        struct ym_bytes line = {rest.data, end ? (size_t)(end - rest.data) : rest.len};

        if (line_of(line, &head, id, &blob)) {
            uint64_t at = read_time(blob.data + 4);

            if (!ym_cosign_verify(text, pub, at, blob.data + 12))
                code = ym_status_set(st, YM_CORRUPT, "the cosignature of '%.200s' does not fit the checkpoint", name);
            newest = at > newest ? at : newest;
        }
        rest.data += line.len + (end != NULL);
        rest.len -= line.len + (end != NULL);
    }
    ym_buf_release(&head);
    ym_buf_release(&blob);
    if (code == YM_OK && newest == 0)
        code = ym_status_set(st, YM_NOT_FOUND, "no cosignature of '%.200s'", name);
    if (code == YM_OK)
        *time = newest;
    return code;
}
