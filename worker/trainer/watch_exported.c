#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "worker/trainer/watch_internal.h"

static struct ym_exported *find_exported(const struct ym_view *v, const struct ym_exported *e)
{
    for (size_t i = 0; i < v->exported_count; i++) {
        struct ym_exported *x = &v->exported[i];

        if (x->year == e->year && memcmp(x->exporter, e->exporter, sizeof x->exporter) == 0 &&
            strcmp(x->by, e->by) == 0)
            return x;
    }
    return NULL;
}

enum ym_code ym_view_export(struct ym_view *v, const struct ym_exported *e)
{
    struct ym_exported *known = find_exported(v, e), *grown;

    if (known) {
        known->people = e->people > known->people ? e->people : known->people;
        return YM_OK;
    }
    if (v->exported_count == YM_WATCH_EXPORTED) {
        v->people_unknown = true;
        return YM_OK;
    }
    grown = reallocarray(v->exported, v->exported_count + 1, sizeof *grown);
    if (!grown)
        return YM_EXHAUSTED;
    v->exported = grown;
    v->exported[v->exported_count++] = *e;
    return YM_OK;
}

static bool read_year(const json_t *entry, struct ym_exported *e)
{
    return ym_json_get_int(entry, "year", 1970, 9999, &e->year, NULL) == YM_OK &&
           ym_json_get_int(entry, "people", 0, INT32_MAX, &e->people, NULL) == YM_OK;
}

enum ym_code ym_view_charge(struct ym_view *v, const json_t *charge)
{
    const json_t *people = json_object_get(charge, "people"), *entry;
    struct ym_exported e = {0};
    const char *by = "";
    size_t i;
    enum ym_code code = YM_OK;
    bool good = ym_json_get_str(charge, "by", &by, NULL) == YM_OK && ym_name_valid(by) &&
                ym_json_get_hash(charge, "exporter", e.exporter, NULL) == YM_OK && json_array_size(people) > 0;

    if (good)
        snprintf(e.by, sizeof e.by, "%s", by);
    json_array_foreach(people, i, entry)
    {
        good = good && read_year(entry, &e);
        if (good && code == YM_OK)
            code = ym_view_export(v, &e);
    }
    v->people_unknown |= !good;
    return code;
}

bool ym_watch_others(const struct ym_watch *w, void (*visit)(void *ctx, const struct ym_exported *e), void *ctx)
{
    for (size_t i = 0; i < w->checked.exported_count; i++)
        visit(ctx, &w->checked.exported[i]);
    return !w->checked.people_unknown && !ym_watch_halted(w);
}
