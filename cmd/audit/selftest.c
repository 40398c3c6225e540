#include "cmd/audit/selftest.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/probe/probe.h"
#include "audit/verify/folder.h"
#include "base/fs.h"
#include "base/listing.h"
#include "cmd/audit/selftest_run.h"
#include "privacy/accountant.h"
#include "privacy/clip.h"

#define PROGRAM "yumen-audit"
#define DELTA 1e-5
#define DELTA_TEXT "0.00001"
#define EPSILON_TEXT "20" /* of plans and hospitals: never the limit here */
#define LIMIT_S 175
#define SUM_BYTES ((YM_PSEUDO_COLUMNS + 1) * sizeof(int64_t))

const struct ym_cli_option audit_selftest_options[] = {{"programs", "DIR", YM_TEXT_AUDIT_HELP_PROGRAMS, false},
                                                       {"keep", NULL, YM_TEXT_AUDIT_HELP_KEEP, false},
                                                       {"json", NULL, YM_TEXT_AUDIT_HELP_JSON, false},
                                                       {NULL, NULL, 0, false}};

enum { APART_H1, APART_H2, HALF, WHOLE, RARE, STUDIES };
static const struct ym_pseudo_study study[STUDIES] = {
    [APART_H1] = {"apart-h1", YM_PSEUDO_INPUTS_ALL, "1", "0.1", 100, false, "h1", "integer"},
    [APART_H2] = {"apart-h2", YM_PSEUDO_INPUTS_ALL, "1", "0.1", 100, false, "h2", "bounded"},
    [HALF] = {"half", YM_PSEUDO_INPUTS_KIND, "4", "0.5", 30, true, NULL, "bounded"},
    [WHOLE] = {"whole", YM_PSEUDO_INPUTS_KIND, "4", "1", 10, true, NULL, "integer"},
    [RARE] = {"rare", YM_PSEUDO_INPUTS_FEW, "1", "0.0001", 30, true, NULL, "integer"},
};
static const char *const hospital[2] = {"h1", "h2"};

struct selftest {
    struct bench bench;
    struct ym_pseudo pseudo[2];
    double *sum[STUDIES];
    struct ym_view view[STUDIES];
    double claimed[2]; /* epsilon of the study that a hospital runs alone, by its ledger */
    size_t rare_charges;
    struct ym_probes found;
    double seconds;
    bool talk;
};

static void say(const struct selftest *s, enum ym_text_id id)
{
    if (s->talk)
        fprintf(stderr, "%s\n", ym_text(id));
}

/* ---- setting up ---- */

static enum ym_code write_text(const struct bench *b, const char *name, const struct ym_buf *text, struct ym_status *st)
{
    char path[BENCH_PATH];

    return ym_fs_write(bench_path(b, name, path), ym_buf_bytes(text), 0600, st);
}

static enum ym_code no_memory(struct ym_status *st)
{
    return ym_status_set(st, YM_EXHAUSTED, "no memory for a self-test");
}

static enum ym_code write_data(struct selftest *s, int h, char card[BENCH_PATH], struct ym_status *st)
{
    struct ym_buf text = {0}, csv = {0};
    char name[32], path[BENCH_PATH];
    enum ym_code code;

    ym_pseudo_toss(&s->pseudo[h]);
    snprintf(name, sizeof name, "data-%s", hospital[h]);
    code = ym_fs_mkdirs(bench_path(&s->bench, name, path), 0700, st);
    if (code == YM_OK && (ym_pseudo_card(&text) != YM_OK || ym_pseudo_csv(&s->pseudo[h], &csv) != YM_OK))
        code = no_memory(st);
    snprintf(name, sizeof name, "data-%s/pseudo.csv", hospital[h]);
    if (code == YM_OK)
        code = write_text(&s->bench, name, &csv, st);
    snprintf(name, sizeof name, "data-%s/card.yaml", hospital[h]);
    bench_path(&s->bench, name, card);
    if (code == YM_OK)
        code = write_text(&s->bench, name, &text, st);
    ym_buf_release(&text);
    ym_buf_release(&csv);
    return code;
}

static enum ym_code set_up(struct selftest *s, struct ym_status *st)
{
    enum ym_code code = bench_hub(&s->bench, st);

    for (int h = 0; code == YM_OK && h < 2; h++) {
        char card[BENCH_PATH];

        code = write_data(s, h, card, st);
        if (code == YM_OK)
            code = bench_hospital(&s->bench, hospital[h], EPSILON_TEXT, DELTA_TEXT, card, st);
    }
    return code == YM_OK ? write_text(&s->bench, "trust.txt", &s->bench.trust, st) : code;
}

/* ---- what left: the hub's log and its sums ---- */

static json_t *leaf_at(struct ym_folder *f, size_t i)
{
    struct ym_bytes line;

    return ym_folder_entry(f, i, &line) ? json_loadb((const char *)line.data, line.len, 0, NULL) : NULL;
}

static const char *text_of(const json_t *leaf, const char *key)
{
    const char *text = json_string_value(json_object_get(leaf, key));

    return text ? text : "";
}

static bool is_leaf(const json_t *leaf, const char *type, const char *study_name)
{
    return strcmp(text_of(leaf, "type"), type) == 0 && strcmp(text_of(leaf, "study"), study_name) == 0;
}

static enum ym_code read_sum(struct selftest *s, int k, const json_t *leaf, struct ym_status *st)
{
    size_t round = (size_t)json_integer_value(json_object_get(leaf, "round")), dim = s->view[k].dim;
    struct ym_buf bytes = {0};
    char name[128], path[BENCH_PATH];
    enum ym_code code;

    snprintf(name, sizeof name, "hub/objects/%.64s", text_of(leaf, "sum"));
    code = ym_fs_read(bench_path(&s->bench, name, path), SUM_BYTES, &bytes, st);
    if (code != YM_OK)
        return code;
    if (bytes.len != dim * sizeof(int64_t) || round < 1 || round > s->view[k].rounds)
        code = ym_status_set(st, YM_CORRUPT, "the sum of round %zu of '%s' has %zu bytes", round, study[k].name,
                             bytes.len);
    for (size_t i = 0; code == YM_OK && i < dim; i++) {
        int64_t update;

        memcpy(&update, bytes.data + i * sizeof update, sizeof update);
        s->sum[k][(round - 1) * dim + i] = ym_pseudo_noised(update, s->view[k].q);
    }
    ym_buf_release(&bytes);
    return code;
}

/* How many results of the study are in the hub's log; read: their sums too. */
static enum ym_code count_results(struct selftest *s, int k, bool read, size_t *count, struct ym_status *st)
{
    struct ym_folder f = {0};
    char path[BENCH_PATH];
    enum ym_code code = ym_folder_load(bench_path(&s->bench, "hub/ledger", path), NULL, &f, st);

    *count = 0;
    if (code != YM_OK)
        return code;
    for (size_t i = 0; code == YM_OK && i < f.count; i++) {
        json_t *leaf = leaf_at(&f, i);

        if (is_leaf(leaf, "abort", study[k].name))
            code = ym_status_set(st, YM_INTERNAL, "an attempt of study '%s' was given up: %s", study[k].name,
                                 text_of(leaf, "reason"));
        if (is_leaf(leaf, "round_result", study[k].name)) {
            ++*count;
            if (read)
                code = read_sum(s, k, leaf, st);
        }
        json_decref(leaf);
    }
    ym_folder_release(&f);
    return code;
}

static enum ym_code begin_study(struct selftest *s, int k, struct ym_status *st)
{
    const struct ym_pseudo_study *p = &study[k];
    struct ym_buf text = {0};
    char name[64], path[BENCH_PATH];
    enum ym_code code = ym_pseudo_plan(p, DELTA_TEXT, EPSILON_TEXT, &text);

    s->view[k] = (struct ym_view){.rounds = p->rounds, .dim = ym_pseudo_dim(p->inputs), .q = atof(p->q)};
    s->view[k].sigma = atof(p->sigma) * (p->both ? M_SQRT2 : 1);
    s->view[k].sum = s->sum[k] = calloc(s->view[k].rounds * s->view[k].dim, sizeof(double));
    if (code != YM_OK || !s->sum[k])
        code = no_memory(st);
    snprintf(name, sizeof name, "%s.yaml", p->name);
    if (code == YM_OK)
        code = write_text(&s->bench, name, &text, st);
    if (code == YM_OK)
        code = bench_study(&s->bench, p->name, bench_path(&s->bench, name, path), p->both ? hospital : &p->hospital,
                           p->both ? 2 : 1, st);
    ym_buf_release(&text);
    return code;
}

static enum ym_code await_study(struct selftest *s, int k, struct ym_status *st)
{
    size_t count = 0;
    enum ym_code code = YM_OK;

    while (code == YM_OK && count < study[k].rounds) {
        for (int i = 0; code == YM_OK && i < 20; i++)
            code = bench_wait(&s->bench, st);
        if (code == YM_OK)
            code = count_results(s, k, false, &count, st);
    }
    return code == YM_OK ? count_results(s, k, true, &count, st) : code;
}

static enum ym_code run_studies(struct selftest *s, struct ym_status *st)
{
    enum ym_code code = YM_OK;

    say(s, YM_TEXT_AUDIT_SELFTEST_ROUNDS);
    for (int k = APART_H1; code == YM_OK && k <= APART_H2; k++)
        code = begin_study(s, k, st);
    for (int k = APART_H1; code == YM_OK && k <= APART_H2; k++)
        code = await_study(s, k, st);
    for (int k = HALF; code == YM_OK && k < STUDIES; k++) {
        code = begin_study(s, k, st);
        if (code == YM_OK)
            code = await_study(s, k, st);
    }
    return code;
}

/* ---- what is claimed ---- */

/* epsilon of rounds that were seen, by our own count of noise additions. */
static double recount(int k)
{
    struct ym_event e = {(uint64_t)llround(atof(study[k].sigma) * YM_CLIP_UNITS), (uint64_t)ldexp(atof(study[k].q), 64),
                         study[k].rounds};
    struct ym_rdp rdp;

    ym_rdp_clear(&rdp);
    if (ym_rdp_add(&rdp, &e, NULL) != YM_OK)
        return INFINITY;
    return (double)ym_epsilon_micro(ym_rdp_epsilon(&rdp, DELTA, NULL)) / 1e6;
}

static void read_charges(struct selftest *s, const struct ym_verification *v)
{
    size_t rare[2] = {0, 0};

    for (size_t i = 0; i < v->charge_count; i++) {
        const struct ym_charge_line *l = &v->charge[i];
        int h = (int)l->log - 1;

        if (h < 0 || h > 1)
            continue;
        if (strcmp(l->study, study[h].name) == 0)
            s->claimed[h] = (double)l->tight_micro / 1e6;
        rare[h] += strcmp(l->study, study[RARE].name) == 0;
    }
    s->rare_charges = rare[0] == study[RARE].rounds ? rare[1] : rare[0];
}

static enum ym_code verify(struct selftest *s, struct ym_status *st)
{
    char hub[BENCH_PATH], h1[BENCH_PATH], h2[BENCH_PATH], trust[BENCH_PATH], objects[BENCH_PATH];
    const char *dir[3] = {bench_path(&s->bench, "hub/ledger", hub), bench_path(&s->bench, "h1/ledger", h1),
                          bench_path(&s->bench, "h2/ledger", h2)};
    struct ym_verify_options o = {bench_path(&s->bench, "trust.txt", trust),
                                  bench_path(&s->bench, "hub/objects", objects)};
    struct ym_verification *v = NULL;
    enum ym_code code = ym_verify(dir, 3, &o, &v, st);
    double wrong, counted;

    if (code != YM_OK)
        return code;
    read_charges(s, v);
    wrong = (double)v->finding_total + (ym_verification_verdict(v) != YM_VERDICT_GOOD && v->finding_total == 0);
    ym_verification_free(v);
    ym_probe_set(&s->found, YM_PROBE_G_LEDGERS, wrong, 0, 0);
    counted = recount(APART_H1);
    ym_probe_set(&s->found, YM_PROBE_G_EPSILON, counted, fmax(s->claimed[0], s->claimed[1]),
                 fmin(s->claimed[0], s->claimed[1]));
    return YM_OK;
}

static enum ym_code judge(struct selftest *s, struct ym_status *st)
{
    const struct ym_pseudo *const both[2] = {&s->pseudo[0], &s->pseudo[1]};
    enum ym_code code = verify(s, st);

    if (code != YM_OK)
        return code;
    if (ym_probe_apart(both, s->view, fmin(s->claimed[0], s->claimed[1]), DELTA, &s->found) != YM_OK)
        return no_memory(st);
    ym_probe_batches(both, &s->view[HALF], &s->found);
    ym_probe_amplitude(both, &s->view[WHOLE], &s->found);
    ym_probe_empty(&s->view[RARE], s->rare_charges, &s->found);
    return YM_OK;
}

/* ---- the answer ---- */

static bool passed(const struct selftest *s)
{
    for (int id = 0; id < YM_PROBE_COUNT; id++)
        if (!ym_probe_passed(&s->found.at[id]))
            return false;
    return true;
}

static const enum ym_text_id words[YM_PROBE_COUNT] = {
#define X(id) [YM_PROBE_##id] = YM_TEXT_AUDIT_PROBE_##id,
    YM_PROBES(X)
#undef X
};

static void print_table(const struct selftest *s)
{
    const enum ym_text_id head[] = {YM_TEXT_AUDIT_SELFTEST_PART, YM_TEXT_AUDIT_SELFTEST_WHAT,
                                    YM_TEXT_AUDIT_SELFTEST_MEASURED, YM_TEXT_AUDIT_SELFTEST_LIMITS,
                                    YM_TEXT_AUDIT_SELFTEST_VERDICT};
    struct ym_listing t = {.columns = 5, .right = 1 << 2};

    ym_listing_head(&t, head);
    for (int id = 0; id < YM_PROBE_COUNT; id++) {
        const struct ym_probe *p = &s->found.at[id];

        ym_listing_add(&t, "%c", ym_probe_part((enum ym_probe_id)id));
        ym_listing_add(&t, "%s", ym_text(words[id]));
        ym_listing_add(&t, "%.5g", p->measured);
        ym_listing_add(&t, p->low == p->high ? "%.5g" : "%.5g .. %.5g", p->low, p->high);
        ym_listing_add(&t, "%s", ym_probe_passed(p) ? T(AUDIT_SELFTEST_PASS) : T(AUDIT_SELFTEST_FAIL));
    }
    ym_listing_print(&t);
}

static void print_text(const struct selftest *s)
{
    print_table(s);
    putchar('\n');
    printf(T(AUDIT_SELFTEST_EPSILON), fmin(s->claimed[0], s->claimed[1]), DELTA_TEXT,
           s->found.at[YM_PROBE_F_ONE_RUN].measured, s->found.at[YM_PROBE_F_GAUSSIAN].measured);
    printf("\n%s\n", T(AUDIT_SELFTEST_MEANING));
    printf(passed(s) ? T(AUDIT_SELFTEST_PASSED) : T(AUDIT_SELFTEST_FAILED), s->seconds);
    putchar('\n');
}

static int print_json(const struct selftest *s)
{
    json_t *list = json_array(), *o;
    int failed;

    for (int id = 0; id < YM_PROBE_COUNT; id++) {
        const struct ym_probe *p = &s->found.at[id];
        char part[2] = {ym_probe_part((enum ym_probe_id)id), 0};

        json_array_append_new(list, json_pack("{s:s,s:s,s:f,s:f,s:f,s:b}", "part", part, "name",
                                              ym_probe_name((enum ym_probe_id)id), "measured", p->measured, "low",
                                              p->low, "high", p->high, "pass", ym_probe_passed(p)));
    }
    o = json_pack("{s:b,s:f,s:f,s:f,s:f,s:s,s:s,s:f,s:o}", "pass", passed(s), "epsilon_claimed",
                  fmin(s->claimed[0], s->claimed[1]), "epsilon_lower_one_run", s->found.at[YM_PROBE_F_ONE_RUN].measured,
                  "epsilon_lower_f_dp", s->found.at[YM_PROBE_F_GAUSSIAN].measured, "delta", DELTA, "unit", "patient",
                  "relation", "add-or-remove-one", "seconds", s->seconds, "figures", list);
    failed = !o || json_dumpf(o, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) != 0;
    putchar('\n');
    json_decref(o);
    return failed;
}

static enum ym_code selftest(struct selftest *s, const struct ym_cli_args *a, struct ym_status *st)
{
    double began = bench_now_s();
    enum ym_code code = bench_open(&s->bench, ym_cli_get(a, "programs"), LIMIT_S, st);

    if (code == YM_OK) {
        say(s, YM_TEXT_AUDIT_SELFTEST_SETUP);
        code = set_up(s, st);
    }
    if (code == YM_OK)
        code = run_studies(s, st);
    if (code == YM_OK)
        code = judge(s, st);
    s->seconds = bench_now_s() - began;
    if (ym_cli_has(a, "keep") && s->bench.root[0])
        fprintf(stderr, "%s\n", s->bench.root);
    bench_close(&s->bench, ym_cli_has(a, "keep"));
    return code;
}

int audit_selftest(const struct ym_cli_args *a)
{
    struct selftest *s = calloc(1, sizeof *s);
    struct ym_status st = YM_STATUS_INIT;
    int rc;

    if (!s) {
        no_memory(&st);
        return ym_cli_fail(PROGRAM, &st);
    }
    s->talk = isatty(STDERR_FILENO);
    if (selftest(s, a, &st) != YM_OK) {
        ym_cli_fail(PROGRAM, &st);
        rc = YM_EXIT_UNREACHED;
    } else {
        rc = passed(s) ? YM_EXIT_DONE : YM_EXIT_NO;
        if (ym_cli_has(a, "json"))
            rc = print_json(s) ? YM_EXIT_UNREACHED : rc;
        else
            print_text(s);
    }
    for (int k = 0; k < STUDIES; k++)
        free(s->sum[k]);
    free(s);
    return rc;
}
