#include "models/start.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/json.h"

static enum ym_code open_header(struct ym_bytes file, json_t **header, struct ym_bytes *data, struct ym_status *st)
{
    uint64_t len = 0;

    for (int i = 7; i >= 0 && file.len >= 8; i--)
        len = len << 8 | file.data[i];
    if (file.len < 8 || len > YM_START_HEADER_MAX || len > file.len - 8)
        return ym_status_set(st, YM_INVALID, "not a safetensors file, or its header is too long");
    if (ym_json_parse(file.data + 8, len, YM_START_HEADER_MAX, header, NULL) != YM_OK)
        return ym_status_set(st, YM_INVALID, "the safetensors file has a header that is not JSON");
    *data = (struct ym_bytes){file.data + 8 + len, file.len - 8 - (size_t)len};
    return YM_OK;
}

static bool shape_is(const json_t *shape, const struct ym_tensor_info *t)
{
    bool same = json_array_size(shape) == t->rank;

    for (size_t i = 0; i < t->rank && same; i++) {
        const json_t *extent = json_array_get(shape, i);

        same = json_is_integer(extent) && json_integer_value(extent) == (json_int_t)t->shape[i];
    }
    return same;
}

/* Where its bytes stand in the data; false: not `count` floats inside of it. */
static bool range_of(const json_t *offsets, size_t data_len, uint64_t count, size_t *begin)
{
    const json_t *b = json_array_get(offsets, 0), *e = json_array_get(offsets, 1);
    json_int_t from = json_integer_value(b), to = json_integer_value(e);

    if (json_array_size(offsets) != 2 || !json_is_integer(b) || !json_is_integer(e) || from < 0 || to < from ||
        (uint64_t)to > data_len || (uint64_t)(to - from) != 4 * count)
        return false;
    *begin = (size_t)from;
    return true;
}

static enum ym_code take_tensor(const json_t *header, struct ym_bytes data, const struct ym_tensor_info *t,
                                float *params, struct ym_status *st)
{
    const json_t *o = json_object_get(header, t->name);
    uint64_t count = (uint64_t)t->rows * (t->cols ? t->cols : 1);
    const char *dtype;
    size_t begin;

    if (!json_is_object(o))
        return ym_status_set(st, YM_INVALID, "the safetensors file has no tensor '%s'", t->name);
    if (ym_json_get_str(o, "dtype", &dtype, NULL) != YM_OK || strcmp(dtype, "F32") != 0)
        return ym_status_set(st, YM_INVALID, "tensor '%s' of the safetensors file must be F32", t->name);
    if (!shape_is(json_object_get(o, "shape"), t) ||
        !range_of(json_object_get(o, "data_offsets"), data.len, count, &begin))
        return ym_status_set(st, YM_INVALID, "tensor '%s' of the safetensors file has not the model's shape", t->name);
    memcpy(params + t->offset, data.data + begin, 4 * count);
    for (uint64_t i = 0; i < count; i++)
        if (!isfinite(params[t->offset + i]))
            return ym_status_set(st, YM_INVALID, "tensor '%s' of the safetensors file holds a value that is no number",
                                 t->name);
    return YM_OK;
}

enum ym_code ym_start_tensors(const struct ym_model *m, uint64_t except, struct ym_bytes file, float *params,
                              struct ym_status *st)
{
    json_t *header = NULL;
    struct ym_bytes data = {0};
    enum ym_code code = open_header(file, &header, &data, st);

    for (size_t i = 0; i < ym_model_tensors(m) && code == YM_OK; i++) {
        struct ym_tensor_info t = ym_model_tensor(m, i);

        if (!(except >> i / 2 & 1))
            code = take_tensor(header, data, &t, params, st);
    }
    json_decref(header);
    return code;
}

enum ym_code ym_start_params(const struct ym_plan *plan, const struct ym_model *m, struct ym_bytes file, float *params,
                             struct ym_status *st)
{
    return ym_start_tensors(m, plan->start_except, file, params, st);
}
