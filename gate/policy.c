#include "gate/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "gate/plan_internal.h"
#include "gate/schema.h"

enum { DAY = 1440, WEEK = 7 * DAY, CHINA_S = 8 * 3600, TEXT_BYTES = 512 };
#define EPSILON_MOST_MICRO 1000000000
#define THREADS_MOST 64 /* base/pool.h */
#define MEMORY_LEAST 128
#define MEMORY_MOST 16777216
#define MODEL_BYTES 44 /* a parameter: of the state, the iterate, one patient's gradient, the sum, the update */

static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};

/* ---- reading ---- */

typedef void (*check_fn)(struct ym_schema *s, const struct ym_at *list, size_t i, const char *text);

static void check_name(struct ym_schema *s, const struct ym_at *list, size_t i, const char *text)
{
    if (!ym_name_valid(text))
        ym_schema_say_item(s, list, i, NULL, "%s", T(SCHEMA_NOT_NAME));
}

static void check_family(struct ym_schema *s, const struct ym_at *list, size_t i, const char *text)
{
    for (int f = YM_FAMILY_LINEAR; f <= YM_FAMILY_COX; f++)
        if (strcmp(text, ym_plan_family_word((enum ym_family)f)) == 0)
            return;
    ym_schema_say_item(s, list, i, NULL, T(POLICY_FAMILY), text);
}

static void check_day(struct ym_schema *s, const struct ym_at *list, size_t i, const char *text)
{
    for (size_t d = 0; days[d]; d++)
        if (strcmp(text, days[d]) == 0)
            return;
    ym_schema_say_item(s, list, i, NULL, T(POLICY_DAY), text);
}

static void read_items(struct ym_schema *s, const struct ym_at *at, const char *key, size_t most, check_fn check)
{
    struct ym_at list = ym_schema_list(s, at, key, 1, most);

    for (size_t i = 0; i < ym_schema_count(&list); i++) {
        char text[TEXT_BYTES];

        if (ym_schema_item_text(s, &list, i, text, sizeof text) && check)
            check(s, &list, i, text);
    }
}

/* True: the word "any", or a mistake that was said; else it is a list. */
static bool read_any(struct ym_schema *s, const struct ym_at *at, const char *key)
{
    struct ym_at place = ym_schema_peek(s, at, key);
    char text[TEXT_BYTES];

    if (!at->value || json_is_array(place.value))
        return false;
    if (ym_schema_text(s, at, key, NULL, text, sizeof text) && strcmp(text, "any") != 0)
        ym_schema_say(s, at, key, "%s", T(POLICY_ANY_OR_LIST));
    return true;
}

static void read_list(struct ym_schema *s, const struct ym_at *at, const char *key, size_t most, check_fn check)
{
    if (!read_any(s, at, key))
        read_items(s, at, key, most, check);
}

static bool clock_of(const char *text, uint16_t *minutes)
{
    bool form =
        strlen(text) == 5 && text[2] == ':' && strspn(text, "0123456789") == 2 && strspn(text + 3, "0123456789") == 2;
    int hour = form ? (text[0] - '0') * 10 + text[1] - '0' : 99,
        minute = form ? (text[3] - '0') * 10 + text[4] - '0' : 99;

    *minutes = (uint16_t)(hour * 60 + minute);
    return form && minute < 60 && *minutes <= DAY;
}

static void read_clock(struct ym_schema *s, const struct ym_at *at, const char *key, uint16_t *minutes)
{
    char text[64];

    if (ym_schema_text(s, at, key, NULL, text, sizeof text) && !clock_of(text, minutes))
        ym_schema_say(s, at, key, "%s", T(POLICY_CLOCK));
}

static uint8_t days_of(const json_t *list)
{
    const json_t *item;
    uint8_t bits = 0;
    size_t i;

    if (!json_is_array(list))
        return 0x7f;
    json_array_foreach(list, i, item)
    {
        for (size_t d = 0; days[d] && json_is_string(item); d++)
            if (strcmp(days[d], json_string_value(item)) == 0)
                bits |= (uint8_t)(1u << d);
    }
    return bits;
}

static void read_window(struct ym_schema *s, struct ym_at *list, size_t i, struct ym_policy_window *w)
{
    static const char *const keys[] = {"days", "from", "to", NULL};
    struct ym_at at = ym_schema_item(s, list, i);

    ym_schema_keys(s, &at, keys);
    read_list(s, &at, "days", 7, check_day);
    w->days = days_of(json_object_get(at.value, "days"));
    w->to = 1;
    read_clock(s, &at, "from", &w->from);
    read_clock(s, &at, "to", &w->to);
    if (w->from == w->to || w->from == DAY)
        ym_schema_say(s, &at, "from", "%s", T(POLICY_HOURS_EMPTY));
}

static void read_hours(struct ym_schema *s, const struct ym_at *root, struct ym_policy *p)
{
    struct ym_at list;

    if (read_any(s, root, "hours"))
        return;
    list = ym_schema_list(s, root, "hours", 1, YM_POLICY_MOST_WINDOWS);
    p->window_count = ym_schema_count(&list);
    for (size_t i = 0; i < p->window_count; i++)
        read_window(s, &list, i, &p->window[i]);
}

static void read_columns(struct ym_schema *s, const struct ym_at *root)
{
    static const char *const keys[] = {"inputs", "outcomes", "never", NULL};
    struct ym_at at = ym_schema_object(s, root, "columns", true);

    ym_schema_keys(s, &at, keys);
    read_list(s, &at, "inputs", YM_POLICY_MOST_NAMES, check_name);
    read_list(s, &at, "outcomes", YM_POLICY_MOST_NAMES, check_name);
    if (ym_schema_has(&at, "never"))
        read_items(s, &at, "never", YM_POLICY_MOST_NAMES, check_name);
}

/* 0: any */
static void read_most(struct ym_schema *s, const struct ym_at *at, const char *key, int64_t low, int64_t high,
                      int64_t *out)
{
    struct ym_at place = ym_schema_peek(s, at, key);
    char text[TEXT_BYTES];

    if (!json_is_string(place.value))
        ym_schema_int(s, at, key, NULL, low, high, out);
    else if (ym_schema_text(s, at, key, NULL, text, sizeof text) && strcmp(text, "any") != 0)
        ym_schema_say(s, at, key, T(POLICY_ANY_OR_NUMBER), (long long)low, (long long)high);
}

static const char *const bases[] = {"none", "consent", "treatment", NULL};

const char *ym_score_basis_word(enum ym_score_basis b)
{
    return bases[b];
}

static void read_inference(struct ym_schema *s, const struct ym_at *root, struct ym_policy *p)
{
    static const char *const keys[] = {"basis", "rows_per_hour", NULL};
    struct ym_at at;
    size_t basis = 0;

    if (!ym_schema_has(root, "inference"))
        return;
    at = ym_schema_object(s, root, "inference", true);
    ym_schema_keys(s, &at, keys);
    if (ym_schema_choice(s, &at, "basis", NULL, bases + 1, &basis))
        p->scores = (enum ym_score_basis)(basis + 1);
    ym_schema_int(s, &at, "rows_per_hour", NULL, 100, 1000000000, &p->score_rows_hour);
}

static void read_terms(struct ym_schema *s, const struct ym_at *root, struct ym_policy *p)
{
    read_list(s, root, "sponsors", YM_POLICY_MOST_NAMES, check_name);
    read_list(s, root, "purposes", YM_POLICY_MOST_NAMES, NULL);
    read_list(s, root, "models", YM_FAMILY_COX, check_family);
    read_columns(s, root);
    read_list(s, root, "recipients", YM_POLICY_MOST_NAMES, NULL);
    read_hours(s, root, p);
    read_most(s, root, "cpu_threads", 1, THREADS_MOST, &p->cpu_threads);
    read_most(s, root, "memory_mib", MEMORY_LEAST, MEMORY_MOST, &p->memory_mib);
    read_inference(s, root, p);
}

static int64_t micro_down(struct ym_decimal d)
{
    return (int64_t)(d.scaled / 1000000000000);
}

static void read_epsilon(struct ym_schema *s, const struct ym_at *root, struct ym_policy_figures *f,
                         struct ym_policy *p)
{
    static const char *const keys[] = {"lifetime", "study", "month", NULL};
    static const struct ym_decimal_range range = {"0.001", "1000", false};
    struct ym_decimal study = {0};
    struct ym_at at = ym_schema_object(s, root, "epsilon", true);

    ym_schema_keys(s, &at, keys);
    if (!ym_schema_decimal(s, &at, "lifetime", NULL, &range, &f->epsilon_lifetime) ||
        !ym_schema_decimal(s, &at, "study", NULL, &range, &study) ||
        !ym_schema_decimal(s, &at, "month", NULL, &range, &f->epsilon_month))
        return;
    if (study.scaled > f->epsilon_lifetime.scaled)
        ym_schema_say(s, &at, "study", "%s", T(POLICY_EPSILON_ORDER));
    if (f->epsilon_month.scaled > f->epsilon_lifetime.scaled)
        ym_schema_say(s, &at, "month", "%s", T(POLICY_EPSILON_ORDER));
    p->epsilon_study_micro = micro_down(study);
}

static void read_file(struct ym_schema *s, struct ym_policy_figures *f, struct ym_policy *p)
{
    static const char *const keys[] = {
        "yumen",   "epsilon",    "delta", "min_patients", "sponsors",   "purposes",  "models",
        "columns", "recipients", "hours", "cpu_threads",  "memory_mib", "inference", NULL};
    static const struct ym_decimal_range delta = {"1e-15", "0.1", false};
    struct ym_at root = ym_schema_root(s);

    if (!ym_schema_version(s, &root, "policy/1", T(POLICY_VERSION)))
        return;
    ym_schema_keys(s, &root, keys);
    read_epsilon(s, &root, f, p);
    ym_schema_decimal(s, &root, "delta", NULL, &delta, &f->delta);
    ym_schema_int(s, &root, "min_patients", NULL, 1, 1000000000, &f->min_patients);
    read_terms(s, &root, p);
}

/* What is left of a file when its figures are taken out. */
static enum ym_code terms_of(struct ym_buf *canonical, struct ym_policy *p, struct ym_status *st)
{
    static const char *const figures[] = {"yumen", "epsilon", "delta", "min_patients"};
    enum ym_code code = ym_json_parse(canonical->data, canonical->len, YM_POLICY_MAX_BYTES, &p->terms, st);

    for (size_t i = 0; code == YM_OK && i < sizeof figures / sizeof *figures; i++)
        json_object_del(p->terms, figures[i]);
    if (code == YM_OK &&
        json_object_set_new(p->terms, "epsilon_study_micro", json_integer(p->epsilon_study_micro)) != 0)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory for a policy");
    return code;
}

static struct ym_policy *policy_new(struct ym_status *st)
{
    struct ym_policy *p = calloc(1, sizeof *p);

    if (!p)
        ym_status_set(st, YM_EXHAUSTED, "out of memory for a policy");
    return p;
}

enum ym_code ym_policy_read(const struct ym_doc *doc, struct ym_policy_figures *figures, struct ym_policy **out,
                            struct ym_problems *problems, struct ym_status *st)
{
    struct ym_policy_figures f = {0};
    struct ym_policy *p = policy_new(st);
    struct ym_buf canonical = {0};
    struct ym_schema s;
    enum ym_code code;

    if (!p)
        return YM_EXHAUSTED;
    ym_schema_begin(&s, doc, problems);
    read_file(&s, &f, p);
    code = ym_schema_end(&s, YM_POLICY_MAX_BYTES, &canonical, st);
    ym_schema_release(&s);
    if (code == YM_OK)
        code = terms_of(&canonical, p, st);
    ym_buf_release(&canonical);
    if (code != YM_OK) {
        ym_policy_free(p);
        return code;
    }
    *figures = f;
    *out = p;
    return YM_OK;
}

static void read_leaf(struct ym_schema *s, struct ym_policy *p)
{
    static const char *const keys[] = {
        "epsilon_study_micro", "sponsors",   "purposes",  "models", "columns", "recipients", "hours",
        "cpu_threads",         "memory_mib", "inference", NULL};
    struct ym_at root = ym_schema_root(s);

    ym_schema_keys(s, &root, keys);
    ym_schema_int(s, &root, "epsilon_study_micro", NULL, 0, EPSILON_MOST_MICRO, &p->epsilon_study_micro);
    read_terms(s, &root, p);
}

static bool same_bytes(json_t *value, const struct ym_buf *canonical)
{
    struct ym_buf own = {0};
    bool same = ym_json_canonical(value, &own, NULL) == YM_OK && own.len == canonical->len &&
                memcmp(own.data, canonical->data, own.len) == 0;

    ym_buf_release(&own);
    return same;
}

enum ym_code ym_policy_decode(json_t *terms, struct ym_policy **out, struct ym_status *st)
{
    struct ym_policy *p = policy_new(st);
    struct ym_doc *doc = p ? ym_doc_wrap("terms", terms) : NULL;
    struct ym_problems problems = {0};
    struct ym_buf canonical = {0};
    struct ym_schema s;
    enum ym_code code = YM_EXHAUSTED;

    if (doc) {
        ym_schema_begin(&s, doc, &problems);
        read_leaf(&s, p);
        code = ym_schema_end(&s, YM_POLICY_MAX_BYTES, &canonical, st);
        ym_schema_release(&s);
    }
    if (code == YM_OK && !same_bytes(terms, &canonical))
        code = ym_status_set(st, YM_INVALID, "a policy's terms are not canonical");
    if (code == YM_OK) {
        p->terms = json_incref(terms);
        *out = p;
    } else {
        ym_policy_free(p);
    }
    ym_buf_release(&canonical);
    ym_problems_release(&problems);
    ym_doc_free(doc);
    return code;
}

void ym_policy_free(struct ym_policy *p)
{
    if (!p)
        return;
    json_decref(p->terms);
    free(p);
}

/* ---- asking ---- */

const char *ym_policy_term_word(enum ym_policy_term t)
{
    static const char *const words[] = {
#define TERM(id, word) word,
        YM_POLICY_TERMS(TERM)
#undef TERM
    };

    return words[t];
}

const char *ym_policy_term_title(enum ym_policy_term t)
{
    static const enum ym_text_id titles[] = {
#define TERM(id, word) YM_TEXT_POLICY_TERM_##id,
        YM_POLICY_TERMS(TERM)
#undef TERM
    };

    return ym_text(titles[t]);
}

static bool lists(const json_t *list, const char *word)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), word) == 0)
            return true;
    }
    return false;
}

static bool any(const json_t *term)
{
    return json_is_string(term) && strcmp(json_string_value(term), "any") == 0;
}

static bool allowed(const json_t *term, const char *word)
{
    return any(term) || lists(term, word);
}

static bool put_words(struct ym_buf *out, const json_t *list)
{
    const json_t *item;
    bool good = true;
    size_t i;

    json_array_foreach(list, i, item)
    {
        good = good && ym_buf_printf(out, "%s%s", i ? ", " : "", json_string_value(item)) == YM_OK;
    }
    return good;
}

static bool put_term(struct ym_buf *out, const json_t *term)
{
    return any(term) ? ym_buf_puts(out, T(POLICY_ANY)) == YM_OK : put_words(out, term);
}

static bool put_columns(struct ym_buf *out, const json_t *columns, const char *key)
{
    const json_t *never = json_object_get(columns, "never");
    struct ym_buf list = {0};
    bool good = put_term(out, json_object_get(columns, key));

    if (good && never)
        good = put_words(&list, never) && ym_buf_printf(out, T(POLICY_NEVER), ym_buf_str(&list)) == YM_OK;
    ym_buf_release(&list);
    return good;
}

static bool column_allowed(const json_t *columns, const char *key, const char *name)
{
    return allowed(json_object_get(columns, key), name) && !lists(json_object_get(columns, "never"), name);
}

/* The two sides of a word, and the sentence when they do not fit: of "%s ... %s",
 * what is asked (unfit, where only a part of it is wrong) and what is allowed. */
static bool conclude(struct ym_policy_line *line, bool fits, enum ym_text_id why, const char *unfit)
{
    line->fits = fits;
    return fits || ym_buf_printf(&line->why, ym_text(why), unfit ? unfit : ym_buf_str(&line->asks),
                                 ym_buf_str(&line->says)) == YM_OK;
}

static bool compare_word(struct ym_policy_line *line, const json_t *term, const char *word, enum ym_text_id why)
{
    return ym_buf_puts(&line->asks, word[0] ? word : T(POLICY_NOT_NAMED)) == YM_OK && put_term(&line->says, term) &&
           conclude(line, allowed(term, word), why, NULL);
}

static bool compare_inputs(struct ym_policy_line *line, const json_t *columns, const struct ym_plan *plan)
{
    struct ym_buf unfit = {0};
    bool good = put_columns(&line->says, columns, "inputs");

    for (size_t i = 0; good && i < plan->input_count; i++) {
        const char *name = plan->input[i].name;

        good = ym_buf_printf(&line->asks, "%s%s", i ? ", " : "", name) == YM_OK;
        if (good && !column_allowed(columns, "inputs", name))
            good = ym_buf_printf(&unfit, "%s%s", unfit.len ? ", " : "", name) == YM_OK;
    }
    good = good && conclude(line, unfit.len == 0, YM_TEXT_POLICY_WHY_INPUTS, ym_buf_str(&unfit));
    ym_buf_release(&unfit);
    return good;
}

static bool compare_outcome(struct ym_policy_line *line, const json_t *columns, const struct ym_plan *plan)
{
    const char *name = plan->outcome.name;

    return ym_buf_puts(&line->asks, name) == YM_OK && put_columns(&line->says, columns, "outcomes") &&
           conclude(line, column_allowed(columns, "outcomes", name), YM_TEXT_POLICY_WHY_OUTCOME, NULL);
}

static bool put_epsilon(struct ym_buf *out, int64_t micro, int64_t delta_e18)
{
    struct ym_buf delta = {0};
    bool good = ym_decimal_format((struct ym_decimal){delta_e18}, &delta) == YM_OK &&
                ym_buf_printf(out, T(POLICY_EPSILON), (double)micro / 1e6, ym_buf_str(&delta)) == YM_OK;

    ym_buf_release(&delta);
    return good;
}

static bool compare_epsilon(struct ym_policy_line *line, const struct ym_policy *p, const struct ym_plan *plan,
                            int64_t delta_e18)
{
    struct ym_decimal delta = {delta_e18};
    int64_t micro;

    if (ym_plan_epsilon_at(plan, 1, plan->rounds, delta, &micro, NULL) != YM_OK)
        micro = INT64_MAX;
    return put_epsilon(&line->asks, micro, delta_e18) && put_epsilon(&line->says, p->epsilon_study_micro, delta_e18) &&
           conclude(line, micro <= p->epsilon_study_micro, YM_TEXT_POLICY_WHY_EPSILON, NULL);
}

int64_t ym_policy_memory_least(const struct ym_plan *plan)
{
    uint64_t bytes = MODEL_BYTES * ym_plan_parameters(plan);

    return YM_POLICY_MEMORY_BASE + (int64_t)((bytes + (1 << 20) - 1) >> 20);
}

static bool put_most(struct ym_buf *out, int64_t most, enum ym_text_id words)
{
    return (most ? ym_buf_printf(out, ym_text(words), (long long)most) : ym_buf_puts(out, T(POLICY_NO_LIMIT))) == YM_OK;
}

/* More only make it faster: the trainer starts no more than it may, and nobody is refused. */
static bool compare_threads(struct ym_policy_line *line, const struct ym_policy *p)
{
    line->fits = true;
    return ym_buf_puts(&line->asks, T(POLICY_ONE_OR_MORE)) == YM_OK &&
           put_most(&line->says, p->cpu_threads, YM_TEXT_POLICY_AT_MOST);
}

static bool compare_memory(struct ym_policy_line *line, const struct ym_policy *p, const struct ym_plan *plan)
{
    int64_t least = ym_policy_memory_least(plan);

    return ym_buf_printf(&line->asks, T(POLICY_MIB_LEAST), (long long)least) == YM_OK &&
           put_most(&line->says, p->memory_mib, YM_TEXT_POLICY_MIB_MOST) &&
           conclude(line, p->memory_mib == 0 || least <= p->memory_mib, YM_TEXT_POLICY_WHY_MEMORY, NULL);
}

enum ym_code ym_policy_compare(const struct ym_policy *p, const struct ym_plan *plan, int64_t delta_e18,
                               struct ym_policy_view *v, struct ym_status *st)
{
    const json_t *columns = json_object_get(p->terms, "columns");
    struct ym_policy_line *l = v->line;
    bool good = compare_word(&l[YM_POLICY_SPONSOR], json_object_get(p->terms, "sponsors"), plan->sponsor,
                             YM_TEXT_POLICY_WHY_SPONSOR) &&
                compare_word(&l[YM_POLICY_PURPOSE], json_object_get(p->terms, "purposes"), plan->purpose,
                             YM_TEXT_POLICY_WHY_PURPOSE) &&
                compare_word(&l[YM_POLICY_MODEL], json_object_get(p->terms, "models"),
                             ym_plan_family_word(plan->family), YM_TEXT_POLICY_WHY_MODEL) &&
                compare_inputs(&l[YM_POLICY_INPUTS], columns, plan) &&
                compare_outcome(&l[YM_POLICY_OUTCOME], columns, plan) &&
                compare_word(&l[YM_POLICY_RECIPIENT], json_object_get(p->terms, "recipients"), plan->border.recipient,
                             YM_TEXT_POLICY_WHY_RECIPIENT) &&
                compare_epsilon(&l[YM_POLICY_EPSILON], p, plan, delta_e18) &&
                compare_threads(&l[YM_POLICY_THREADS], p) && compare_memory(&l[YM_POLICY_MEMORY], p, plan);

    v->fits = good;
    for (size_t i = 0; i < YM_POLICY_TERM_COUNT; i++)
        v->fits = v->fits && l[i].fits;
    return good ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "out of memory for a comparison");
}

void ym_policy_view_release(struct ym_policy_view *v)
{
    for (size_t i = 0; i < YM_POLICY_TERM_COUNT; i++) {
        ym_buf_release(&v->line[i].asks);
        ym_buf_release(&v->line[i].says);
        ym_buf_release(&v->line[i].why);
    }
    *v = (struct ym_policy_view){0};
}

static enum ym_code say_reasons(const struct ym_policy_view *v, struct ym_status *st)
{
    struct ym_buf all = {0};
    bool good = true;

    for (size_t i = 0; i < YM_POLICY_TERM_COUNT; i++)
        if (!v->line[i].fits)
            good = good && ym_buf_printf(&all, "%s%s", all.len ? "\n" : "", ym_buf_str(&v->line[i].why)) == YM_OK;
    ym_status_set(st, YM_DENIED, "%s", good ? ym_buf_str(&all) : "out of memory");
    ym_buf_release(&all);
    return YM_DENIED;
}

enum ym_code ym_policy_allows(const struct ym_policy *policy, const struct ym_plan *plan, int64_t delta_e18,
                              struct ym_status *st)
{
    struct ym_policy_view v = {0};
    enum ym_code code;

    if (!policy)
        return ym_status_set(st, YM_DENIED, "%s", T(POLICY_NONE_SIGNED));
    code = ym_policy_compare(policy, plan, delta_e18, &v, st);
    if (code == YM_OK && !v.fits)
        code = say_reasons(&v, st);
    ym_policy_view_release(&v);
    return code;
}

/* ---- hours ---- */

static bool inside(const struct ym_policy_window *w, int64_t minute)
{
    int64_t length = w->to > w->from ? w->to - w->from : w->to + DAY - w->from;

    for (int d = 0; d < 7; d++)
        if (w->days >> d & 1 && (minute - (d * DAY + w->from) + WEEK) % WEEK < length)
            return true;
    return false;
}

static bool open_at(const struct ym_policy *p, int64_t now)
{
    int64_t minute = (now + CHINA_S) / 60 + 3 * DAY; /* 1 January 1970 was a Thursday */

    if (now < 0)
        return false;
    for (size_t i = 0; i < p->window_count; i++)
        if (inside(&p->window[i], minute % WEEK))
            return true;
    return p->window_count == 0;
}

enum ym_code ym_policy_hours(const struct ym_policy *p, struct ym_buf *out)
{
    enum ym_code code = p->window_count ? YM_OK : ym_buf_puts(out, T(POLICY_ANY_TIME));

    for (size_t i = 0; code == YM_OK && i < p->window_count; i++) {
        const struct ym_policy_window *w = &p->window[i];
        bool first = true;

        code = ym_buf_puts(out, i ? "; " : "");
        for (int d = 0; code == YM_OK && d < 7; d++)
            if (w->days >> d & 1) {
                code = ym_buf_printf(out, "%s%s", first ? "" : ",", ym_text(YM_TEXT_POLICY_DAY_1 + (enum ym_text_id)d));
                first = false;
            }
        if (code == YM_OK)
            code = ym_buf_printf(out, " %02d:%02d-%02d:%02d", w->from / 60, w->from % 60, w->to / 60, w->to % 60);
    }
    return code;
}

enum ym_code ym_policy_open(const struct ym_policy *policy, int64_t now, struct ym_status *st)
{
    struct ym_buf text = {0};

    if (!policy)
        return ym_status_set(st, YM_DENIED, "%s", T(POLICY_NONE_SIGNED));
    if (open_at(policy, now))
        return YM_OK;
    ym_policy_hours(policy, &text);
    ym_status_set(st, YM_UNAVAILABLE, T(POLICY_OUT_OF_HOURS), ym_buf_str(&text));
    ym_buf_release(&text);
    return YM_UNAVAILABLE;
}
