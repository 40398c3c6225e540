#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/verify/crypto.h"
#include "audit/verify/folder.h"
#include "audit/verify/verify.h"
#include "base/cli.h"
#include "cmd/audit/bundle.h"
#include "cmd/audit/document.h"
#include "cmd/audit/epsilon.h"
#include "cmd/audit/fetch.h"
#include "cmd/audit/inputs.h"
#include "cmd/audit/receipt.h"
#include "cmd/audit/report.h"
#include "cmd/audit/selftest.h"

#define PROGRAM "yumen-audit"

static int run_verify(const struct ym_cli_args *a)
{
    struct audit_inputs in;
    struct ym_verification *v = NULL;
    struct ym_status st = YM_STATUS_INIT;
    int rc;

    if (audit_inputs_take(a, a->positional_count, &in, &st) == YM_OK)
        audit_inputs_verify(&in, true, &v, &st);
    if (!v) {
        audit_inputs_release(&in);
        return ym_cli_fail(PROGRAM, &st);
    }
    rc = (int)ym_verification_verdict(v);
    if (ym_cli_has(a, "json"))
        audit_report_json(v);
    else
        audit_report_text(v, in.objects != NULL, in.updates != NULL);
    if (in.bundle && !ym_cli_has(a, "json"))
        puts(T(AUDIT_BUNDLE_REPORT));
    if (in.trust_inside)
        fprintf(ym_cli_has(a, "json") ? stderr : stdout, "%s\n", T(AUDIT_TRUST_INSIDE));
    ym_verification_free(v);
    audit_inputs_release(&in);
    return rc;
}

static bool any_hospital(const struct ym_verification *v, bool *anchored)
{
    bool any = false;

    *anchored = true;
    for (size_t i = 0; i < v->log_count; i++) {
        any |= strcmp(v->log[i].role, "hub") != 0;
        *anchored &= v->log[i].anchored;
    }
    return any;
}

static int print_budget(const struct ym_cli_args *a, const struct ym_verification *v)
{
    enum audit_form form = ym_cli_has(a, "json") ? AUDIT_JSON : ym_cli_has(a, "csv") ? AUDIT_CSV : AUDIT_TABLE;
    bool anchored;

    if (ym_verification_worst(v)) {
        audit_report_worst(v, stderr);
        return (int)ym_verification_verdict(v);
    }
    if (!any_hospital(v, &anchored)) {
        fprintf(stderr, PROGRAM ": ");
        fprintf(stderr, T(AUDIT_BUDGET_HUB), a->positional[0]);
        fputc('\n', stderr);
        return YM_EXIT_NO;
    }
    if (!anchored)
        fprintf(stderr, "%s\n", T(AUDIT_BUDGET_UNANCHORED));
    return audit_budget(v, form) ? YM_EXIT_NO : YM_EXIT_DONE;
}

static int run_budget(const struct ym_cli_args *a)
{
    struct audit_inputs in;
    struct ym_verification *v = NULL;
    struct ym_status st = YM_STATUS_INIT;
    int rc;

    if (audit_inputs_take(a, a->positional_count, &in, &st) == YM_OK)
        audit_inputs_verify(&in, true, &v, &st);
    rc = v ? print_budget(a, v) : ym_cli_fail(PROGRAM, &st);
    ym_verification_free(v);
    audit_inputs_release(&in);
    return rc;
}

static int print_line(struct ym_folder *f, uint64_t index, bool raw)
{
    struct ym_bytes line;
    char hash[65];
    json_t *o;

    if (!ym_folder_entry(f, index, &line)) {
        fprintf(stderr, PROGRAM ": %s\n", T(AUDIT_ENTRY_CHANGED));
        return YM_EXIT_UNREACHED;
    }
    if (raw) {
        printf("%.*s\n", (int)line.len, (const char *)line.data);
        return YM_EXIT_DONE;
    }
    ym_vhex_text(f->hash[index], 32, hash);
    printf(T(AUDIT_ENTRY_LINE), index, hash);
    putchar('\n');
    o = json_loadb((const char *)line.data, line.len, 0, NULL);
    if (o)
        json_dumpf(o, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(o);
    return o ? YM_EXIT_DONE : (int)YM_VERDICT_TAMPERED;
}

/* What a released model calls itself: ORIGIN#INDEX:LEAF-HASH. False: this ledger holds no such entry. */
static bool content_entry(const struct ym_folder *f, const char *text, uint64_t *index)
{
    const char *mark = strrchr(text, '#');
    uint8_t hash[YM_VHASH];
    char *end;

    if (strlen(f->note.origin) != (size_t)(mark - text) || strncmp(text, f->note.origin, (size_t)(mark - text)) != 0)
        return false;
    *index = strtoull(mark + 1, &end, 10);
    return mark[1] >= '0' && mark[1] <= '9' && *end == ':' && ym_vhex(end + 1, strlen(end + 1), hash, sizeof hash) &&
           *index < f->count && memcmp(hash, f->hash[*index], sizeof hash) == 0;
}

static int print_content(struct ym_folder *f, const char *text, bool raw)
{
    uint64_t index;

    if (content_entry(f, text, &index))
        return print_line(f, index, raw);
    fprintf(stderr, PROGRAM ": ");
    fprintf(stderr, T(AUDIT_ENTRY_CONTENT), text, f->note.origin, (uint64_t)f->count);
    fputc('\n', stderr);
    return YM_EXIT_NO;
}

static int print_entry(struct ym_folder *f, const char *text, bool raw)
{
    char *end;
    uint64_t index = strtoull(text, &end, 10);

    if (strchr(text, '#'))
        return print_content(f, text, raw);

    if (*text < '0' || *text > '9' || *end || index >= f->count) {
        fprintf(stderr, PROGRAM ": ");
        fprintf(stderr, T(AUDIT_ENTRY_INDEX), text, (uint64_t)f->count);
        fputc('\n', stderr);
        return YM_EXIT_USAGE;
    }
    return print_line(f, index, raw);
}

static int run_entry(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct audit_inputs in;
    struct ym_folder f;
    int rc;

    if (audit_inputs_take(a, 1, &in, &st) != YM_OK || ym_folder_load(in.dir[0], NULL, &f, &st) != YM_OK) {
        audit_inputs_release(&in);
        return ym_cli_fail(PROGRAM, &st);
    }
    rc = print_entry(&f, a->positional[1], ym_cli_has(a, "json"));
    ym_folder_release(&f);
    audit_inputs_release(&in);
    return rc;
}

static const struct ym_cli_option verify_options[] = {
    {"trust", "FILE", YM_TEXT_AUDIT_HELP_TRUST, false},    {"objects", "DIR", YM_TEXT_AUDIT_HELP_OBJECTS, false},
    {"updates", "DIR", YM_TEXT_AUDIT_HELP_UPDATES, false}, {"checkpoint", "FILE", YM_TEXT_AUDIT_HELP_CHECKPOINT, true},
    {"json", NULL, YM_TEXT_AUDIT_HELP_JSON, false},        {NULL, NULL, 0, false}};
static const struct ym_cli_option budget_options[] = {{"trust", "FILE", YM_TEXT_AUDIT_HELP_TRUST, false},
                                                      {"csv", NULL, YM_TEXT_AUDIT_HELP_CSV, false},
                                                      {"json", NULL, YM_TEXT_AUDIT_HELP_JSON, false},
                                                      {NULL, NULL, 0, false}};
static const struct ym_cli_option entry_options[] = {{"json", NULL, YM_TEXT_AUDIT_HELP_JSON, false},
                                                     {NULL, NULL, 0, false}};

static const struct ym_cli_option epsilon_options[] = {
    {"noise-multiplier", "S", YM_TEXT_AUDIT_HELP_NOISE, false},
    {"sampling-probability", "Q", YM_TEXT_AUDIT_HELP_SAMPLING, false},
    {"steps", "T", YM_TEXT_AUDIT_HELP_STEPS, false},
    {"delta", "D", YM_TEXT_AUDIT_HELP_DELTA, false},
    {"events", "FILE", YM_TEXT_AUDIT_HELP_EVENTS, false},
    {"target-epsilon", "E", YM_TEXT_AUDIT_HELP_TARGET, false},
    {"accountant", "NAME", YM_TEXT_AUDIT_HELP_ACCOUNTANT, false},
    {"json", NULL, YM_TEXT_AUDIT_HELP_JSON, false},
    {NULL, NULL, 0, false}};

static const struct ym_cli_command commands[] = {
    {"verify", "DIR...", YM_TEXT_AUDIT_HELP_VERIFY, 1, -1, verify_options, run_verify},
    {"budget", "DIR...", YM_TEXT_AUDIT_HELP_BUDGET, 1, -1, budget_options, run_budget},
    {"epsilon", "", YM_TEXT_AUDIT_HELP_EPSILON, 0, 0, epsilon_options, audit_epsilon},
    {"entry", "DIR INDEX|CONTENT-ID", YM_TEXT_AUDIT_HELP_ENTRY, 2, 2, entry_options, run_entry},
    {"fetch", "URL DIR", YM_TEXT_AUDIT_HELP_FETCH, 2, 2, audit_fetch_options, audit_fetch},
    {"report", "DIR...", YM_TEXT_AUDIT_HELP_REPORT, 1, -1, audit_document_options, audit_document},
    {"receipt", "DIR INDEX | FILE", YM_TEXT_AUDIT_HELP_RECEIPT, 1, 2, audit_receipt_options, audit_receipt},
    {"bundle", "DIR...", YM_TEXT_AUDIT_HELP_BUNDLE, 1, -1, audit_bundle_options, audit_bundle},
    {"selftest", "", YM_TEXT_AUDIT_HELP_SELFTEST, 0, 0, audit_selftest_options, audit_selftest},
    {NULL, NULL, 0, 0, 0, NULL, NULL},
};

int main(int argc, char **argv)
{
    return ym_cli_main(PROGRAM, YM_TEXT_AUDIT_ABOUT, commands, argc, argv);
}
