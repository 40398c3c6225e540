#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cmd/yumen/commands.h"
#include "cmd/yumen/plan.h"
#include "cmd/yumen/print.h"

enum { PATH_BYTES = 256 }; /* keys of a plan and one name of at most 63 */

/* ---- what differs: [{path, old, new}], null for what is not there ---- */

static json_t *value_or_null(json_t *v)
{
    return v != NULL ? json_incref(v) : json_null();
}

static void add_change(json_t *changes, const char *path, json_t *old, json_t *new)
{
    json_array_append_new(
        changes, json_pack("{s:s,s:o,s:o}", "path", path, "old", value_or_null(old), "new", value_or_null(new)));
}

static void compare(json_t *changes, const char *path, json_t *old, json_t *new);

static void compare_member(json_t *changes, const char *path, const char *key, json_t *old, json_t *new)
{
    char at[PATH_BYTES];

    snprintf(at, sizeof at, "%s%s%s", path, *path != '\0' ? "." : "", key);
    compare(changes, at, json_object_get(old, key), json_object_get(new, key));
}

static void compare_objects(json_t *changes, const char *path, json_t *old, json_t *new)
{
    const char *key;
    json_t *value;

    json_object_foreach(old, key, value)
    {
        compare_member(changes, path, key, old, new);
    }
    json_object_foreach(new, key, value)
    {
        if (json_object_get(old, key) == NULL)
            compare_member(changes, path, key, old, new);
    }
}

static const char *name_of(const json_t *item)
{
    return json_string_value(json_object_get(item, "name"));
}

/* Variables and hospitals: a checked plan names each of them once. */
static bool is_named_list(const json_t *list)
{
    size_t i;
    json_t *item;

    if (json_array_size(list) == 0)
        return false;
    json_array_foreach(list, i, item)
    {
        if (name_of(item) == NULL)
            return false;
    }
    return true;
}

static json_t *find_named(const json_t *list, const char *name)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item)
    {
        if (strcmp(name_of(item), name) == 0)
            return item;
    }
    return NULL;
}

/* Names of list that other has too, in the order of list. */
static json_t *shared_names(const json_t *list, const json_t *other)
{
    json_t *names = json_array(), *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (find_named(other, name_of(item)) != NULL)
            json_array_append(names, json_object_get(item, "name"));
    }
    return names;
}

static void compare_named(json_t *changes, const char *path, json_t *old, json_t *new)
{
    json_t *old_order = shared_names(old, new), *new_order = shared_names(new, old), *item;
    char at[PATH_BYTES];
    size_t i;

    json_array_foreach(old, i, item)
    {
        snprintf(at, sizeof at, "%s[%s]", path, name_of(item));
        compare(changes, at, item, find_named(new, name_of(item)));
    }
    json_array_foreach(new, i, item)
    {
        snprintf(at, sizeof at, "%s[%s]", path, name_of(item));
        if (find_named(old, name_of(item)) == NULL)
            compare(changes, at, NULL, item);
    }
    if (!json_equal(old_order, new_order))
        add_change(changes, path, old_order, new_order);
    json_decref(old_order);
    json_decref(new_order);
}

static void compare(json_t *changes, const char *path, json_t *old, json_t *new)
{
    if (json_equal(old, new))
        return;
    if (json_is_object(old) && json_is_object(new))
        compare_objects(changes, path, old, new);
    else if (is_named_list(old) && is_named_list(new))
        compare_named(changes, path, old, new);
    else
        add_change(changes, path, old, new);
}

static enum ym_code changes_of(const struct ym_plan *old, const struct ym_plan *new, json_t **out, struct ym_status *st)
{
    json_t *a = NULL, *b = NULL;
    enum ym_code code = ym_json_parse(old->canonical.data, old->canonical.len, YM_PLAN_MAX_BYTES, &a, st);

    if (code == YM_OK)
        code = ym_json_parse(new->canonical.data, new->canonical.len, YM_PLAN_MAX_BYTES, &b, st);
    if (code == YM_OK) {
        *out = json_array();
        compare(*out, "", a, b);
    }
    json_decref(a);
    json_decref(b);
    return code;
}

/* ---- what is printed ---- */

/* Text as it is, for decimals are text; all else as JSON. */
static void format_value(struct ym_buf *out, const json_t *v)
{
    char *text = NULL;

    if (json_is_null(v)) {
        ym_buf_puts(out, T(SPONSOR_DIFF_ABSENT));
    } else if (json_is_string(v) && json_string_length(v) > 0) {
        ym_buf_puts(out, json_string_value(v));
    } else {
        text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        ym_buf_puts(out, text != NULL ? text : "");
    }
    free(text);
}

static void print_change(const json_t *change)
{
    struct ym_buf old = {0}, new = {0};

    format_value(&old, json_object_get(change, "old"));
    format_value(&new, json_object_get(change, "new"));
    printf("%s: %s -> %s\n", json_string_value(json_object_get(change, "path")), ym_buf_str(&old), ym_buf_str(&new));
    ym_buf_release(&old);
    ym_buf_release(&new);
}

struct side {
    struct ym_plan *plan;
    struct ym_plan_cost cost;
    struct ym_buf epsilon, delta, hash; /* as people read them */
};

static enum ym_code side_measure(struct side *s, struct ym_status *st)
{
    enum ym_code code = ym_plan_cost_of(s->plan, &s->cost, st);

    ym_print_micro(&s->epsilon, s->cost.epsilon_micro);
    ym_decimal_format(s->plan->delta, &s->delta);
    ym_hex_encode(s->plan->hash, sizeof s->plan->hash, &s->hash);
    return code;
}

static void side_release(struct side *s)
{
    ym_plan_free(s->plan);
    ym_buf_release(&s->epsilon);
    ym_buf_release(&s->delta);
    ym_buf_release(&s->hash);
}

static void print_text(const json_t *changes, const struct side *old, const struct side *new)
{
    size_t i;
    json_t *change;

    if (json_array_size(changes) == 0) {
        printf(T(SPONSOR_DIFF_SAME), ym_buf_str(&old->hash));
        return;
    }
    json_array_foreach(changes, i, change)
    {
        print_change(change);
    }
    printf(T(SPONSOR_DIFF_COUNT), json_array_size(changes));
    printf(T(SPONSOR_DIFF_COST), ym_buf_str(&old->epsilon), ym_buf_str(&old->delta), ym_buf_str(&new->epsilon),
           ym_buf_str(&new->delta));
    printf(T(SPONSOR_DIFF_BYTES), (unsigned long long)old->cost.update_bytes, old->plan->rounds,
           (unsigned long long)new->cost.update_bytes, new->plan->rounds);
    printf(T(SPONSOR_DIFF_HASH), ym_buf_str(&old->hash), ym_buf_str(&new->hash));
}

static void print_sides(json_t *changes, const struct side *old, const struct side *new, bool json)
{
    json_t *o;

    if (!json) {
        print_text(changes, old, new);
        return;
    }
    o = json_pack("{s:b,s:b,s:O,s:o,s:o}", "ok", 1, "same", json_array_size(changes) == 0, "changes", changes, "old",
                  ym_json_plan_cost(old->plan, &old->cost), "new", ym_json_plan_cost(new->plan, &new->cost));
    ym_print_json(o);
    json_decref(o);
}

/* Both plans are read even when the first has problems: all are told at once. */
static enum ym_code open_both(const struct ym_cli_args *a, struct side *old, struct side *new,
                              struct ym_problems *problems, struct ym_status *st)
{
    enum ym_code first = ym_plan_open(a->positional[0], &old->plan, problems, st), code;

    if (first != YM_OK && problems->count == 0)
        return first;
    code = ym_plan_open(a->positional[1], &new->plan, problems, st);
    return code != YM_OK ? code : first;
}

int ym_cmd_plan_diff(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_problems problems = {0};
    struct side old = {0}, new = {0};
    json_t *changes = NULL;
    bool json = ym_cli_has(a, "json");
    enum ym_code code = open_both(a, &old, &new, &problems, &st);
    int rc;

    if (code == YM_INVALID && problems.count > 0) {
        ym_print_problems(&problems, json);
        rc = YM_EXIT_USAGE;
        goto out;
    }
    if (code == YM_OK)
        code = side_measure(&old, &st);
    if (code == YM_OK)
        code = side_measure(&new, &st);
    if (code == YM_OK)
        code = changes_of(old.plan, new.plan, &changes, &st);
    if (code != YM_OK) {
        rc = ym_cli_fail("yumen", &st);
        goto out;
    }
    print_sides(changes, &old, &new, json);
    rc = json_array_size(changes) == 0 ? YM_EXIT_DONE : YM_EXIT_NO;
out:
    json_decref(changes);
    side_release(&old);
    side_release(&new);
    ym_problems_release(&problems);
    return rc;
}
