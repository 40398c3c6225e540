#include "audit/verify/terms.h"

#include <string.h>

enum { DAY = 1440, WEEK = 7 * DAY, CHINA_MIN = 8 * 60, THURSDAY = 3, SCORES_LEAST = 100, SCORES_MOST = 1000000000 };

static bool is_text(const struct ym_vnode *n, const char *text)
{
    return n->kind == YM_V_TEXT && strlen(text) == n->text_len && memcmp(n->text, text, n->text_len) == 0;
}

static bool texts_good(const struct ym_vjson *j, const struct ym_vnode *list)
{
    bool good = list && list->kind == YM_V_ARRAY && list->count > 0;

    for (const struct ym_vnode *n = good ? ym_vjson_first(j, list) : NULL; n && good; n = ym_vjson_next(j, n))
        good = n->kind == YM_V_TEXT && strlen(n->text) == n->text_len;
    return good;
}

/* "any", or texts. */
static bool list_good(const struct ym_vjson *j, const struct ym_vnode *object, const char *key)
{
    const struct ym_vnode *n = ym_vjson_get(j, object, key);

    return n && (is_text(n, "any") || texts_good(j, n));
}

static bool lists(const struct ym_vjson *j, const struct ym_vnode *list, const char *word)
{
    for (const struct ym_vnode *n = list && list->kind == YM_V_ARRAY ? ym_vjson_first(j, list) : NULL; n;
         n = ym_vjson_next(j, n))
        if (is_text(n, word))
            return true;
    return false;
}

static bool allows(const struct ym_vjson *j, const struct ym_vnode *list, const char *word)
{
    return list && (is_text(list, "any") || lists(j, list, word));
}

static bool columns_good(const struct ym_vjson *j, const struct ym_vnode *columns)
{
    const struct ym_vnode *never = columns ? ym_vjson_get(j, columns, "never") : NULL;

    return columns && columns->kind == YM_V_OBJECT && columns->count == (never ? 3 : 2) &&
           list_good(j, columns, "inputs") && list_good(j, columns, "outcomes") && (!never || texts_good(j, never));
}

/* HH:MM, to 24:00; -1. */
static int64_t minutes_of(const struct ym_vnode *n)
{
    const char *t = n && n->kind == YM_V_TEXT && n->text_len == 5 ? n->text : "";
    int64_t hour, minute;

    if (strlen(t) != 5 || strspn(t, "0123456789") != 2 || t[2] != ':' || strspn(t + 3, "0123456789") != 2)
        return -1;
    hour = (t[0] - '0') * 10 + t[1] - '0';
    minute = (t[3] - '0') * 10 + t[4] - '0';
    return minute < 60 && hour * 60 + minute <= DAY ? hour * 60 + minute : -1;
}

static unsigned days_of(const struct ym_vjson *j, const struct ym_vnode *list)
{
    static const char *const word[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    unsigned bits = 0;

    for (unsigned d = 0; d < 7; d++)
        if (allows(j, list, word[d]))
            bits |= 1u << d;
    return bits;
}

static bool read_window(struct ym_vterms *t, const struct ym_vnode *n)
{
    const struct ym_vjson *j = &t->json;
    int64_t from, to;

    if (t->window_count == YM_VTERMS_WINDOWS || n->kind != YM_V_OBJECT || n->count != 3 || !list_good(j, n, "days"))
        return false;
    t->window[t->window_count].days = days_of(j, ym_vjson_get(j, n, "days"));
    t->window[t->window_count].from = minutes_of(ym_vjson_get(j, n, "from"));
    t->window[t->window_count].to = minutes_of(ym_vjson_get(j, n, "to"));
    from = t->window[t->window_count].from;
    to = t->window[t->window_count++].to;
    return from >= 0 && from < DAY && to >= 0 && from != to;
}

static bool read_hours(struct ym_vterms *t, const struct ym_vnode *hours)
{
    bool good = hours && hours->kind == YM_V_ARRAY && hours->count > 0;

    if (hours && is_text(hours, "any"))
        return true;
    for (const struct ym_vnode *n = good ? ym_vjson_first(&t->json, hours) : NULL; n && good;
         n = ym_vjson_next(&t->json, n))
        good = read_window(t, n);
    return good;
}

/* What this program does not know might narrow what it knows. Those that may be missing are
 * about what a hospital does for itself. */
static bool members_known(const struct ym_vjson *j, const struct ym_vnode *root)
{
    static const char *const must[] = {"columns", "cpu_threads", "epsilon_study_micro", "hours",   "memory_mib",
                                       "models",  "purposes",    "recipients",          "sponsors"};
    static const char *const may[] = {"inference"};
    size_t known = 0;

    for (size_t i = 0; i < sizeof must / sizeof *must; i++, known++)
        if (!ym_vjson_get(j, root, must[i]))
            return false;
    for (size_t i = 0; i < sizeof may / sizeof *may; i++)
        known += ym_vjson_get(j, root, may[i]) != NULL;
    return root->count == known;
}

/* "any", or a number in that range. */
static bool most_good(const struct ym_vjson *j, const struct ym_vnode *root, const char *key, int64_t low, int64_t high)
{
    const struct ym_vnode *n = ym_vjson_get(j, root, key);

    return is_text(n, "any") || (n->kind == YM_V_INT && n->integer >= low && n->integer <= high);
}

/* Scores of models at the hospital: none where nothing is said. */
static bool read_inference(struct ym_vterms *t, const struct ym_vnode *n)
{
    const struct ym_vnode *basis, *rows;

    t->score_basis = "";
    if (!n)
        return true;
    basis = n->kind == YM_V_OBJECT && n->count == 2 ? ym_vjson_get(&t->json, n, "basis") : NULL;
    rows = basis ? ym_vjson_get(&t->json, n, "rows_per_hour") : NULL;
    if (!rows || !(is_text(basis, "consent") || is_text(basis, "treatment")) || rows->kind != YM_V_INT ||
        rows->integer < SCORES_LEAST || rows->integer > SCORES_MOST)
        return false;
    t->score_basis = basis->text;
    t->score_rows_hour = rows->integer;
    return true;
}

static bool read_all(struct ym_vterms *t)
{
    static const char *const list[] = {"sponsors", "purposes", "models", "recipients"};
    const struct ym_vnode *root = ym_vjson_root(&t->json), *study = ym_vjson_get(&t->json, root, "epsilon_study_micro");
    bool good = members_known(&t->json, root) && study->kind == YM_V_INT;

    for (size_t i = 0; good && i < sizeof list / sizeof *list; i++)
        good = list_good(&t->json, root, list[i]);
    good = good && most_good(&t->json, root, "cpu_threads", 1, 64) &&
           most_good(&t->json, root, "memory_mib", 128, 16777216);
    t->study_micro = good ? study->integer : 0;
    return good && columns_good(&t->json, ym_vjson_get(&t->json, root, "columns")) &&
           read_hours(t, ym_vjson_get(&t->json, root, "hours")) &&
           read_inference(t, ym_vjson_get(&t->json, root, "inference"));
}

bool ym_vterms_read(const struct ym_entry *policy, struct ym_vterms *out)
{
    struct ym_bytes text;
    const char *why;

    *out = (struct ym_vterms){0};
    if (!ym_entry_spelled(policy, "terms", &text))
        return true;
    if (!ym_vjson_parse(text, &out->json, &why)) /* it was parsed before, within a larger value */
        return false;
    out->good = read_all(out);
    return true;
}

void ym_vterms_release(struct ym_vterms *t)
{
    ym_vjson_release(&t->json);
    *t = (struct ym_vterms){0};
}

bool ym_vterms_name(const struct ym_vterms *t, const char *list, const char *word)
{
    return t->good && allows(&t->json, ym_vjson_get(&t->json, ym_vjson_root(&t->json), list), word);
}

bool ym_vterms_column(const struct ym_vterms *t, const char *list, const char *name)
{
    const struct ym_vnode *columns = t->good ? ym_vjson_get(&t->json, ym_vjson_root(&t->json), "columns") : NULL;

    return columns && allows(&t->json, ym_vjson_get(&t->json, columns, list), name) &&
           !lists(&t->json, ym_vjson_get(&t->json, columns, "never"), name);
}

bool ym_vterms_open(const struct ym_vterms *t, int64_t unix_s)
{
    int64_t minute = ((unix_s / 60 + CHINA_MIN) % WEEK + THURSDAY * DAY) % WEEK; /* the first of January 1970 */
    bool open = t->window_count == 0;

    for (size_t i = 0; i < t->window_count; i++)
        for (int d = 0; d < 7; d++) {
            int64_t since = (minute - d * DAY - t->window[i].from + 2 * WEEK) % WEEK;
            int64_t length = (t->window[i].to - t->window[i].from + DAY - 1) % DAY + 1;

            open = open || (t->window[i].days >> d & 1 && since < length);
        }
    return t->good && open;
}
