#include "audit/ledger/recover.h"

#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/decimal.h"
#include "base/json.h"

struct loss { /* of one group of data sets */
    char dataset[64];
    int64_t micro;
};

struct losses {
    struct loss item[YM_RECOVER_LOST];
    size_t count;
};

void ym_recover_digest(const struct ym_bytes *line, size_t count, uint8_t out[YM_HASH_BYTES])
{
    struct ym_sha256 *all = ym_sha256_new();
    uint8_t one[YM_HASH_BYTES];

    for (size_t i = 0; i < count; i++) {
        ym_sha256(line[i].data, line[i].len, one);
        ym_sha256_update(all, one, sizeof one);
    }
    ym_sha256_final(&all, out);
}

static enum ym_code keep_loss(struct losses *l, const struct ym_budget *b, const char *dataset, int64_t micro,
                              struct ym_status *st)
{
    for (size_t i = 0; i < l->count; i++)
        if (ym_budget_shared(b, l->item[i].dataset, dataset)) {
            if (l->item[i].micro < micro)
                l->item[i].micro = micro;
            return YM_OK;
        }
    if (l->count == YM_RECOVER_LOST)
        return ym_status_set(st, YM_EXHAUSTED, "charges of more than %d data sets are lost", YM_RECOVER_LOST);
    memcpy(l->item[l->count].dataset, dataset, sizeof l->item[0].dataset);
    l->item[l->count++].micro = micro;
    return YM_OK;
}

/* One line on top of the others: what it says was spent against what adds up. */
static enum ym_code take_line(struct ym_budget *b, struct ym_bytes line, struct losses *l, struct ym_status *st)
{
    size_t before = ym_budget_count(b);
    json_t *o = NULL;
    int64_t said = 0;
    enum ym_code code = ym_budget_take(b, line, st);

    if (code != YM_OK || ym_budget_count(b) == before)
        return code;
    code = ym_leaf_parse(line, &o, st);
    if (code == YM_OK)
        code = ym_json_get_int(o, "epsilon_spent_micro", 0, INT64_MAX, &said, st);
    if (code == YM_OK && said > ym_budget_at(b, before)->spent_micro)
        code = keep_loss(l, b, ym_budget_at(b, before)->dataset, said - ym_budget_at(b, before)->spent_micro, st);
    json_decref(o);
    return code;
}

static enum ym_code cost(const struct ym_budget *b, const char *dataset, uint64_t sigma_units, int64_t *micro,
                         struct ym_status *st)
{
    struct ym_events e = {.count = 1, .event = {{sigma_units, UINT64_MAX, 1}}};

    return ym_budget_after(b, dataset, sigma_units ? &e : NULL, micro, st);
}

/* The largest noise of one unsampled step that spends at least so much. */
static enum ym_code noise_of(const struct ym_budget *b, const struct loss *l, uint64_t *sigma_units,
                             struct ym_status *st)
{
    uint64_t low = 1, high = (uint64_t)1 << 44; /* far too little noise, far too much */
    int64_t now, after;
    enum ym_code code = cost(b, l->dataset, 0, &now, st);

    while (code == YM_OK && high - low > 1) {
        uint64_t middle = low + (high - low) / 2;

        code = cost(b, l->dataset, middle, &after, st);
        if (code == YM_OK && after - now > l->micro) /* beyond, for both are rounded up */
            low = middle;
        else
            high = middle;
    }
    *sigma_units = low;
    return code;
}

static enum ym_code loss_json(const struct ym_budget *b, const struct loss *l, json_t *list, struct ym_status *st)
{
    struct ym_buf variance = {0}, k = {0};
    uint64_t sigma_units = 0;
    enum ym_code code = noise_of(b, l, &sigma_units, st);

    if (code == YM_OK)
        code = ym_u128_format((unsigned __int128)sigma_units * sigma_units, &variance);
    if (code == YM_OK)
        code = ym_u128_format(UINT64_MAX, &k);
    if (code == YM_OK &&
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i}", "for", l->dataset, "noise_variance",
                                              ym_buf_str(&variance), "sampling_k", ym_buf_str(&k), "steps", 1)) != 0)
        code = YM_EXHAUSTED;
    ym_buf_release(&variance);
    ym_buf_release(&k);
    return code == YM_EXHAUSTED ? ym_status_set(st, code, "no memory for a recover leaf") : code;
}

static enum ym_code find_losses(struct ym_ledger *l, const struct ym_recover *r, json_t *list, struct ym_status *st)
{
    struct ym_budget *b = NULL;
    struct losses lost = {0};
    enum ym_code code = ym_budget_fold(l, &b, st);

    if (code == YM_OK)
        ym_budget_return(b, r->count);
    for (size_t i = 0; code == YM_OK && i < r->count; i++)
        code = take_line(b, r->line[i], &lost, st);
    for (size_t i = 0; code == YM_OK && i < lost.count; i++)
        code = loss_json(b, &lost.item[i], list, st);
    ym_budget_free(b);
    return code;
}

enum ym_code ym_recover_members(struct ym_ledger *l, const struct ym_recover *r, json_t **out, struct ym_status *st)
{
    json_t *lost = json_array(), *o = NULL;
    uint8_t digest[YM_HASH_BYTES];
    enum ym_code code = lost ? find_losses(l, r, lost, st) : YM_EXHAUSTED;

    if (code == YM_OK) {
        o = json_pack("{s:I, s:I, s:I, s:O, s:s}", "hub_size", (json_int_t)r->hub_size, "known_size",
                      (json_int_t)r->known_size, "count", (json_int_t)r->count, "lost", lost, "reason", r->reason);
        code = o ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for a recover leaf");
    }
    if (code == YM_OK) {
        ym_recover_digest(r->line, r->count, digest);
        ym_json_set_hash(o, "hub_root", r->hub_root);
        ym_json_set_hash(o, "digest", digest);
        *out = o;
    }
    json_decref(lost);
    return code;
}
