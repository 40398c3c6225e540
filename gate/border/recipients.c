#include "gate/border/recipients.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "gate/plan.h"
#include "gate/schema.h"

#define BASE64_MAX (4 * ((YM_RECIPIENT_DER_MAX + 2) / 3) + 1)

static bool in_plan(const struct ym_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->site_count; i++)
        if (strcmp(plan->site[i].name, name) == 0)
            return true;
    return false;
}

static void read_certificate(struct ym_schema *s, const struct ym_at *item, struct ym_plan_recipient *r)
{
    char text[BASE64_MAX];
    struct ym_buf der = {0};
    struct ym_party who = {0};

    if (!ym_schema_text(s, item, "certificate", NULL, text, sizeof text))
        return;
    if (ym_base64_decode(text, strlen(text), &der) != YM_OK || der.len > sizeof r->der ||
        ym_recipient_read(ym_buf_bytes(&der), &who, NULL) != YM_OK) {
        ym_schema_say(s, item, "certificate", "%s", T(RECIPIENT_CERTIFICATE));
    } else if (strcmp(who.name, r->name) != 0) {
        ym_schema_say(s, item, "certificate", T(RECIPIENT_OTHER), who.name);
    } else {
        memcpy(r->der, der.data, der.len);
        r->der_len = der.len;
    }
    ym_buf_release(&der);
}

static void read_one(struct ym_schema *s, const struct ym_at *item, const struct ym_plan *plan,
                     struct ym_plan_recipients *out)
{
    static const char *const keys[] = {"name", "certificate", NULL};
    struct ym_plan_recipient *r = &out->item[out->count];

    ym_schema_keys(s, item, keys);
    if (!ym_schema_name(s, item, "name", r->name))
        return;
    if (!in_plan(plan, r->name))
        ym_schema_say(s, item, "name", T(RECIPIENT_NOT_IN_PLAN), r->name);
    for (size_t i = 0; i < out->count; i++)
        if (strcmp(out->item[i].name, r->name) == 0)
            ym_schema_say(s, item, "name", T(PLAN_DUPLICATE_SITE), r->name);
    read_certificate(s, item, r);
    out->count++;
}

void ym_recipients_read(struct ym_schema *s, const struct ym_at *border, bool domestic_only, const struct ym_plan *plan,
                        struct ym_plan_recipients *out)
{
    struct ym_at list;
    size_t count;

    if (!domestic_only && ym_schema_has(border, "recipients"))
        ym_schema_say(s, border, "recipients", "%s", T(RECIPIENTS_OPEN));
    if (!domestic_only)
        return;
    list = ym_schema_list(s, border, "recipients", 1, YM_RECIPIENTS_MAX);
    count = ym_schema_count(&list);
    out->item = count ? calloc(count, sizeof *out->item) : NULL;
    s->exhausted |= count && !out->item;
    for (size_t i = 0; i < count && out->item; i++) {
        struct ym_at item = ym_schema_item(s, &list, i);

        read_one(s, &item, plan, out);
    }
}

void ym_recipients_release(struct ym_plan_recipients *r)
{
    free(r->item);
    *r = (struct ym_plan_recipients){0};
}
