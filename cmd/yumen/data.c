#include <stdio.h>
#include <string.h>

#include "audit/ledger/leaf.h"
#include "base/json.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/party.h"
#include "cmd/yumen/print.h"
#include "proto/message.h"

#define NAMES_SHOWN 8 /* of a card's variables; --json gives all */

static enum ym_code list_data(struct ym_party_home *h, const struct ym_plan *plan, Yumen__V1__ListDataReply **reply,
                              struct ym_status *st)
{
    Yumen__V1__ListDataRequest request = YUMEN__V1__LIST_DATA_REQUEST__INIT;

    if (plan != NULL)
        request.plan = ym_message_bytes(plan->canonical.data, plan->canonical.len);
    return ym_home_call(h, "/yumen.v1.Sponsor/ListData", &request, &yumen__v1__list_data_reply__descriptor, reply, st);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text == NULL ? "" : text;
}

static void print_variables(const json_t *card)
{
    const json_t *list = json_object_get(card, "variables");
    size_t count = json_array_size(list);

    printf(T(SPONSOR_DATA_VARIABLES), count);
    for (size_t i = 0; i < count && i < NAMES_SHOWN; i++)
        printf("%s%s", i == 0 ? "" : ", ", text_of(json_array_get(list, i), "name"));
    puts(count > NAMES_SHOWN ? ", ..." : "");
}

static void print_set(const Yumen__V1__DataSet *d, const json_t *leaf, bool matched)
{
    const json_t *card = json_object_get(leaf, "public");

    printf("%s  %s  %s  [%s, %s]\n", d->hospital, text_of(leaf, "dataset"), text_of(card, "title"),
           text_of(card, "size_class"), text_of(card, "tier"));
    print_variables(card);
    if (matched && d->fits)
        puts(T(SPONSOR_DATA_FITS));
    else if (matched)
        printf(T(SPONSOR_DATA_WHY_NOT), d->why_not);
}

static json_t *set_json(const Yumen__V1__DataSet *d, json_t *leaf, bool matched)
{
    json_t *o = json_pack("{s:s,s:O,s:O}", "hospital", d->hospital, "dataset", json_object_get(leaf, "dataset"),
                          "public", json_object_get(leaf, "public"));

    if (o != NULL && matched) {
        json_object_set_new(o, "fits", json_boolean(d->fits));
        json_object_set_new(o, "why_not", json_string(d->why_not));
    }
    return o;
}

static enum ym_code print_sets(const Yumen__V1__ListDataReply *reply, bool matched, bool json, struct ym_status *st)
{
    json_t *list = json_array(), *leaf;
    enum ym_code code = YM_OK;

    for (size_t i = 0; i < reply->n_data_set && code == YM_OK; i++) {
        const Yumen__V1__DataSet *d = reply->data_set[i];

        code = ym_leaf_parse(ym_message_view(d->card_leaf), &leaf, st);
        if (code != YM_OK)
            break;
        if (json)
            json_array_append_new(list, set_json(d, leaf, matched));
        else
            print_set(d, leaf, matched);
        json_decref(leaf);
    }
    if (code == YM_OK && !json && reply->n_data_set == 0)
        puts(T(SPONSOR_DATA_NONE));
    if (code == YM_OK && json) {
        json_t *o = json_pack("{s:O}", "data", list);

        ym_print_json(o);
        json_decref(o);
    }
    json_decref(list);
    return code;
}

int ym_cmd_data_list(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_party_home home = {0};
    struct ym_plan *plan = NULL;
    Yumen__V1__ListDataReply *reply = NULL;
    const char *path = ym_cli_get(a, "plan");
    enum ym_code code = path == NULL ? YM_OK : ym_plan_load(path, &plan, &st);

    if (code == YM_OK)
        code = ym_home_open(ym_home_dir(a), &home, &st);
    if (code == YM_OK)
        code = list_data(&home, plan, &reply, &st);
    if (code == YM_OK)
        code = print_sets(reply, plan != NULL, ym_cli_has(a, "json"), &st);
    ym_message_free(reply);
    ym_plan_free(plan);
    ym_home_close(&home);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail("yumen", &st);
}
