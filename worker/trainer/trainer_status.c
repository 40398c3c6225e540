#include <string.h>

#include "base/calendar.h"
#include "base/clock.h"
#include "worker/trainer/trainer_internal.h"

/* One screen about the site: who it is, what waits, what is left, what left, what ends soon. */

enum { WEEK_S = 7 * 24 * 3600 };

static long long get(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

/* Releases of the last seven days. */
static json_t *week_json(struct ym_trainer *t, int64_t now)
{
    json_t *list = ym_show_egress(&t->site, t->ledger, "", 0, SIZE_MAX), *studies = json_object();
    const json_t *row;
    json_int_t count = 0, bytes = 0;
    size_t i;

    json_array_foreach(list, i, row)
    {
        if (get(row, "time") < now - WEEK_S)
            continue;
        count++;
        bytes += get(row, "bytes");
        json_object_set_new(studies, json_string_value(json_object_get(row, "study")), json_true());
    }
    json_decref(list);
    row = json_pack("{s:I, s:I, s:I}", "releases", count, "bytes", bytes, "studies",
                    (json_int_t)json_object_size(studies));
    json_decref(studies);
    return (json_t *)row;
}

/* Another of its kind is live for the same study and data set. */
static bool replaced(const json_t *filings, const json_t *old)
{
    static const char *const same[] = {"record", "study", "dataset"};
    const json_t *f;
    size_t i, k;

    json_array_foreach(filings, i, f)
    {
        for (k = 0; k < 3 && strcmp(ym_trainer_text(f, same[k]), ym_trainer_text(old, same[k])) == 0;)
            k++;
        if (k == 3 && strcmp(ym_trainer_text(f, "state"), "live") == 0)
            return true;
    }
    return false;
}

/* Documents that end soon with nothing live of their kind that lasts longer, and those that are not live and have
 * no live one of their kind in their place. */
static json_t *expires_json(struct ym_trainer *t)
{
    json_t *dossier = ym_trainer_dossier_list(t), *list = json_array(), *row;
    size_t i;

    json_array_foreach(json_object_get(dossier, "filings"), i, row)
    {
        bool live = strcmp(ym_trainer_text(row, "state"), "live") == 0;

        if (live ? get(row, "warn") > 0 : !replaced(json_object_get(dossier, "filings"), row))
            json_array_append(list, row);
    }
    json_decref(dossier);
    return list;
}

static json_t *people_json(struct ym_trainer *t)
{
    json_t *none = json_object(), *all = NULL, *list;

    ym_trainer_people(t, none, &all, NULL);
    list = json_incref(json_object_get(all, "exporters"));
    json_decref(none);
    json_decref(all);
    return list ? list : json_array();
}

static json_t *pending_json(struct ym_trainer *t)
{
    json_t *all = ym_trainer_pending_json(t), *list = json_incref(json_object_get(all, "pending"));

    json_decref(all);
    return list ? list : json_array();
}

static json_t *budgets_json(struct ym_trainer *t)
{
    json_t *all = ym_show_budget(t->ledger, t->budget);
    json_t *list = json_incref(json_object_get(all, "datasets"));

    json_decref(all);
    return list ? list : json_array();
}

json_t *ym_trainer_status_json(struct ym_trainer *t)
{
    bool link = ym_link_connected(t->link, ym_clock_mono_ms());
    struct ym_buf witness = {0};
    json_t *o;

    ym_site_witness(t->site.name, t->key, &witness, NULL);
    o = json_pack("{s:b, s:s, s:b, s:s, s:b, s:s, s:s, s:I, s:b, s:b, s:s, s:I, s:s}", "ok", 1, "log",
                  ym_watch_word(ym_watch_state(t->watch)), "other_worker", link && t->gateway.other_worker, "name",
                  t->site.name, "enrolled", t->enrolled, "federation", t->enrolled ? t->trust.federation : "",
                  "sandbox", t->sandbox.text, "leaves", (json_int_t)ym_ledger_size(t->ledger), "gateway", link, "hub",
                  link && t->gateway.connected, "hub_address", t->gateway.hub, "certificate_until",
                  (json_int_t)t->gateway.not_after, "witness", ym_buf_str(&witness));
    ym_buf_release(&witness);
    json_object_set_new(o, "border_asked", json_boolean(ym_border_asked(t->border)));
    json_object_set_new(o, "border_why_not", json_string(ym_border_why_not(t->border)));
    json_object_set_new(o, "waits", ym_trainer_waits(t));
    json_object_set_new(o, "budgets", budgets_json(t));
    json_object_set_new(o, "week", week_json(t, ym_clock_unix()));
    json_object_set_new(o, "expires", expires_json(t));
    json_object_set_new(o, "pending", pending_json(t));
    json_object_set_new(o, "people", people_json(t));
    json_object_set_new(o, "year", json_integer(ym_year_of(ym_clock_unix())));
    json_object_set_new(o, "policy_signed", json_boolean(t->policy != NULL));
    json_object_set_new(o, "rulesets", json_integer((json_int_t)ym_border_rules_count(t->border)));
    return o;
}
