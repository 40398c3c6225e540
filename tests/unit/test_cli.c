#include "base/cli.h"

#include <fcntl.h>

#include "base/fs.h"
#include "support.h"

static char seen[512];

static int record(const struct ym_cli_args *a)
{
    size_t n = (size_t)snprintf(seen, sizeof(seen), "%s|", a->command->words);

    for (size_t i = 0; i < a->positional_count; i++)
        n += (size_t)snprintf(seen + n, sizeof(seen) - n, "%s,", a->positional[i]);
    n += (size_t)snprintf(seen + n, sizeof(seen) - n, "|dir=%s json=%d",
                          ym_cli_get(a, "dir") ? ym_cli_get(a, "dir") : "-", ym_cli_has(a, "json"));
    for (size_t i = 0; ym_cli_nth(a, "site", i); i++)
        n += (size_t)snprintf(seen + n, sizeof(seen) - n, " site%zu=%s", i, ym_cli_nth(a, "site", i));
    if (ym_cli_has(a, "n"))
        snprintf(seen + n, sizeof(seen) - n, " n");
    return 7;
}

static const struct ym_cli_option option[] = {
    {"dir", "DIR", YM_TEXT_CLI_USAGE, false},      {"json", NULL, YM_TEXT_CLI_USAGE, false},
    {"site", "NAME=DIR", YM_TEXT_CLI_USAGE, true}, {"n", NULL, YM_TEXT_CLI_USAGE, false},
    {NULL, NULL, YM_TEXT_CLI_USAGE, false},
};

static const struct ym_cli_command table[] = {
    {"study watch", "STUDY", YM_TEXT_CLI_USAGE, 1, 1, option, record},
    {"study list", NULL, YM_TEXT_CLI_USAGE, 0, 0, option, record},
    {"study", NULL, YM_TEXT_CLI_USAGE, 0, 0, NULL, record},
    {"simulate", "PLAN...", YM_TEXT_CLI_USAGE, 1, -1, option, record},
    {NULL, NULL, YM_TEXT_CLI_USAGE, 0, 0, NULL, NULL},
};

static const struct ym_cli_command grouped[] = {
    {"plan check", "FILE", YM_TEXT_CLI_USAGE, 1, 1, option, record},
    {"plan show", "FILE", YM_TEXT_CLI_USAGE, 1, 1, option, record},
    {"data list", NULL, YM_TEXT_CLI_USAGE, 0, 0, option, record},
    {NULL, NULL, YM_TEXT_CLI_USAGE, 0, 0, NULL, NULL},
};

static const struct ym_cli_command single[] = {
    {"", NULL, YM_TEXT_CLI_USAGE, 0, 1, option, record},
    {NULL, NULL, YM_TEXT_CLI_USAGE, 0, 0, NULL, NULL},
};

static struct ym_buf out, err;

static void capture_read(int fd, struct ym_buf *b)
{
    char piece[4096];
    ssize_t n;

    ym_buf_clear(b);
    lseek(fd, 0, SEEK_SET);
    while ((n = read(fd, piece, sizeof(piece))) > 0)
        ym_buf_append(b, piece, (size_t)n);
    close(fd);
}

/* Runs one command line, words apart at spaces ("_" stands for an empty one), and keeps what it printed. */
static int go(const struct ym_cli_command *t, const char *line)
{
    char copy[512], *argv[32] = {(char *)"prog"}, *save = NULL;
    int argc = 1, code, fd[2], old[2];

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *w = strtok_r(copy, " ", &save); w && argc < 31; w = strtok_r(NULL, " ", &save))
        argv[argc++] = strcmp(w, "_") == 0 ? w + 1 : w;
    seen[0] = '\0';
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        fd[i] = open("/tmp", O_TMPFILE | O_RDWR, 0600);
        old[i] = dup(i + 1);
        dup2(fd[i], i + 1);
    }
    code = ym_cli_main("prog", YM_TEXT_CLI_COMMANDS, t, argc, argv);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(old[i], i + 1);
        close(old[i]);
        capture_read(fd[i], i ? &err : &out);
    }
    return code;
}

static void commands_get_their_arguments_and_options(void **state)
{
    static const char *const c[][2] = {
        {"study watch demo", "study watch|demo,|dir=- json=0"},
        {"study watch demo --dir /x --json", "study watch|demo,|dir=/x json=1"},
        {"study watch --dir=/x demo", "study watch|demo,|dir=/x json=0"},
        {"--dir /x study watch demo", "study watch|demo,|dir=/x json=0"},
        {"study --json watch demo", "study watch|demo,|dir=- json=1"},
        {"study list", "study list||dir=- json=0"},
        {"study", "study||dir=- json=0"},
        {"simulate p --site a=1 --site=b=2 q", "simulate|p,q,|dir=- json=0 site0=a=1 site1=b=2"},
        {"simulate -- --json --", "simulate|--json,--,|dir=- json=0"},
        {"simulate -5 -", "simulate|-5,-,|dir=- json=0"},
        {"study list -n", "study list||dir=- json=0 n"},
        {"study list --dir --json", "study list||dir=--json json=0"},
        {"study list --dir=", "study list||dir= json=0"},
        {"study watch help --lang zh", "study watch|help,|dir=- json=0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        assert_int_equal(go(table, c[i][0]), 7);
        assert_string_equal(seen, c[i][1]);
        assert_int_equal(err.len, 0);
    }
    assert_int_equal(go(single, "-n --dir d"), 7);
    assert_string_equal(seen, "||dir=d json=0 n");
    assert_int_equal(go(single, "x"), 7);
    assert_string_equal(seen, "|x,|dir=- json=0");
}

static void wrong_lines_are_usage_errors_that_help(void **state)
{
    static const char *const c[][2] = {
        {"study wach demo", "did you mean 'study watch'?"},
        {"studdy", "did you mean 'study'?"},
        {"", "'prog --help' lists the commands"},
        {"bogus", "unknown command 'bogus'"},
        {"study watch", "an argument is missing: study watch STUDY"},
        {"study watch a b", "'b' is one argument too many"},
        {"study list --jsn", "did you mean '--json'?"},
        {"study list --dir", "option '--dir' needs a value: DIR"},
        {"study list --json=1", "option '--json=1' takes no value"},
        {"study list --dir a --dir b", "option '--dir' is given twice"},
        {"study list -dir a", "unknown option '-dir'"},
        {"study list --n", "unknown option '--n'"},
        {"study list --", NULL},
        {"study list -- x", "'x' is one argument too many"},
        {"study list --lang fr", "language 'fr' is unknown"},
        {"study --dir x", "unknown option '--dir'"},
        {"_", "unknown command ''"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        int code = go(table, c[i][0]);

        if (!c[i][1]) {
            assert_int_equal(code, 7);
            continue;
        }
        if (code != YM_EXIT_USAGE || !strstr(ym_buf_str(&err), c[i][1]))
            fail_msg("'%s': code %d, '%s'", c[i][0], code, ym_buf_str(&err));
        assert_int_equal(out.len, 0);
        assert_string_equal(seen, "");
    }
}

static void far_words_are_not_suggested(void **state)
{
    (void)state;
    assert_int_equal(go(table, "xyzzyplugh"), YM_EXIT_USAGE);
    assert_null(strstr(ym_buf_str(&err), "did you mean"));
}

static void half_a_command_lists_its_other_halves(void **state)
{
    (void)state;
    assert_int_equal(go(grouped, "plan"), YM_EXIT_USAGE);
    assert_non_null(strstr(ym_buf_str(&err), "'plan' needs one more word:\n  plan check FILE"));
    assert_null(strstr(ym_buf_str(&err), "data list"));
    assert_int_equal(go(grouped, "plan --help"), YM_EXIT_DONE);
    assert_non_null(strstr(ym_buf_str(&out), "plan show FILE"));
    assert_null(strstr(ym_buf_str(&out), "data list"));
    assert_int_equal(go(grouped, "pla"), YM_EXIT_USAGE);
    assert_non_null(strstr(ym_buf_str(&err), "unknown command 'pla'"));
}

static void help_and_version_go_to_stdout(void **state)
{
    (void)state;
    assert_int_equal(go(table, "--version"), YM_EXIT_DONE);
    assert_int_equal(strncmp(ym_buf_str(&out), "prog ", 5), 0);
    assert_int_equal(go(table, "--help"), YM_EXIT_DONE);
    assert_non_null(strstr(ym_buf_str(&out), "study watch STUDY"));
    assert_non_null(strstr(ym_buf_str(&out), "simulate PLAN..."));
    assert_int_equal(go(table, "help"), YM_EXIT_DONE);
    assert_non_null(strstr(ym_buf_str(&out), "study watch STUDY"));
    assert_int_equal(go(table, "study watch --help"), YM_EXIT_DONE);
    assert_non_null(strstr(ym_buf_str(&out), "--site NAME=DIR"));
    assert_int_equal(go(table, "study watch -h --lang zh"), YM_EXIT_DONE);
    assert_non_null(strstr(ym_buf_str(&out), "用法"));
    assert_int_equal(err.len, 0);
    assert_string_equal(seen, "");
}

static void exit_codes_fit_the_status(void **state)
{
    static const int want[] = {
        [YM_INVALID] = 2,     [YM_NOT_FOUND] = 3, [YM_CONFLICT] = 1, [YM_DENIED] = 1,    [YM_EXHAUSTED] = 1,
        [YM_UNAVAILABLE] = 3, [YM_DEADLINE] = 3,  [YM_CORRUPT] = 1,  [YM_UNCERTAIN] = 1, [YM_INTERNAL] = 1};

    (void)state;
    for (int i = 1; i <= YM_INTERNAL; i++) {
        struct ym_status st = {(enum ym_code)i, "it failed"};

        assert_int_equal(ym_cli_fail("prog", &st), want[i]);
    }
}

static int release(void **state)
{
    (void)state;
    ym_buf_release(&out);
    ym_buf_release(&err);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_get_their_arguments_and_options),
        cmocka_unit_test(wrong_lines_are_usage_errors_that_help),
        cmocka_unit_test(far_words_are_not_suggested),
        cmocka_unit_test(half_a_command_lists_its_other_halves),
        cmocka_unit_test(help_and_version_go_to_stdout),
        cmocka_unit_test(exit_codes_fit_the_status),
    };

    setenv("YUMEN_LANG", "en", 1);
    return cmocka_run_group_tests(tests, NULL, release);
}
