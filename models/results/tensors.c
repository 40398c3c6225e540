#include "models/results/tensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "models/start.h"

#define DOMAIN "yumen/model/v1" /* with its terminating zero */
#define SIGNED_BYTES (sizeof DOMAIN + 2 * YM_HASH_BYTES)

static json_t *tensor_json(const struct ym_tensor_info *t)
{
    size_t count = t->rows * (t->cols == 0 ? 1 : t->cols);
    json_t *shape = json_array();

    for (size_t i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    return json_pack("{s:s,s:o,s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)(4 * t->offset),
                     (json_int_t)(4 * (t->offset + count)));
}

static json_t *header_json(const struct ym_model *m, const json_t *metadata)
{
    json_t *header = json_object();

    json_object_set_new(header, "__metadata__", json_copy((json_t *)(uintptr_t)metadata));
    for (size_t i = 0; i < ym_model_tensors(m); i++) {
        struct ym_tensor_info t = ym_model_tensor(m, i);

        json_object_set_new(header, t.name, tensor_json(&t));
    }
    return header;
}

/* header: without a signature. */
static enum ym_code signed_text(const json_t *header, struct ym_bytes data, uint8_t out[SIGNED_BYTES],
                                struct ym_status *st)
{
    struct ym_buf canonical = {0};
    enum ym_code code = ym_json_canonical(header, &canonical, st);

    memcpy(out, DOMAIN, sizeof DOMAIN);
    ym_sha256(canonical.data, canonical.len, out + sizeof DOMAIN);
    ym_sha256(data.data, data.len, out + sizeof DOMAIN + YM_HASH_BYTES);
    ym_buf_release(&canonical);
    return code;
}

static enum ym_code sign(json_t *header, struct ym_bytes data, const struct ym_key *signer, struct ym_status *st)
{
    uint8_t text[SIGNED_BYTES], sig[YM_SIG_BYTES];
    struct ym_buf base64 = {0};
    enum ym_code code = signed_text(header, data, text, st);

    if (code != YM_OK)
        return code;
    ym_key_sign(signer, text, sizeof text, sig);
    if (ym_base64_encode(sig, sizeof sig, &base64) != YM_OK ||
        json_object_set_new(json_object_get(header, "__metadata__"), "signature", json_string(ym_buf_str(&base64))) !=
            0)
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the model's header");
    ym_buf_release(&base64);
    return code;
}

static enum ym_code put_file(const json_t *header, struct ym_bytes data, struct ym_buf *out, struct ym_status *st)
{
    char *text = json_dumps(header, JSON_COMPACT | JSON_ENSURE_ASCII);
    size_t len = text == NULL ? 0 : strlen(text), padded = (len + 7) / 8 * 8;
    uint8_t size[8];
    enum ym_code code = text == NULL ? YM_EXHAUSTED : YM_OK;

    for (int i = 0; i < 8; i++)
        size[i] = (uint8_t)((uint64_t)padded >> (8 * i));
    if (code == YM_OK)
        code = ym_buf_append(out, size, sizeof size);
    if (code == YM_OK)
        code = ym_buf_append(out, text, len);
    for (; code == YM_OK && len < padded; len++)
        code = ym_buf_append(out, " ", 1);
    if (code == YM_OK)
        code = ym_buf_append(out, data.data, data.len);
    free(text);
    return code == YM_OK ? code : ym_status_set(st, YM_EXHAUSTED, "no memory for the model");
}

enum ym_code ym_tensors_write(const struct ym_model *m, const float *params, const json_t *metadata,
                              const struct ym_key *signer, struct ym_buf *out, struct ym_status *st)
{
    struct ym_bytes data = {(const uint8_t *)params, m->dim * sizeof *params};
    json_t *header = header_json(m, metadata);
    enum ym_code code = header ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for the model's header");

    if (code == YM_OK && signer)
        code = sign(header, data, signer, st);
    if (code == YM_OK)
        code = put_file(header, data, out, st);
    json_decref(header);
    return code;
}

/* ---- read again ---- */

static enum ym_code parse(struct ym_bytes file, json_t **header, struct ym_bytes *data)
{
    uint64_t len = 0;

    for (int i = 7; i >= 0 && file.len >= 8; i--)
        len = len << 8 | file.data[i];
    if (file.len < 8 || len > YM_START_HEADER_MAX || len > file.len - 8)
        return YM_CORRUPT;
    *data = (struct ym_bytes){file.data + 8 + len, file.len - 8 - (size_t)len};
    while (len > 0 && file.data[8 + len - 1] == ' ')
        len--;
    return ym_json_parse(file.data + 8, (size_t)len, YM_START_HEADER_MAX, header, NULL);
}

enum ym_code ym_tensors_signed(struct ym_bytes file, const uint8_t pub[YM_PUBKEY_BYTES], struct ym_status *st)
{
    uint8_t text[SIGNED_BYTES];
    struct ym_buf sig = {0};
    struct ym_bytes data = {0};
    json_t *header = NULL, *metadata = NULL;
    const char *said = NULL;
    bool good = parse(file, &header, &data) == YM_OK;

    if (good) {
        metadata = json_object_get(header, "__metadata__");
        said = json_string_value(json_object_get(metadata, "signature"));
        good = said && ym_base64_decode(said, strlen(said), &sig) == YM_OK && sig.len == YM_SIG_BYTES;
    }
    if (good) {
        json_object_del(metadata, "signature");
        good = signed_text(header, data, text, NULL) == YM_OK && ym_sig_verify(pub, text, sizeof text, sig.data);
    }
    json_decref(header);
    ym_buf_release(&sig);
    return good ? YM_OK : ym_status_set(st, YM_DENIED, "the model is not signed by the hub's key");
}
