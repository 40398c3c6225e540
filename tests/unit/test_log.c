#include "base/log.h"

#include <fcntl.h>

#include "base/fs.h"
#include "support.h"

/* What the calls between begin and end wrote to stderr. */
static int saved = -1;
static char capture[64];

static void begin(void)
{
    int fd;

    strcpy(capture, "/tmp/yumen-log-XXXXXX");
    fd = mkstemp(capture);
    assert_true(fd >= 0);
    fflush(stderr);
    saved = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static char *end(void)
{
    static char text[20000];
    struct ym_buf b = {0};

    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_int_equal(ym_fs_read(capture, sizeof(text) - 1, &b, NULL), YM_OK);
    snprintf(text, sizeof(text), "%s", ym_buf_str(&b));
    ym_buf_release(&b);
    unlink(capture);
    return text;
}

static void a_record_is_one_line_with_time_level_id(void **state)
{
    char *line;
    int year, month, day, hour, minute, second, ms, used = 0;

    (void)state;
    unsetenv("YUMEN_LOG");
    ym_log_init("test");
    begin();
    ym_log(YM_LOG_WARN, "round.late", "study=%s round=%d", "a\nb\x1B[2J", 7);
    line = end();
    assert_int_equal(sscanf(line, "%d-%d-%dT%d:%d:%d.%dZ %n", &year, &month, &day, &hour, &minute, &second, &ms, &used),
                     7);
    assert_string_equal(line + used, "warn round.late study=a?b?[2J round=7\n");
    assert_true(year > 2020);
}

static void long_records_are_cut_and_still_one_line(void **state)
{
    char big[5000], *line;

    (void)state;
    memset(big, 'x', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    begin();
    ym_log(YM_LOG_ERROR, "a.b", "k=%s", big);
    line = end();
    assert_true(strlen(line) <= 2048);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static const char *levels(const char *setting)
{
    static char got[64];
    const char *at;
    size_t n = 0;

    setenv("YUMEN_LOG", setting, 1);
    ym_log_init("test");
    begin();
    ym_log(YM_LOG_ERROR, "rpc.x", "n=0");
    ym_log(YM_LOG_WARN, "rpc.x", "n=1");
    ym_log(YM_LOG_INFO, "rpc.x", "n=2");
    ym_log(YM_LOG_TRACE, "rpc.x", "n=3");
    ym_log(YM_LOG_INFO, "other.x", "n=4");
    ym_log(YM_LOG_TRACE, "rpcx.y", "n=5");
    for (at = end(); (at = strstr(at, "n=")) != NULL; at++)
        got[n++] = at[2];
    got[n] = '\0';
    return got;
}

static void levels_are_set_for_all_and_for_one_subsystem(void **state)
{
    (void)state;
    assert_string_equal(levels(""), "0124");
    assert_string_equal(levels("error"), "0");
    assert_string_equal(levels("warn,rpc=trace"), "0123");
    assert_string_equal(levels("rpc=error"), "04");
    assert_string_equal(levels("trace"), "012345");
    assert_string_equal(levels("trace,rpc=warn,rpc=info"), "01245");
    unsetenv("YUMEN_LOG");
    ym_log_init("test");
}

static void a_wrong_setting_is_said_and_ignored(void **state)
{
    (void)state;
    begin();
    setenv("YUMEN_LOG", "loud,rpc=no,error", 1);
    ym_log_init("prog");
    ym_log(YM_LOG_WARN, "a.b", "n=1");
    assert_string_equal(end(), "prog: YUMEN_LOG: 'loud' is not error, warn, info, trace or subsystem=level\n"
                               "prog: YUMEN_LOG: 'rpc=no' is not error, warn, info, trace or subsystem=level\n");
    unsetenv("YUMEN_LOG");
    ym_log_init("test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_one_line_with_time_level_id),
        cmocka_unit_test(long_records_are_cut_and_still_one_line),
        cmocka_unit_test(levels_are_set_for_all_and_for_one_subsystem),
        cmocka_unit_test(a_wrong_setting_is_said_and_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
