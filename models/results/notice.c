#include "models/results/notice.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/recipient.h"
#include "base/text.h"
#include "models/start.h"

const char *const ym_notice_key[YM_NOTICE_KEYS] = {"format",   "study",      "round",  "plan",     "state",
                                                   "producer", "content_id", "notice", "notice_zh"};

/* ---- made ---- */

json_t *ym_notice_new(const struct ym_plan *plan, uint32_t round, const uint8_t state[YM_HASH_BYTES],
                      const char *content_id)
{
    struct ym_buf plan_hex = {0}, state_hex = {0};
    json_t *o = NULL;

    if (ym_hex_encode(plan->hash, YM_HASH_BYTES, &plan_hex) == YM_OK &&
        ym_hex_encode(state, YM_HASH_BYTES, &state_hex) == YM_OK)
        o = json_pack("{s:s,s:s,s:o,s:s,s:s,s:s,s:o,s:s,s:s}", "format", YM_RESULT_FORMAT, "study", plan->study,
                      "round", json_sprintf("%" PRIu32, round), "plan", ym_buf_str(&plan_hex), "state",
                      ym_buf_str(&state_hex), "producer", plan->sponsor, "content_id",
                      content_id ? json_string(content_id) : json_sprintf("simulated:%s", ym_buf_str(&state_hex)),
                      "notice", ym_text_in(YM_TEXT_MODEL_NOTICE, YM_LANG_EN), "notice_zh",
                      ym_text_in(YM_TEXT_MODEL_NOTICE, YM_LANG_ZH));
    ym_buf_release(&plan_hex);
    ym_buf_release(&state_hex);
    return o;
}

/* ---- read again ---- */

json_t *ym_notice_tensors(struct ym_bytes file)
{
    uint64_t len = 0;
    json_t *header = NULL, *meta;

    for (int i = 7; i >= 0 && file.len >= 8; i--)
        len = len << 8 | file.data[i];
    if (file.len < 8 || len > YM_START_HEADER_MAX || len > file.len - 8)
        return NULL;
    if (ym_json_parse(file.data + 8, (size_t)len, YM_START_HEADER_MAX, &header, NULL) != YM_OK)
        return NULL;
    meta = json_incref(json_object_get(header, "__metadata__"));
    json_decref(header);
    return meta ? meta : json_object();
}

/* Protocol Buffers, as much of it as a ModelProto's metadata takes: the next field of b, its length-delimited bytes or
 * none; false at the end, or where b is no message. */
static bool next_varint(struct ym_bytes *b, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && b->len > 0; shift += 7) {
        uint8_t byte = *b->data++;

        b->len--;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool next_field(struct ym_bytes *b, uint64_t *field, struct ym_bytes *out)
{
    static const uint8_t fixed[8] = {[1] = 8, [5] = 4};
    uint64_t tag, len = 0;

    if (!next_varint(b, &tag))
        return false;
    *field = tag >> 3;
    *out = (struct ym_bytes){b->data, 0};
    if ((tag & 7) == 0)
        return next_varint(b, &len);
    if ((tag & 7) == 2 ? !next_varint(b, &len) : fixed[tag & 7] == 0)
        return false;
    len = (tag & 7) == 2 ? len : fixed[tag & 7];
    if (len > b->len)
        return false;
    *out = (struct ym_bytes){b->data, (tag & 7) == 2 ? (size_t)len : 0};
    b->data += len;
    b->len -= (size_t)len;
    return true;
}

#define ONNX_METADATA 14 /* of ModelProto; each a StringStringEntryProto {key = 1, value = 2} */

static void take_entry(struct ym_bytes entry, json_t *out)
{
    struct ym_bytes part, key = {0}, value = {0};
    uint64_t field;
    char name[64];

    while (next_field(&entry, &field, &part)) {
        if (field == 1)
            key = part;
        else if (field == 2)
            value = part;
    }
    if (key.len == 0 || key.len >= sizeof name || json_object_size(out) >= 64)
        return;
    memcpy(name, key.data, key.len);
    name[key.len] = 0;
    json_object_set_new(out, name, json_stringn((const char *)value.data, value.len));
}

/* The first field of a ModelProto is its IR version, a small integer. */
static json_t *read_onnx(struct ym_bytes file)
{
    struct ym_bytes part;
    uint64_t field;
    json_t *out;

    if (file.len < 2 || file.data[0] != 0x08 || file.data[1] >= 0x80)
        return NULL;
    out = json_object();
    while (out && next_field(&file, &field, &part))
        if (field == ONNX_METADATA)
            take_entry(part, out);
    return out;
}

static json_t *read_card(struct ym_bytes file)
{
    json_t *card = json_loadb((const char *)file.data, file.len, JSON_REJECT_DUPLICATES, NULL);
    const char *format = json_string_value(json_object_get(card, "format"));

    if (format && strcmp(format, YM_RESULT_CARD) == 0) {
        json_object_set(card, "producer", json_object_get(card, "sponsor"));
        json_object_set_new(card, "format", json_string(YM_RESULT_FORMAT));
        json_object_set_new(card, "round",
                            json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(card, "round"))));
        return card;
    }
    json_decref(card);
    return NULL;
}

json_t *ym_notice_read(struct ym_bytes file)
{
    json_t *notice = ym_notice_tensors(file);

    if (!notice && file.len > 0 && file.data[0] == '{')
        return read_card(file);
    return notice ? notice : read_onnx(file);
}

/* ---- checked ---- */

static bool is_hash(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

bool ym_content_id_parse(const char *text, struct ym_content_id *out)
{
    const char *mark = strrchr(text, '#');
    size_t len = mark ? (size_t)(mark - text) : 0, digits = mark ? strspn(mark + 1, "0123456789") : 0;

    if (len == 0 || len >= sizeof out->origin || digits == 0 || digits > 18 || mark[1 + digits] != ':' ||
        !is_hash(mark + 2 + digits))
        return false;
    memcpy(out->origin, text, len);
    out->origin[len] = 0;
    out->index = strtoull(mark + 1, NULL, 10);
    memcpy(out->hash, mark + 2 + digits, sizeof out->hash);
    return true;
}

/* Notices stand in lines of results, and on screens. */
static bool shows_all(const char *text)
{
    uint32_t c = 0;

    for (size_t len; *text; text += len) {
        len = ym_text_character(text, &c);
        if (len == 0 || ym_text_hides(c))
            return false;
    }
    return true;
}

static bool key_holds(const char *key, const char *value)
{
    struct ym_content_id id;

    if (!value || !*value)
        return false;
    if (!shows_all(value))
        return false;
    if (strcmp(key, "format") == 0)
        return strcmp(value, YM_RESULT_FORMAT) == 0;
    if (strcmp(key, "plan") == 0 || strcmp(key, "state") == 0)
        return is_hash(value);
    if (strcmp(key, "content_id") == 0)
        return ym_content_id_parse(value, &id) || (strncmp(value, "simulated:", 10) == 0 && is_hash(value + 10));
    if (strcmp(key, "notice") == 0)
        return strcmp(value, ym_text_in(YM_TEXT_MODEL_NOTICE, YM_LANG_EN)) == 0;
    return strcmp(key, "notice_zh") != 0 || strcmp(value, ym_text_in(YM_TEXT_MODEL_NOTICE, YM_LANG_ZH)) == 0;
}

size_t ym_notice_lacks(const json_t *notice, const char *lacks[YM_NOTICE_KEYS])
{
    size_t n = 0;

    for (size_t i = 0; i < YM_NOTICE_KEYS; i++)
        if (!key_holds(ym_notice_key[i], json_string_value(json_object_get(notice, ym_notice_key[i]))))
            lacks[n++] = ym_notice_key[i];
    return n;
}

/* ---- a released model ---- */

/* A model of another plan has other columns, or other ranges for the same ones: its scores would be of something else.
 */
static enum ym_code check_plan(const json_t *notice, struct ym_bytes file, const char *path, const struct ym_plan *plan,
                               struct ym_status *st)
{
    const char *format = json_string_value(json_object_get(notice, "format"));
    const char *named = json_string_value(json_object_get(notice, "plan"));
    struct ym_buf own = {0};
    enum ym_code code = YM_OK;

    if (!notice && ym_envelope_recipients(file) > 0)
        return ym_status_set(st, YM_INVALID, "'%s' %s", path, T(MODEL_SEALED));
    if (!format || !named || strcmp(format, YM_RESULT_FORMAT) != 0)
        return ym_status_set(st, YM_INVALID, "'%s' %s", path, T(MODEL_NOT));
    ym_hex_encode(plan->hash, YM_HASH_BYTES, &own);
    if (strcmp(ym_buf_str(&own), named) != 0) {
        char text[512];

        snprintf(text, sizeof text, T(MODEL_PLAN_OTHER), ym_buf_str(&own), named);
        code = ym_status_set(st, YM_INVALID, "'%s' %s", path, text);
    }
    ym_buf_release(&own);
    return code;
}

enum ym_code ym_released_load(const char *path, const struct ym_plan *plan, struct ym_released *out,
                              struct ym_status *st)
{
    struct ym_released r = {0};
    struct ym_buf file = {0};
    enum ym_code code = ym_fs_read(path, YM_START_MAX_BYTES, &file, st);

    if (code != YM_OK)
        goto out;
    ym_sha256(file.data, file.len, r.hash);
    r.notice = ym_notice_tensors(ym_buf_bytes(&file));
    code = check_plan(r.notice, ym_buf_bytes(&file), path, plan, st);
    if (code == YM_OK)
        code = ym_model_from_plan(plan, &r.model, st);
    if (code != YM_OK)
        goto out;
    r.params = calloc(r.model.dim + 1, sizeof *r.params);
    code = r.params ? ym_start_tensors(&r.model, 0, ym_buf_bytes(&file), r.params, st)
                    : ym_status_set(st, YM_EXHAUSTED, "no memory for %zu parameters", r.model.dim);
    if (code != YM_OK)
        ym_status_wrap(st, code, "%s", path);
out:
    ym_buf_release(&file);
    if (code == YM_OK)
        *out = r;
    else
        ym_released_release(&r);
    return code;
}

void ym_released_release(struct ym_released *r)
{
    json_decref(r->notice);
    free(r->params);
    *r = (struct ym_released){0};
}
