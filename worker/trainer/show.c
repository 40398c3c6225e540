#include "worker/trainer/show.h"

#include <stdio.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "audit/spend.h"
#include "base/calendar.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/json.h"
#include "gate/border/dossier.h"
#include "worker/trainer/meter.h"

enum { CHARGES_MAX = 10000 }; /* newest shown */

static void copy_member(json_t *to, const json_t *from, const char *key)
{
    json_t *v = json_object_get(from, key);

    if (v)
        json_object_set(to, key, v);
}

/* ---- egress ----
 * A release and what it rests on: its charge, the charge's decision, the documents
 * that were live then, and the plan's sponsor. All of it stands in the own ledger. */

struct egress {
    json_t *rows;
    json_t *charges, *decisions; /* of those that no release has named yet; by the hash of their line */
    json_t *sponsors;            /* by plan */
    json_t *filings;             /* in order */
    const char *federation;
    json_t *exact;
    uint64_t from; /* leaf */
    size_t count;
};

static void line_hex(struct ym_bytes line, char out[2 * YM_HASH_BYTES + 1])
{
    uint8_t hash[YM_HASH_BYTES];

    ym_sha256(line.data, line.len, hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

/* Whole, and within its days: another of the same kind is not what the decision relied on. */
static bool held_then(const json_t *filing, const json_t *decision)
{
    struct ym_filing f;
    char day[YM_DATE_BYTES];

    ym_date_of(json_integer_value(json_object_get(decision, "time")), day);
    return ym_filing_read(filing, &f, NULL) == YM_OK && !ym_filing_lacks(&f) && strcmp(f.valid_from, day) <= 0 &&
           strcmp(day, f.valid_until) <= 0;
}

/* Documents of the study and data set whose record the decision found live. */
static json_t *approvals(const struct egress *e, const json_t *decision)
{
    static const char *const keys[] = {"record", "document", "issuer", "number", "valid_until"};
    const json_t *states = json_object_get(json_object_get(decision, "facts"), "records");
    json_t *list = json_array(), *f;
    size_t i;

    json_array_foreach(e->filings, i, f)
    {
        json_t *o;

        if (strcmp(text_of(f, "study"), text_of(decision, "study")) != 0 ||
            strcmp(text_of(f, "dataset"), text_of(decision, "dataset")) != 0 ||
            strcmp(text_of(states, text_of(f, "record")), "live") != 0 || !held_then(f, decision))
            continue;
        o = json_object();
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            copy_member(o, f, keys[k]);
        json_array_append_new(list, o);
    }
    return list;
}

static void add_decision(struct egress *e, json_t *row, const char *hash)
{
    const json_t *decision = json_object_get(e->decisions, hash);

    json_object_set_new(row, "approvals", approvals(e, decision));
    json_object_set_new(row, "asked", json_boolean(decision));
    if (decision) {
        copy_member(row, json_object_get(decision, "decision"), "label");
        copy_member(row, json_object_get(decision, "decision"), "outcome");
        copy_member(row, json_object_get(decision, "decision"), "tracks");
        copy_member(row, decision, "rules");
    }
}

/* Of each year, how many exactly where the site still knows. */
static json_t *people_years(const struct egress *e, const json_t *charge)
{
    json_t *list = json_deep_copy(json_object_get(charge, "people")), *year;
    size_t i;

    json_array_foreach(list, i, year)
    {
        json_t *exact = json_object_get(e->exact, text_of(year, "set"));

        if (exact)
            json_object_set(year, "exact", exact);
        json_object_del(year, "set");
    }
    return list;
}

static void add_charge(struct egress *e, json_t *row)
{
    static const char *const keys[] = {"dataset",
                                       "plan",
                                       "exporter",
                                       "decision",
                                       "clip_units",
                                       "noise_variance",
                                       "sampling_k",
                                       "steps",
                                       "also",
                                       "epsilon_round_micro",
                                       "epsilon_spent_micro",
                                       "delta_e18"};
    const json_t *charge = json_object_get(e->charges, text_of(row, "charge"));

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        copy_member(row, charge, keys[i]);
    json_object_set_new(row, "people", people_years(e, charge));
    json_object_set_new(row, "sponsor", json_string(text_of(e->sponsors, text_of(charge, "plan"))));
    json_object_set_new(row, "federation", json_string(e->federation));
    add_decision(e, row, text_of(charge, "decision"));
    json_object_del(e->charges, text_of(row, "charge"));
}

static void add_release(struct egress *e, uint64_t index, const json_t *leaf)
{
    static const char *const keys[] = {"time", "study", "round", "attempt", "bytes", "update", "charge"};
    json_t *row = json_object();

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        copy_member(row, leaf, keys[i]);
    json_object_set_new(row, "leaf", json_integer((json_int_t)index));
    add_charge(e, row);
    json_array_append_new(e->rows, row);
}

static void add_filing(struct egress *e, json_t *leaf)
{
    for (size_t i = json_array_size(e->filings); i-- > 0 && json_is_true(json_object_get(leaf, "withdrawn"));) {
        const json_t *f = json_array_get(e->filings, i);

        if (strcmp(text_of(f, "record"), text_of(leaf, "record")) == 0 &&
            strcmp(text_of(f, "document"), text_of(leaf, "document")) == 0)
            json_array_remove(e->filings, i);
    }
    if (!json_is_true(json_object_get(leaf, "withdrawn")))
        json_array_append(e->filings, leaf);
}

static bool take_leaf(void *ctx, uint64_t index, struct ym_bytes line)
{
    struct egress *e = ctx;
    char hash[2 * YM_HASH_BYTES + 1];
    json_t *o = NULL;
    const char *type;

    if (ym_leaf_parse(line, &o, NULL) != YM_OK)
        return true;
    type = text_of(o, "type");
    line_hex(line, hash);
    if (strcmp(type, "release") == 0 && index >= e->from)
        add_release(e, index, o);
    else if (strcmp(type, "charge") == 0)
        json_object_set(e->charges, hash, o);
    else if (strcmp(type, "decision") == 0)
        json_object_set(e->decisions, hash, o);
    else if (strcmp(type, "plan") == 0)
        json_object_set(e->sponsors, text_of(o, "plan"), json_object_get(o, "sponsor"));
    else if (strcmp(type, "dossier") == 0)
        add_filing(e, o);
    json_decref(o);
    return json_array_size(e->rows) < e->count;
}

json_t *ym_show_egress(const struct ym_site *site, struct ym_ledger *l, const char *federation, uint64_t from,
                       size_t count)
{
    struct egress e = {json_array(), json_object(),        json_object(), json_object(), json_array(),
                       federation,   ym_meter_exact(site), from,          count};

    if (ym_ledger_each(l, 0, take_leaf, &e, NULL) != YM_OK) {
        json_decref(e.rows);
        e.rows = NULL;
    }
    json_decref(e.charges);
    json_decref(e.decisions);
    json_decref(e.sponsors);
    json_decref(e.filings);
    json_decref(e.exact);
    return e.rows;
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
    size_t r, count = ym_budget_count(b), first = count > CHARGES_MAX ? count - CHARGES_MAX : 0;

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
