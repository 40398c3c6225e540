#include "worker/trainer/show.h"

#include <string.h>

#include "audit/ledger/leaf.h"
#include "audit/spend.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/json.h"

enum { EGRESS_MAX = 10000 }; /* newest shown */

static void copy_member(json_t *to, const json_t *from, const char *key)
{
    json_t *v = json_object_get(from, key);

    if (v)
        json_object_set(to, key, v);
}

/* ---- egress ---- */

static bool add_release(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    static const char *const keys[] = {"time", "study", "round", "attempt", "bytes", "update", "charge"};
    json_t *list = ctx, *o = NULL, *row;

    if (ym_leaf_parse(leaf, &o, NULL) == YM_OK) {
        const char *type = json_string_value(json_object_get(o, "type"));

        if (type && strcmp(type, "release") == 0 && (row = json_object()) != NULL) {
            for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
                copy_member(row, o, keys[i]);
            json_object_set_new(row, "leaf", json_integer((json_int_t)index));
            json_array_append_new(list, row);
            if (json_array_size(list) > EGRESS_MAX)
                json_array_remove(list, 0);
        }
    }
    json_decref(o);
    return true;
}

json_t *ym_show_egress(struct ym_ledger *l)
{
    json_t *list = json_array();

    if (list && ym_ledger_each(l, 0, add_release, list, NULL) != YM_OK) {
        json_decref(list);
        list = NULL;
    }
    return list;
}

/* ---- budget ---- */

static json_t *find_row(json_t *list, const char *name)
{
    size_t i;
    json_t *row;

    json_array_foreach(list, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "dataset")), name) == 0)
            return row;
    }
    return NULL;
}

static bool add_dataset(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    json_t *list = ctx, *o = NULL, *row;

    (void)index;
    if (ym_leaf_parse(leaf, &o, NULL) == YM_OK) {
        const char *type = json_string_value(json_object_get(o, "type"));
        const char *name = json_string_value(json_object_get(o, "dataset"));

        if (type && name && strcmp(type, "dataset_card") == 0) {
            row = find_row(list, name);
            if (!row) {
                row = json_pack("{s:s}", "dataset", name);
                json_array_append_new(list, row);
            }
            copy_member(row, o, "group");
            copy_member(row, o, "data");
        }
    }
    json_decref(o);
    return true;
}

static void add_figures(const struct ym_budget *b, json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "dataset"));
    const struct ym_budget_card *card = ym_budget_card(b, name);
    int64_t spent, cap, delta, month;
    struct ym_budget_policy policy;
    struct ym_tight tight;

    if (!card || !ym_budget_policy(b, &policy) || ym_budget_spent(b, name, &spent, &cap, &delta, NULL) != YM_OK ||
        ym_budget_month(b, name, NULL, ym_clock_unix(), &month, NULL) != YM_OK ||
        ym_budget_tight(b, name, NULL, &tight, NULL) != YM_OK)
        return;
    json_object_set_new(row, "month_micro", json_integer(month));
    json_object_set_new(row, "month_limit_micro", json_integer(policy.month_micro));
    json_object_set_new(row, "identified", json_string(card->identified));
    json_object_set_new(row, "spent_micro", json_integer(spent));
    json_object_set_new(row, "tight_micro", json_integer(tight.micro));
    json_object_set_new(row, "tight_accountant", json_string(ym_tight_name(&tight)));
    json_object_set_new(row, "cap_micro", json_integer(cap));
    json_object_set_new(row, "delta_e18", json_integer(delta));
}

/* NULL: out of memory. */
static json_t *event_json(const struct ym_event *e)
{
    struct ym_buf sigma = {0}, k = {0};
    json_t *o = NULL;

    if (ym_u128_format(e->sigma_units, &sigma) == YM_OK && ym_u128_format(e->sampling_k, &k) == YM_OK)
        o = json_pack("{s:s, s:s, s:I}", "sigma_units", ym_buf_str(&sigma), "sampling_k", ym_buf_str(&k), "steps",
                      (json_int_t)e->steps);
    ym_buf_release(&sigma);
    ym_buf_release(&k);
    return o;
}

static json_t *also_json(const struct ym_events *e)
{
    json_t *list = json_array();

    for (size_t i = 1; i < e->count; i++) {
        json_t *o = event_json(&e->event[i]);

        if (o)
            json_object_set_new(o, "for", json_string(ym_spend_use_name(e->use[i])));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *charge_row(const struct ym_budget_line *l)
{
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "dataset", l->dataset, "study", l->study, "round",
                  (json_int_t)l->round, "attempt", (json_int_t)l->attempt, "epsilon_round_micro",
                  (json_int_t)l->round_micro, "epsilon_spent_micro", (json_int_t)l->spent_micro, "epsilon_tight_micro",
                  (json_int_t)l->tight_micro, "delta_e18", (json_int_t)l->delta_e18, "also", also_json(&l->events));
    json_t *own = event_json(&l->events.event[0]);

    json_object_update_missing(o, own);
    json_decref(own);
    return o;
}

json_t *ym_show_budget(struct ym_ledger *l, const struct ym_budget *b)
{
    json_t *list = json_array(), *row;
    json_t *charges = json_array();
    size_t r, count = ym_budget_count(b), first = count > EGRESS_MAX ? count - EGRESS_MAX : 0;

    if (ym_ledger_each(l, 0, add_dataset, list, NULL) != YM_OK) {
        json_decref(list);
        json_decref(charges);
        return NULL;
    }
    json_array_foreach(list, r, row) add_figures(b, row);
    for (size_t i = first; i < count; i++)
        json_array_append_new(charges, charge_row(ym_budget_at(b, i)));
    return json_pack("{s:b, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "ok", 1, "unit", "patient", "relation",
                     "add-or-remove-one", "accountant", "rdp/1", "order_milli", (json_int_t)ym_budget_order_milli(b),
                     "charges_in_all", (json_int_t)count, "datasets", list, "charges", charges);
}
