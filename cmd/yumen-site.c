#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/log.h"
#include "cmd/site/site.h"

#define OPTION(name, value, help)                                                                                      \
    {                                                                                                                  \
        name, value, YM_TEXT_SITE_OPT_##help, false                                                                    \
    }
#define DIR OPTION("dir", "DIR", DIR)
#define JSON OPTION("json", NULL, JSON)
#define DATASET OPTION("dataset", "NAME", DATASET)
#define SKIP OPTION("skip-bad", NULL, SKIP)
#define OFFICES OPTION("offices", "DIR", OFFICES)
#define END                                                                                                            \
    {                                                                                                                  \
        NULL, NULL, 0, false                                                                                           \
    }

static const struct ym_cli_option init_options[] = {DIR,
                                                    OPTION("name", "NAME", NAME),
                                                    OPTION("epsilon-cap", "EPSILON", CAP),
                                                    OPTION("delta", "DELTA", DELTA),
                                                    OPTION("min-patients", "N", MIN),
                                                    OPTION("epsilon-month", "EPSILON", MONTH),
                                                    OPTION("override", "REASON", OVERRIDE_CAP),
                                                    OPTION("policy", "FILE.yaml", POLICY),
                                                    OPTION("border-off", "REASON", BORDER_REASON),
                                                    OPTION("gateway", "DIR", GATEWAY),
                                                    END};
static const struct ym_cli_option enrol_options[] = {
    DIR, OPTION("token", "TOKEN", TOKEN), OPTION("hub", "HOST:PORT", HUB), OPTION("enrol", "HOST:PORT", ENROL), END};
static const struct ym_cli_option plain_options[] = {DIR, JSON, END};
static const struct ym_cli_option show_options[] = {DIR, DATASET, OPTION("html", "FILE", HTML), JSON, END};
static const struct ym_cli_option check_options[] = {DIR, SKIP, END};
static const struct ym_cli_option add_options[] = {DIR, SKIP, JSON, END};
static const struct ym_cli_option try_options[] = {DIR, DATASET, JSON, END};
static const struct ym_cli_option sign_options[] = {DIR,
                                                    OPTION("epsilon-cap", "EPSILON", SIGN_CAP),
                                                    OPTION("epsilon-month", "EPSILON", SIGN_MONTH),
                                                    OPTION("delta", "DELTA", SIGN_DELTA),
                                                    OPTION("min-patients", "N", SIGN_MIN),
                                                    OPTION("override", "REASON", OVERRIDE_CAP),
                                                    OFFICES,
                                                    JSON,
                                                    END};
static const struct ym_cli_option approve_options[] = {DIR,     DATASET, OPTION("override", "REASON", OVERRIDE_PLAN),
                                                       OFFICES, JSON,    END};
static const struct ym_cli_option recover_options[] = {DIR, OPTION("reason", "WHY", REASON), JSON, END};
static const struct ym_cli_option pause_options[] = {DIR, OPTION("off", NULL, OFF), JSON, END};

static const struct ym_cli_option infer_options[] = {
    DIR, OPTION("out", "NAME", INFER_OUT), OPTION("data", "FILE", INFER_DATA), OPTION("plan", "FILE", INFER_PLAN), SKIP,
    END};
static const struct ym_cli_option open_options[] = {DIR, OPTION("out", "FILE", MODEL_OUT), END};
static const struct ym_cli_option export_options[] = {DIR, END};
static const struct ym_cli_option people_options[] = {DIR, OPTION("study", "HASH|STUDY", PEOPLE_STUDY), DATASET, JSON,
                                                      END};

static const struct ym_cli_option no_options[] = {END};
static const struct ym_cli_option pack_options[] = {DIR, DATASET, END};
static const struct ym_cli_option border_options[] = {DIR, DATASET, OPTION("forecast", NULL, FORECAST), JSON, END};
static const struct ym_cli_option off_options[] = {DIR, OPTION("reason", "REASON", BORDER_REASON), OFFICES, JSON, END};
static const struct ym_cli_option sealed_options[] = {DIR, OFFICES, JSON, END};
static const struct ym_cli_option unfile_options[] = {
    DIR, OPTION("record", "RECORD", FILING_RECORD), OPTION("study", "STUDY", FILING_STUDY), DATASET, OFFICES, JSON,
    END};
static const struct ym_cli_option make_options[] = {OPTION("out", "DIR", OUT_OFFICE), END};
static const struct ym_cli_option withdraw_options[] = {DIR, DATASET, OPTION("patient-file", "FILE", PATIENT_FILE),
                                                        JSON, END};
static const struct ym_cli_option filing_options[] = {DIR,
                                                      OPTION("study", "HASH|STUDY", FILING_STUDY),
                                                      DATASET,
                                                      OPTION("document", "FILE", FILING_DOCUMENT),
                                                      OPTION("issuer", "WHO", FILING_ISSUER),
                                                      OPTION("number", "NUMBER", FILING_NUMBER),
                                                      OPTION("from", "DATE", FILING_FROM),
                                                      OPTION("until", "DATE", FILING_UNTIL),
                                                      OPTION("filed", "DATE", FILING_FILED),
                                                      OPTION("province", "NAME", FILING_PROVINCE),
                                                      OPTION("renews", "DOCUMENT", FILING_RENEWS),
                                                      OPTION("recipients", "A;B", FILING_RECIPIENTS),
                                                      OPTION("categories", "A;B", FILING_CATEGORIES),
                                                      OPTION("committee", "NUMBER", FILING_COMMITTEE),
                                                      {"topic", "WORD=WHERE", YM_TEXT_SITE_OPT_FILING_TOPIC, true},
                                                      OFFICES,
                                                      JSON,
                                                      END};

#define COMMAND(words, arguments, help, count, options, run)                                                           \
    {                                                                                                                  \
        words, arguments, YM_TEXT_SITE_HELP_##help, count, count, options, run                                         \
    }

static const struct ym_cli_command commands[] = {
    COMMAND("init", "", INIT, 0, init_options, ym_site_cmd_init),
    COMMAND("enrol", "", ENROL, 0, enrol_options, ym_site_cmd_enrol),
    COMMAND("status", "", STATUS, 0, plain_options, ym_site_cmd_status),
    COMMAND("data add", "CARD.yaml", DATA_ADD, 1, add_options, ym_site_cmd_data_add),
    COMMAND("data check", "CARD.yaml", DATA_CHECK, 1, check_options, ym_site_cmd_data_check),
    COMMAND("data list", "", DATA_LIST, 0, plain_options, ym_site_cmd_data_list),
    COMMAND("plans list", "", PLANS_LIST, 0, plain_options, ym_site_cmd_plans_list),
    COMMAND("plans show", "HASH|STUDY", PLANS_SHOW, 1, show_options, ym_site_cmd_plans_show),
    COMMAND("plans check", "HASH|STUDY", PLANS_CHECK, 1, try_options, ym_site_cmd_plans_check),
    COMMAND("plans approve", "HASH|STUDY", PLANS_APPROVE, 1, approve_options, ym_site_cmd_plans_approve),
    COMMAND("plans veto", "HASH|STUDY", PLANS_VETO, 1, plain_options, ym_site_cmd_plans_veto),
    COMMAND("plans pause", "STUDY", PLANS_PAUSE, 1, pause_options, ym_site_cmd_plans_pause),
    COMMAND("policy show", "", POLICY_SHOW, 0, plain_options, ym_site_cmd_policy_show),
    COMMAND("policy check", "FILE.yaml", POLICY_CHECK, 1, no_options, ym_site_cmd_policy_check),
    {"policy sign", "[FILE.yaml]", YM_TEXT_SITE_HELP_POLICY_SIGN, 0, 1, sign_options, ym_site_cmd_policy_sign},
    COMMAND("rules list", "", RULES_LIST, 0, plain_options, ym_site_cmd_rules_list),
    COMMAND("rules check", "FILE.yaml", RULES_CHECK, 1, no_options, ym_site_cmd_rules_check),
    COMMAND("rules sign", "FILE.yaml", RULES_SIGN, 1, sealed_options, ym_site_cmd_rules_sign),
    COMMAND("rules withdraw", "NAME", RULES_WITHDRAW, 1, sealed_options, ym_site_cmd_rules_withdraw),
    COMMAND("dossier list", "", DOSSIER_LIST, 0, plain_options, ym_site_cmd_dossier_list),
    COMMAND("dossier add", "RECORD", DOSSIER_ADD, 1, filing_options, ym_site_cmd_dossier_add),
    COMMAND("dossier export", "HASH|STUDY FOLDER", DOSSIER_EXPORT, 2, pack_options, ym_site_cmd_dossier_export),
    COMMAND("dossier check", "FOLDER", DOSSIER_CHECK, 1, no_options, ym_site_cmd_dossier_check),
    COMMAND("dossier withdraw", "DOCUMENT", DOSSIER_WITHDRAW, 1, unfile_options, ym_site_cmd_dossier_withdraw),
    COMMAND("withdraw list", "", WITHDRAW_LIST, 0, plain_options, ym_site_cmd_withdraw_list),
    {"withdraw", "[ID]", YM_TEXT_SITE_HELP_WITHDRAW, 0, 1, withdraw_options, ym_site_cmd_withdraw},
    COMMAND("border show", "HASH|STUDY", BORDER_SHOW, 1, border_options, ym_site_cmd_border_show),
    COMMAND("border again", "", BORDER_AGAIN, 0, plain_options, ym_site_cmd_border_again),
    COMMAND("border on", "", BORDER_ON, 0, plain_options, ym_site_cmd_border_on),
    COMMAND("border off", "", BORDER_OFF, 0, off_options, ym_site_cmd_border_off),
    COMMAND("offices list", "", OFFICES_LIST, 0, plain_options, ym_site_cmd_offices_list),
    COMMAND("offices make", "OFFICE", OFFICES_MAKE, 1, make_options, ym_site_cmd_offices_make),
    COMMAND("offices replace", "OFFICE PUBKEY", OFFICES_REPLACE, 2, sealed_options, ym_site_cmd_offices_replace),
    COMMAND("offices close", "OFFICE", OFFICES_CLOSE, 1, sealed_options, ym_site_cmd_offices_close),
    COMMAND("pending list", "", PENDING_LIST, 0, plain_options, ym_site_cmd_pending_list),
    COMMAND("seal", "HASH", SEAL, 1, sealed_options, ym_site_cmd_seal),
    COMMAND("budget", "", BUDGET, 0, plain_options, ym_site_cmd_budget),
    COMMAND("recover", "", RECOVER, 0, recover_options, ym_site_cmd_recover),
    COMMAND("egress list", "", EGRESS, 0, plain_options, ym_site_cmd_egress),
    COMMAND("egress show", "SHA-256|ENTRY", EGRESS_SHOW, 1, plain_options, ym_site_cmd_egress_show),
    COMMAND("egress export", "FILE", EGRESS_EXPORT, 1, export_options, ym_site_cmd_egress_export),
    COMMAND("infer", "MODEL CARD.yaml|DATASET", INFER, 2, infer_options, ym_site_cmd_infer),
    COMMAND("recipient make", "", RECIPIENT_MAKE, 0, export_options, ym_site_cmd_recipient_make),
    COMMAND("recipient show", "", RECIPIENT_SHOW, 0, export_options, ym_site_cmd_recipient_show),
    COMMAND("model open", "FILE", MODEL_OPEN, 1, open_options, ym_site_cmd_model_open),
    COMMAND("people", "", PEOPLE, 0, people_options, ym_site_cmd_people),
    {NULL, NULL, 0, 0, 0, NULL, NULL},
};

/* The desk holds rows, identifiers and the salt: nothing of it goes into a core file, or to whoever collects them. The
 * leak checker of test builds traces its own process, so there the file alone is forbidden. */
static void forbid_dumps(void)
{
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

int main(int argc, char **argv)
{
    forbid_dumps();
    ym_log_init("yumen-site");
    return ym_cli_main("yumen-site", YM_TEXT_SITE_ABOUT, commands, argc, argv);
}
