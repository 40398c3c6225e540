#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/decimal.h"
#include "base/listing.h"
#include "base/text.h"
#include "cmd/audit/report.h"

#define COLUMNS 11
#define CELL AUDIT_CELL

void audit_micro(int64_t micro, char out[AUDIT_CELL])
{
    uint64_t size = micro < 0 ? 0 - (uint64_t)micro : (uint64_t)micro;

    if (micro == INT64_MAX)
        snprintf(out, CELL, "inf");
    else
        snprintf(out, CELL, "%s%" PRIu64 ".%06" PRIu64, micro < 0 ? "-" : "", size / 1000000, size % 1000000);
}

static int64_t left_of(const struct ym_charge_line *l)
{
    return l->spent_micro == INT64_MAX ? 0 : l->cap_micro - l->spent_micro;
}

/* A data set of this hospital: two hospitals may use one name. */
static bool same_set(const struct ym_charge_line *a, const struct ym_charge_line *b)
{
    return a->log == b->log && strcmp(a->dataset, b->dataset) == 0;
}

static const char *hospital_of(const struct ym_verification *v, const struct ym_charge_line *l)
{
    return v->log[l->log].name;
}

/* "h1/a" */
static void set_name(const struct ym_verification *v, const struct ym_charge_line *l, char out[2 * CELL])
{
    snprintf(out, 2 * CELL, "%.70s/%.70s", hospital_of(v, l), l->dataset);
}

static void fill_row(const struct ym_verification *v, const struct ym_charge_line *l, char (*cell)[CELL])
{
    snprintf(cell[0], CELL, "%s", hospital_of(v, l));
    snprintf(cell[1], CELL, "%s", l->dataset);
    snprintf(cell[2], CELL, "%s", l->study);
    snprintf(cell[3], CELL, "%" PRIu32, l->round);
    snprintf(cell[4], CELL, "%" PRIu32, l->attempt);
    audit_micro(l->round_micro, cell[5]);
    audit_micro(l->spent_micro, cell[6]);
    audit_micro(l->cap_micro, cell[7]);
    audit_micro(left_of(l), cell[8]);
    audit_micro(l->tight_micro, cell[9]);
    snprintf(cell[10], CELL, "%s", l->released ? T(AUDIT_YES) : T(AUDIT_NO));
}

/* The delta of a data set's figures, once for each that occurs. */
static void print_deltas(const struct ym_verification *v)
{
    for (size_t i = 0; i < v->charge_count; i++) {
        const struct ym_charge_line *l = &v->charge[i];
        struct ym_buf delta = {0};
        bool said = false;
        char order[32], name[2 * CELL];

        for (size_t k = 0; k < i && !said; k++)
            said = v->charge[k].delta_e18 == l->delta_e18 && same_set(&v->charge[k], l);
        if (said || ym_decimal_format((struct ym_decimal){l->delta_e18}, &delta) != YM_OK)
            continue;
        snprintf(order, sizeof(order), "%g", (double)l->order_milli / 1000);
        set_name(v, l, name);
        printf(T(AUDIT_BUDGET_DELTA), name, ym_buf_str(&delta), order);
        putchar('\n');
        ym_buf_release(&delta);
    }
}

static void print_overrides(const struct ym_verification *v)
{
    for (size_t i = 0; i < v->override_count; i++) {
        struct ym_override_line o = v->override[i];
        char epsilon[CELL];

        audit_micro(o.epsilon_micro, epsilon);
        ym_text_plain(o.subject);
        ym_text_plain(o.reason);
        printf(T(AUDIT_OVERRIDE), o.entry, epsilon, o.subject, o.reason);
        putchar('\n');
    }
}

static const struct ym_charge_line *next_of(const struct ym_verification *v, size_t i)
{
    for (size_t k = i + 1; k < v->charge_count; k++)
        if (same_set(&v->charge[k], &v->charge[i]))
            return &v->charge[k];
    return NULL;
}

static void print_certified(const char *name, const struct ym_charge_line *l)
{
    char certified[CELL];

    audit_micro(l->certified_micro, certified);
    printf(T(AUDIT_BUDGET_CERTIFIED), name, certified);
    putchar('\n');
}

static void print_month(const char *name, const struct ym_charge_line *l)
{
    char month[CELL], limit[CELL];

    audit_micro(l->month_micro, month);
    audit_micro(l->month_limit_micro, limit);
    printf(T(AUDIT_BUDGET_MONTH), name, month, limit);
    putchar('\n');
}

/* How a data set's patients were identified, each way once, and its newest month where that has a limit. */
static void print_patients(const struct ym_verification *v)
{
    for (size_t i = 0; i < v->charge_count; i++) {
        const struct ym_charge_line *l = &v->charge[i], *next = next_of(v, i);
        char name[2 * CELL];

        set_name(v, l, name);
        if (!next || strcmp(next->identified, l->identified) != 0) {
            printf(T(AUDIT_BUDGET_IDENTIFIED), name, l->identified);
            putchar('\n');
        }
        if (!next && l->certified_micro > 0)
            print_certified(name, l);
        if (!next && l->month_limit_micro < l->cap_micro)
            print_month(name, l);
    }
}

static void print_table(const struct ym_verification *v)
{
    const enum ym_text_id head[COLUMNS] = {
        YM_TEXT_AUDIT_COL_HOSPITAL, YM_TEXT_AUDIT_COL_DATASET, YM_TEXT_AUDIT_COL_STUDY,   YM_TEXT_AUDIT_COL_ROUND,
        YM_TEXT_AUDIT_COL_ATTEMPT,  YM_TEXT_AUDIT_COL_EPSILON, YM_TEXT_AUDIT_COL_SPENT,   YM_TEXT_AUDIT_COL_CAP,
        YM_TEXT_AUDIT_COL_LEFT,     YM_TEXT_AUDIT_COL_TIGHT,   YM_TEXT_AUDIT_COL_RELEASED};
    struct ym_listing t = {.columns = COLUMNS, .right = 0x3f8};

    ym_listing_head(&t, head);
    for (size_t i = 0; i < v->charge_count; i++) {
        char cell[COLUMNS][CELL];

        fill_row(v, &v->charge[i], cell);
        for (size_t k = 0; k < COLUMNS; k++)
            ym_listing_add(&t, "%s", cell[k]);
    }
    ym_listing_print(&t);
    print_deltas(v);
    print_patients(v);
    print_overrides(v);
    audit_report_sum(v);
    puts(T(AUDIT_BUDGET_UNIT));
}

static int print_csv(const struct ym_verification *v)
{
    puts("hospital,dataset,study,round,attempt,epsilon_round,epsilon_spent,epsilon_cap,epsilon_left,epsilon_tight,"
         "order_milli,"
         "delta_e18,released,unit,relation,accountant,identified,epsilon_month,"
         "epsilon_month_limit");
    for (size_t i = 0; i < v->charge_count; i++) {
        const struct ym_charge_line *l = &v->charge[i];
        char cell[COLUMNS][CELL], month[CELL], limit[CELL];

        fill_row(v, l, cell);
        audit_micro(l->month_micro, month);
        audit_micro(l->month_limit_micro, limit);
        printf("%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%" PRId64 ",%" PRId64 ",%d,patient,add-or-remove-one,rdp/1,%s,%s,%s\n",
               cell[0], cell[1], cell[2], cell[3], cell[4], cell[5], cell[6], cell[7], cell[8], cell[9], l->order_milli,
               l->delta_e18, l->released, l->identified, month, limit);
    }
    return 0;
}

static json_t *overrides_json(const struct ym_verification *v)
{
    json_t *list = json_array();

    for (size_t i = 0; i < v->override_count; i++) {
        const struct ym_override_line *o = &v->override[i];

        json_array_append_new(list, json_pack("{s:s,s:I,s:s,s:I,s:s}", "hospital", v->log[o->log].name, "entry",
                                              (json_int_t)o->entry, "subject", o->subject, "epsilon_micro",
                                              (json_int_t)o->epsilon_micro, "reason", o->reason));
    }
    return list;
}

static int print_json(const struct ym_verification *v)
{
    json_t *list = json_array(), *o;
    int failed;

    for (size_t i = 0; i < v->charge_count; i++) {
        const struct ym_charge_line *l = &v->charge[i];

        json_array_append_new(
            list,
            json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:I,s:s,s:I,s:I,s:I}", "hospital",
                      hospital_of(v, l), "dataset", l->dataset, "study", l->study, "round", (json_int_t)l->round,
                      "attempt", (json_int_t)l->attempt, "epsilon_round_micro", (json_int_t)l->round_micro,
                      "epsilon_spent_micro", (json_int_t)l->spent_micro, "epsilon_cap_micro", (json_int_t)l->cap_micro,
                      "epsilon_left_micro", (json_int_t)left_of(l), "epsilon_tight_micro", (json_int_t)l->tight_micro,
                      "order_milli", (json_int_t)l->order_milli, "delta_e18", (json_int_t)l->delta_e18, "released",
                      l->released, "entry", (json_int_t)l->entry, "identified", l->identified, "epsilon_month_micro",
                      (json_int_t)l->month_micro, "epsilon_month_limit_micro", (json_int_t)l->month_limit_micro,
                      "epsilon_certified_micro", (json_int_t)l->certified_micro));
    }
    o = json_pack("{s:s,s:s,s:s,s:s,s:o,s:o}", "origin", v->log[0].origin, "unit", "patient", "relation",
                  "add-or-remove-one", "accountant", "rdp/1", "charges", list, "overrides", overrides_json(v));
    failed = !o || json_dumpf(o, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) != 0;
    putchar('\n');
    json_decref(o);
    return failed;
}

int audit_budget(const struct ym_verification *v, enum audit_form form)
{
    if (form == AUDIT_JSON)
        return print_json(v);
    if (form == AUDIT_CSV)
        return print_csv(v);
    if (v->charge_count == 0) {
        puts(T(AUDIT_BUDGET_EMPTY));
        print_overrides(v);
        return 0;
    }
    print_table(v);
    return 0;
}
