#include <stdio.h>
#include <stdlib.h>

#include "base/cli.h"
#include "base/log.h"
#include "tensor/restart.h"
#include "worker/trainer/trainer.h"

static int run(const struct ym_cli_args *a)
{
    const char *dir = ym_cli_get(a, "dir") ? ym_cli_get(a, "dir") : getenv("YUMEN_DIR");
    bool check_only = ym_cli_has(a, "n");
    struct ym_status st = YM_STATUS_INIT;
    struct ym_problems problems = {0};
    struct ym_buf text = {0};
    enum ym_code code = ym_trainer_run(dir ? dir : ".", check_only, &problems, &st);
    int rc = YM_EXIT_DONE;

    if (problems.count > 0 && ym_problems_format(&problems, &text) == YM_OK)
        fputs(ym_buf_str(&text), stderr);
    if (code == YM_CORRUPT || code == YM_UNCERTAIN)
        fprintf(stderr, "%s\n", T(SITE_LEDGER_STOP));
    if (code != YM_OK)
        rc = ym_cli_fail("yumen-trainer", &st);
    else if (check_only)
        printf("%s\n", T(TRAINER_OK));
    if (code == YM_CORRUPT || code == YM_UNCERTAIN)
        rc = YM_EXIT_UNREACHED;
    ym_buf_release(&text);
    ym_problems_release(&problems);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct ym_cli_option options[] = {{"dir", "DIR", YM_TEXT_SITE_OPT_DIR, false},
                                                   {"n", NULL, YM_TEXT_SITE_OPT_CHECK, false},
                                                   {NULL, NULL, 0, false}};
    static const struct ym_cli_command commands[] = {{"", "", YM_TEXT_TRAINER_RUN, 0, 0, options, run},
                                                     {NULL, NULL, 0, 0, 0, NULL, NULL}};

    ym_blas_restart(argv);
    ym_log_init("yumen-trainer");
    return ym_cli_main("yumen-trainer", YM_TEXT_TRAINER_ABOUT, commands, argc, argv);
}
