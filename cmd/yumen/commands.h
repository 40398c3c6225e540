#ifndef YM_CMD_YUMEN_COMMANDS_H
#define YM_CMD_YUMEN_COMMANDS_H

#include "base/cli.h"

/* One function a command of `yumen`; each returns the exit code. */
int ym_cmd_enrol(const struct ym_cli_args *a);
int ym_cmd_plan_check(const struct ym_cli_args *a);
int ym_cmd_plan_show(const struct ym_cli_args *a);
int ym_cmd_plan_diff(const struct ym_cli_args *a);
int ym_cmd_plan_advise(const struct ym_cli_args *a);
int ym_cmd_simulate(const struct ym_cli_args *a);
int ym_cmd_study_submit(const struct ym_cli_args *a);
int ym_cmd_study_list(const struct ym_cli_args *a);
int ym_cmd_study_watch(const struct ym_cli_args *a);
int ym_cmd_study_cancel(const struct ym_cli_args *a);
int ym_cmd_data_list(const struct ym_cli_args *a);
int ym_cmd_model_get(const struct ym_cli_args *a);
int ym_cmd_model_score(const struct ym_cli_args *a);
int ym_cmd_model_check(const struct ym_cli_args *a);
int ym_cmd_model_show(const struct ym_cli_args *a);
int ym_cmd_log_fetch(const struct ym_cli_args *a);

#endif
