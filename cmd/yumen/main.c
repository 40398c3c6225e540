#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/yumen/commands.h"
#include "tensor/restart.h"

#define OPTION_DIR                                                                                                     \
    {                                                                                                                  \
        "dir", "DIR", YM_TEXT_SPONSOR_OPT_DIR, false                                                                   \
    }
#define OPTION_JSON                                                                                                    \
    {                                                                                                                  \
        "json", NULL, YM_TEXT_SPONSOR_OPT_JSON, false                                                                  \
    }
#define OPTION_END                                                                                                     \
    {                                                                                                                  \
        NULL, NULL, 0, false                                                                                           \
    }

static const struct ym_cli_option enrol_options[] = {
    OPTION_DIR,
    {"token", "TOKEN", YM_TEXT_SPONSOR_OPT_TOKEN, false},
    {"hub", "HOST:PORT", YM_TEXT_SPONSOR_OPT_HUB, false},
    {"enrol", "HOST:PORT", YM_TEXT_SPONSOR_OPT_ENROL, false},
    {"name", "NAME", YM_TEXT_SPONSOR_OPT_NAME, false},
    OPTION_END,
};
static const struct ym_cli_option no_option[] = {OPTION_END};
static const struct ym_cli_option json_option[] = {OPTION_JSON, OPTION_END};
static const struct ym_cli_option dir_option[] = {OPTION_DIR, OPTION_END};
static const struct ym_cli_option dir_json_options[] = {OPTION_DIR, OPTION_JSON, OPTION_END};
static const struct ym_cli_option advise_options[] = {
    {"epsilon", "E", YM_TEXT_SPONSOR_OPT_EPSILON, false},
    {"delta", "D", YM_TEXT_SPONSOR_OPT_DELTA, false},
    {"patients", "A-B,...", YM_TEXT_SPONSOR_OPT_PATIENTS, false},
    {"model", "FAMILY:N", YM_TEXT_SPONSOR_OPT_MODEL, false},
    OPTION_JSON,
    OPTION_END,
};
static const struct ym_cli_option watch_options[] = {
    OPTION_DIR,
    OPTION_JSON,
    {"test", "FILE", YM_TEXT_SPONSOR_OPT_TEST, false},
    {"rounds", NULL, YM_TEXT_SPONSOR_OPT_ROUNDS, false},
    OPTION_END,
};
static const struct ym_cli_option data_options[] = {
    OPTION_DIR, OPTION_JSON, {"plan", "FILE", YM_TEXT_SPONSOR_OPT_PLAN, false}, OPTION_END};
static const struct ym_cli_option model_options[] = {
    OPTION_DIR, OPTION_JSON, {"out", "FILE", YM_TEXT_SPONSOR_OPT_OUT, false}, OPTION_END};
static const struct ym_cli_option score_options[] = {
    {"plan", "FILE", YM_TEXT_SPONSOR_OPT_PLAN_OF, false}, OPTION_JSON, OPTION_END};
static const struct ym_cli_option submit_options[] = {
    OPTION_DIR,
    OPTION_JSON,
    {"start", "FILE", YM_TEXT_SPONSOR_OPT_START, false},
    OPTION_END,
};

static const struct ym_cli_option simulate_options[] = {
    {"site", "NAME=PATH", YM_TEXT_SPONSOR_OPT_SITE, true},
    {"test", "FILE", YM_TEXT_SPONSOR_OPT_TEST, false},
    {"site-test", "NAME=FILE", YM_TEXT_SPONSOR_OPT_SITE_TEST, true},
    {"epsilon", "E,...", YM_TEXT_SPONSOR_OPT_SIM_EPSILON, false},
    {"seeds", "N", YM_TEXT_SPONSOR_OPT_SEEDS, false},
    {"start", "FILE", YM_TEXT_SPONSOR_OPT_START, false},
    {"no-privacy", NULL, YM_TEXT_SPONSOR_OPT_NO_PRIVACY, false},
    {"newton", NULL, YM_TEXT_SPONSOR_OPT_NEWTON, false},
    {"seed", "N", YM_TEXT_SPONSOR_OPT_SEED, false},
    OPTION_JSON,
    {"params", NULL, YM_TEXT_SPONSOR_OPT_PARAMS, false},
    {"out", "FILE", YM_TEXT_SPONSOR_OPT_OUT, false},
    OPTION_END,
};

static const struct ym_cli_command commands[] = {
    {"enrol", "", YM_TEXT_SPONSOR_CMD_ENROL, 0, 0, enrol_options, ym_cmd_enrol},
    {"plan check", "FILE", YM_TEXT_SPONSOR_CMD_PLAN_CHECK, 1, 1, json_option, ym_cmd_plan_check},
    {"plan show", "FILE", YM_TEXT_SPONSOR_CMD_PLAN_SHOW, 1, 1, json_option, ym_cmd_plan_show},
    {"plan diff", "OLD NEW", YM_TEXT_SPONSOR_CMD_PLAN_DIFF, 2, 2, json_option, ym_cmd_plan_diff},
    {"plan advise", "[FILE]", YM_TEXT_SPONSOR_CMD_PLAN_ADVISE, 0, 1, advise_options, ym_cmd_plan_advise},
    {"simulate", "PLAN", YM_TEXT_SPONSOR_CMD_SIMULATE, 1, 1, simulate_options, ym_cmd_simulate},
    {"data list", "", YM_TEXT_SPONSOR_CMD_DATA_LIST, 0, 0, data_options, ym_cmd_data_list},
    {"study submit", "FILE", YM_TEXT_SPONSOR_CMD_STUDY_SUBMIT, 1, 1, submit_options, ym_cmd_study_submit},
    {"study list", "", YM_TEXT_SPONSOR_CMD_STUDY_LIST, 0, 0, dir_json_options, ym_cmd_study_list},
    {"study watch", "STUDY", YM_TEXT_SPONSOR_CMD_STUDY_WATCH, 1, 1, watch_options, ym_cmd_study_watch},
    {"study cancel", "STUDY", YM_TEXT_SPONSOR_CMD_STUDY_CANCEL, 1, 1, dir_option, ym_cmd_study_cancel},
    {"model get", "STUDY", YM_TEXT_SPONSOR_CMD_MODEL_GET, 1, 1, model_options, ym_cmd_model_get},
    {"model check", "FILE", YM_TEXT_SPONSOR_CMD_MODEL_CHECK, 1, 1, no_option, ym_cmd_model_check},
    {"model show", "FILE", YM_TEXT_SPONSOR_CMD_MODEL_SHOW, 1, 1, json_option, ym_cmd_model_show},
    {"model score", "MODEL FILE", YM_TEXT_SPONSOR_CMD_MODEL_SCORE, 2, 2, score_options, ym_cmd_model_score},
    {"log fetch", "DIR", YM_TEXT_SPONSOR_CMD_LOG_FETCH, 1, 1, dir_option, ym_cmd_log_fetch},
    {0},
};

int main(int argc, char **argv)
{
    int rc;

    if (argc > 1 && strcmp(argv[1], "simulate") == 0)
        ym_blas_restart(argv);
    rc = ym_cli_main("yumen", YM_TEXT_SPONSOR_ABOUT, commands, argc, argv);

    if (fflush(stdout) != 0 && rc == YM_EXIT_DONE)
        rc = YM_EXIT_UNREACHED;
    /* Not return: threads of the gRPC core go on for a moment after the last call, and the destructors of C++
     * statics that an orderly exit runs would take what they use from under them. */
    _exit(rc);
}
