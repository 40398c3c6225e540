#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cmd/yumen/plan.h"

/* What nothing follows from but the sponsor's own word; "ai_sections" follows from the section `ai`. */
static bool sponsor_declares(enum ym_choice c)
{
    return ym_choice_office(c) == YM_OFFICE_SPONSOR;
}

static void list_choice(struct ym_buf *out, const char *word, const char *value)
{
    ym_buf_printf(out, "%s%s%s%s", out->len > 0 ? ", " : "", word, value ? " " : "", value ? value : "");
}

static void names_of(const struct ym_plan_recipients *r, struct ym_buf *out)
{
    for (size_t i = 0; i < r->count; i++)
        list_choice(out, r->item[i].name, NULL);
}

void ym_print_border(const struct ym_plan *plan)
{
    const struct ym_plan_border *b = &plan->border;
    struct ym_buf known = {0}, unknown = {0}, names = {0};

    for (int c = 0; c < YM_CHOICE_COUNT; c++)
        if (sponsor_declares(c) && b->declared.choice[c] != 0)
            list_choice(&known, ym_choice_word(c), ym_choice_value(c, b->declared.choice[c]));
        else if (sponsor_declares(c))
            list_choice(&unknown, ym_choice_word(c), NULL);
    names_of(&b->recipients, &names);
    if (!b->given)
        fputs(T(SPONSOR_BORDER_ABSENT), stdout);
    else if (b->domestic_only)
        printf(T(SPONSOR_BORDER_KEPT), b->recipient, b->storage, ym_buf_str(&names));
    else
        printf(T(SPONSOR_BORDER_OPEN), b->recipient, b->storage);
    if (known.len > 0)
        printf(T(SPONSOR_BORDER_KNOWN), ym_buf_str(&known));
    if (b->given && unknown.len > 0)
        printf(T(SPONSOR_BORDER_UNKNOWN), ym_buf_str(&unknown));
    ym_buf_release(&known);
    ym_buf_release(&unknown);
    ym_buf_release(&names);
}

json_t *ym_json_border(const struct ym_plan *plan)
{
    const struct ym_plan_border *b = &plan->border;
    json_t *known = json_object(), *unknown = json_array(), *to = json_array();

    for (int c = 0; c < YM_CHOICE_COUNT; c++)
        if (sponsor_declares(c) && b->declared.choice[c] != 0)
            json_object_set_new(known, ym_choice_word(c), json_string(ym_choice_value(c, b->declared.choice[c])));
        else if (sponsor_declares(c))
            json_array_append_new(unknown, json_string(ym_choice_word(c)));
    for (size_t i = 0; i < b->recipients.count; i++)
        json_array_append_new(to, json_string(b->recipients.item[i].name));
    if (b->given)
        return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o}", "recipient", b->recipient, "storage", b->storage, "model_release",
                         b->domestic_only ? "domestic_only" : "open", "recipients", to, "declared", known, "unknown",
                         unknown);
    json_decref(known);
    json_decref(unknown);
    json_decref(to);
    return json_null();
}

static void show_texts(const json_t *section)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)section, key, value) if (json_is_string(value))
        printf("  %s: %s\n", key, json_string_value(value));
}

void ym_show_border(const struct ym_plan *plan)
{
    json_t *root = NULL, *border;

    if (!plan->border.given ||
        ym_json_parse(plan->canonical.data, plan->canonical.len, YM_PLAN_MAX_BYTES, &root, NULL) != YM_OK)
        return;
    border = json_object_get(root, "border");
    puts(T(SPONSOR_SHOW_BORDER));
    show_texts(border);
    if (json_object_get(border, "ai"))
        puts(T(SPONSOR_SHOW_DUTIES));
    show_texts(json_object_get(border, "ai"));
    json_decref(root);
}
