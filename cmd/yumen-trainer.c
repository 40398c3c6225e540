#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/log.h"
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

/* OpenBLAS starts its threads when it is loaded, before main: one thread must be
 * asked for from outside, and the sandbox must be entered while there is one. */
static void restart_with_one_thread(char **argv)
{
    const char *threads = getenv("OPENBLAS_NUM_THREADS");

    if (threads && strcmp(threads, "1") == 0)
        return;
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    static const struct ym_cli_option options[] = {{"dir", "DIR", YM_TEXT_SITE_OPT_DIR, false},
                                                   {"n", NULL, YM_TEXT_SITE_OPT_CHECK, false},
                                                   {NULL, NULL, 0, false}};
    static const struct ym_cli_command commands[] = {{"", "", YM_TEXT_TRAINER_RUN, 0, 0, options, run},
                                                     {NULL, NULL, 0, 0, 0, NULL, NULL}};

    restart_with_one_thread(argv);
    ym_log_init("yumen-trainer");
    return ym_cli_main("yumen-trainer", YM_TEXT_TRAINER_ABOUT, commands, argc, argv);
}
