#include "cmd/yumen/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "audit/ledger/tree.h"
#include "audit/spend.h"
#include "base/json.h"

struct history {
    const struct ym_plan *plan;
    json_t *card;                             /* "hospital/dataset" -> its newest public part */
    json_t *member[YM_PLAN_MAX_SITES];        /* of the card, NULL before an approval */
    struct ym_spend spend[YM_PLAN_MAX_SITES]; /* of this study's charges */
    int64_t delta_e18[YM_PLAN_MAX_SITES];
    json_int_t rounds_run;
    struct ym_buf state;                 /* hex */
    uint64_t content;                    /* index of the entry that the state came from, */
    uint8_t content_hash[YM_HASH_BYTES]; /* its leaf hash, */
    bool have_content;                   /* if there is one */
    json_t *result;                      /* the entry itself, where it is a round_result */
    struct ym_status *st;
};

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text == NULL ? "" : text;
}

static size_t site_of(const struct history *h, const char *name)
{
    size_t i = 0;

    while (i < h->plan->site_count && strcmp(h->plan->site[i].name, name) != 0)
        i++;
    return i;
}

static void count_up(json_t *o, const char *key)
{
    json_object_set_new(o, key, json_integer(json_integer_value(json_object_get(o, key)) + 1));
}

static void card_key(const char *hospital, const char *dataset, char key[160])
{
    snprintf(key, 160, "%.63s/%.63s", hospital, dataset);
}

static void take_card(struct history *h, const json_t *leaf)
{
    char key[160];

    card_key(text_of(leaf, "by"), text_of(leaf, "dataset"), key);
    json_object_set(h->card, key, json_object_get(leaf, "public"));
}

static void take_approval(struct history *h, const json_t *leaf)
{
    size_t i = site_of(h, text_of(leaf, "by"));
    char key[160];

    if (i == h->plan->site_count || h->member[i] != NULL)
        return;
    card_key(text_of(leaf, "by"), text_of(leaf, "dataset"), key);
    h->member[i] =
        json_pack("{s:s,s:s,s:O?,s:i,s:i,s:i}", "name", text_of(leaf, "by"), "dataset", text_of(leaf, "dataset"),
                  "card", json_object_get(h->card, key), "charges", 0, "rounds", 0, "left_out", 0);
}

/* Its events are the plan's: the hub and the auditor refuse a charge that is another. */
static enum ym_code take_charge(struct history *h, const json_t *leaf)
{
    static const char *const same[] = {"epsilon_spent_micro", "epsilon_cap_micro", "delta_e18", "identified"};
    size_t i = site_of(h, text_of(leaf, "by"));
    json_int_t round = json_integer_value(json_object_get(leaf, "round"));
    struct ym_events events;

    if (i == h->plan->site_count || h->member[i] == NULL || round < 1 || round > h->plan->rounds)
        return YM_OK;
    for (size_t k = 0; k < sizeof same / sizeof *same; k++)
        json_object_set(h->member[i], same[k], json_object_get(leaf, same[k]));
    h->delta_e18[i] = json_integer_value(json_object_get(leaf, "delta_e18"));
    count_up(h->member[i], "charges");
    ym_plan_events(h->plan, (uint32_t)round, (uint32_t)round, &events);
    return ym_spend_add_all(&h->spend[i], &events, h->st);
}

static void take_names(struct history *h, const json_t *names, const char *key)
{
    const json_t *name;
    size_t k;

    json_array_foreach(names, k, name)
    {
        size_t i = site_of(h, json_is_string(name) ? json_string_value(name) : "");

        if (i < h->plan->site_count && h->member[i] != NULL)
            count_up(h->member[i], key);
    }
}

static void take_result(struct history *h, const json_t *leaf)
{
    h->rounds_run++;
    take_names(h, json_object_get(leaf, "survivors"), "rounds");
    take_names(h, json_object_get(leaf, "left_out"), "left_out");
}

/* The state before any round is the plan's own. */
static void take_content(struct history *h, json_t *leaf, uint64_t index, struct ym_bytes line)
{
    bool result = strcmp(text_of(leaf, "state_after"), ym_buf_str(&h->state)) == 0;

    if (!result && (h->have_content || strcmp(text_of(leaf, "type"), "plan") != 0))
        return;
    h->content = index;
    h->have_content = true;
    if (result) {
        json_decref(h->result);
        h->result = json_incref(leaf);
    }
    ym_tree_leaf_hash(line, h->content_hash);
}

static enum ym_code take_leaf(void *ctx, uint64_t index, struct ym_bytes line, struct ym_status *st)
{
    struct history *h = ctx;
    json_t *leaf = NULL;
    enum ym_code code = ym_leaf_parse(line, &leaf, st);
    const char *type = text_of(leaf, "type");
    bool ours = strcmp(text_of(leaf, "study"), h->plan->study) == 0;

    if (code == YM_OK && strcmp(type, "dataset_card") == 0)
        take_card(h, leaf);
    else if (code == YM_OK && ours && strcmp(type, "approval") == 0)
        take_approval(h, leaf);
    else if (code == YM_OK && ours && strcmp(type, "charge") == 0)
        code = take_charge(h, leaf);
    else if (code == YM_OK && ours && strcmp(type, "round_result") == 0)
        take_result(h, leaf);
    if (code == YM_OK && ours)
        take_content(h, leaf, index, line);
    json_decref(leaf);
    return code;
}

/* What the study's charges come to, at the delta of the hospital's policy. */
static enum ym_code add_figures(struct history *h, size_t i, struct ym_spend_cache *cache)
{
    struct ym_tight tight;
    int64_t micro = 0;
    enum ym_code code;

    if (h->spend[i].count == 0)
        return YM_OK;
    code = ym_spend_micro(&h->spend[i], NULL, h->delta_e18[i], cache, &micro, h->st);
    if (code == YM_OK)
        code = ym_spend_tight(&h->spend[i], NULL, h->delta_e18[i], cache, &tight, h->st);
    if (code != YM_OK)
        return code;
    json_object_set_new(h->member[i], "epsilon_study_micro", json_integer(micro));
    json_object_set_new(h->member[i], "epsilon_certified_micro", json_integer(tight.micro));
    json_object_set_new(h->member[i], "certified_by", json_string(ym_tight_name(&tight)));
    return YM_OK;
}

static enum ym_code finish(struct history *h, json_t **out)
{
    struct ym_spend_cache *cache = ym_spend_cache_new();
    json_t *list = json_array();
    enum ym_code code = cache != NULL ? YM_OK : ym_status_set(h->st, YM_EXHAUSTED, "no memory for epsilon");

    for (size_t i = 0; i < h->plan->site_count && code == YM_OK; i++) {
        if (h->member[i] == NULL)
            continue;
        code = add_figures(h, i, cache);
        json_array_append(list, h->member[i]);
    }
    if (code == YM_OK)
        *out = json_pack("{s:O,s:I}", "hospitals", list, "rounds_run", h->rounds_run);
    json_decref(list);
    ym_spend_cache_free(cache);
    return code;
}

static enum ym_code name_content(struct ym_party_home *home, const struct history *h, json_t *out)
{
    char origin[256];
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_buf hash = {0};
    enum ym_code code = ym_home_log_key(home, origin, pub, h->st);

    if (code == YM_OK && !h->have_content)
        return ym_status_set(h->st, YM_CORRUPT, "the hub's log has no entry that this model came from");
    if (code != YM_OK)
        return code;
    ym_hex_encode(h->content_hash, YM_HASH_BYTES, &hash);
    json_object_set_new(out, "content_id", json_sprintf("%s#%" PRIu64 ":%s", origin, h->content, ym_buf_str(&hash)));
    ym_buf_release(&hash);
    return YM_OK;
}

enum ym_code ym_history_read(struct ym_party_home *home, const struct ym_plan *plan, const uint8_t state[YM_HASH_BYTES],
                             json_t **out, json_t **result, struct ym_status *st)
{
    struct history h = {.plan = plan, .card = json_object(), .st = st};
    json_t *made = NULL;
    enum ym_code code = ym_hex_encode(state, YM_HASH_BYTES, &h.state);

    if (code == YM_OK)
        code = ym_home_read_log(home, 0, take_leaf, &h, st);
    if (code == YM_OK)
        code = finish(&h, &made);
    if (code == YM_OK)
        code = name_content(home, &h, made);
    if (code == YM_OK) {
        *out = made;
        *result = json_incref(h.result);
    } else {
        json_decref(made);
    }
    json_decref(h.result);
    ym_buf_release(&h.state);
    for (size_t i = 0; i < plan->site_count; i++) {
        json_decref(h.member[i]);
        ym_spend_release(&h.spend[i]);
    }
    json_decref(h.card);
    return code;
}
