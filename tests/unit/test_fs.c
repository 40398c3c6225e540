#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support.h"

static char *in(void *state, const char *name)
{
    static char path[4][512];
    static int turn;
    char *out = path[turn++ % 4];

    snprintf(out, 512, "%s/%s", (char *)state, name);
    return out;
}

/* Hidden names count too. */
static int entries(const char *dir)
{
    char command[600];
    FILE *p;
    int n = -1;

    snprintf(command, sizeof(command), "ls -A '%s' | wc -l", dir);
    p = popen(command, "r");
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

static void written_file_reads_back_with_its_mode(void **state)
{
    struct ym_buf back = {0};
    struct stat info;
    const char *path = in(*state, "f");

    assert_int_equal(ym_fs_write(path, bytes_of("one"), 0600, NULL), YM_OK);
    assert_int_equal(ym_fs_write(path, bytes_of("two, longer"), 0600, NULL), YM_OK);
    assert_int_equal(ym_fs_read(path, 100, &back, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&back), "two, longer");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(entries(*state), 1);
    assert_int_equal(ym_fs_write(path, (struct ym_bytes){NULL, 0}, 0600, NULL), YM_OK);
    ym_buf_clear(&back);
    assert_int_equal(ym_fs_read(path, 100, &back, NULL), YM_OK);
    assert_int_equal(back.len, 0);
    ym_buf_release(&back);
}

static void pipe_is_read_to_its_end_and_one_without_a_writer_is_empty(void **state)
{
    struct ym_buf back = {0};
    char *path = in(*state, "pipe"), fd_path[32];
    int ends[2];
    pid_t child;

    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(20); /* a reader that waits for a writer would wait for ever */
    assert_int_equal(ym_fs_read(path, 100, &back, NULL), YM_OK);
    assert_int_equal(back.len, 0);
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        _exit(usleep(50000) || write(ends[1], "late ", 5) != 5 || usleep(50000) || write(ends[1], "words", 5) != 5);
    }
    close(ends[1]);
    snprintf(fd_path, sizeof fd_path, "/dev/fd/%d", ends[0]);
    assert_int_equal(ym_fs_read(fd_path, 100, &back, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&back), "late words");
    alarm(0);
    close(ends[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    ym_buf_release(&back);
}

static void read_stops_at_its_limit(void **state)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf back = {0};
    const char *path = in(*state, "f");

    assert_int_equal(ym_fs_write(path, bytes_of("12345"), 0600, NULL), YM_OK);
    assert_int_equal(ym_fs_read(path, 4, &back, &st), YM_EXHAUSTED);
    assert_non_null(strstr(st.message, "4 bytes allowed"));
    assert_int_equal(back.len, 0);
    assert_int_equal(ym_fs_read(path, 5, &back, &st), YM_OK);
    assert_int_equal(ym_fs_read("/dev/zero", 100000, &back, &st), YM_EXHAUSTED); /* no size to look at before */
    assert_int_equal(back.len, 5);
    ym_buf_release(&back);
}

static void troubles_are_told_apart(void **state)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf back = {0};

    assert_int_equal(ym_fs_read(in(*state, "none"), 10, &back, &st), YM_NOT_FOUND);
    assert_non_null(strstr(st.message, "/none'"));
    assert_int_equal(ym_fs_read(*state, 10, &back, &st), YM_UNAVAILABLE);
    assert_int_equal(ym_fs_write(in(*state, "no/such/folder"), bytes_of("x"), 0600, &st), YM_NOT_FOUND);
    assert_int_equal(ym_fs_write(in(*state, ""), bytes_of("x"), 0600, &st), YM_INVALID);
    assert_int_equal(ym_fs_sync_dir(in(*state, "none"), &st), YM_NOT_FOUND);
    assert_false(ym_fs_exists(in(*state, "none")));
    assert_true(ym_fs_exists(*state));
    assert_int_equal(entries(*state), 0);
    ym_buf_release(&back);
}

/* In a child, because the limit holds for the whole process. */
static int write_on_full_disk(const char *path)
{
    const struct rlimit small = {4096, 4096};
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf big = {0};
    enum ym_code code;

    for (int i = 0; i < 5000; i++)
        ym_buf_puts(&big, "new");
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &small))
        return 2;
    code = ym_fs_write(path, bytes_in(&big), 0600, &st);
    ym_buf_release(&big);
    return code == YM_EXHAUSTED && strstr(st.message, path) ? 0 : 1;
}

static void full_disk_keeps_the_old_file_and_leaves_no_temp(void **state)
{
    struct ym_buf back = {0};
    const char *path = in(*state, "f");
    int status = -1;
    pid_t pid;

    assert_int_equal(ym_fs_write(path, bytes_of("old"), 0600, NULL), YM_OK);
    pid = fork();
    if (pid == 0)
        _exit(write_on_full_disk(path));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(ym_fs_read(path, 100, &back, NULL), YM_OK);
    assert_string_equal(ym_buf_str(&back), "old");
    assert_int_equal(entries(*state), 1);
    ym_buf_release(&back);
}

static void folders_are_made_to_any_depth(void **state)
{
    struct ym_status st = YM_STATUS_INIT;

    assert_int_equal(ym_fs_mkdirs(in(*state, "a/b//c/"), 0700, &st), YM_OK);
    assert_int_equal(ym_fs_mkdirs(in(*state, "a/b/c"), 0700, &st), YM_OK);
    assert_true(ym_fs_exists(in(*state, "a/b/c")));
    assert_int_equal(ym_fs_write(in(*state, "file"), bytes_of("x"), 0600, &st), YM_OK);
    assert_int_equal(ym_fs_mkdirs(in(*state, "file"), 0700, &st), YM_CONFLICT);
    assert_int_equal(ym_fs_mkdirs(in(*state, "file/x"), 0700, &st), YM_NOT_FOUND);
    assert_int_equal(ym_fs_mkdirs("", 0700, &st), YM_INVALID);
}

static void list_is_sorted_and_without_hidden_names(void **state)
{
    char **names = NULL;
    size_t count = 77;

    assert_int_equal(ym_fs_list(*state, &names, &count, NULL), YM_OK);
    assert_int_equal(count, 0);
    ym_fs_names_free(names, count);
    for (int i = 150; i-- > 0;) {
        char name[16];

        snprintf(name, sizeof(name), "%03d", i);
        assert_int_equal(ym_fs_write(in(*state, name), bytes_of("x"), 0600, NULL), YM_OK);
    }
    assert_int_equal(ym_fs_write(in(*state, ".f.tmp-0123456789abcdef"), bytes_of("x"), 0600, NULL), YM_OK);
    assert_int_equal(ym_fs_list(*state, &names, &count, NULL), YM_OK);
    assert_int_equal(count, 150);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(atoi(names[i]), i);
    ym_fs_names_free(names, count);
    assert_int_equal(ym_fs_list(in(*state, "none"), &names, &count, NULL), YM_NOT_FOUND);
}

static void join_is_bounded(void **state)
{
    char out[8] = "same";

    (void)state;
    assert_int_equal(ym_fs_join(out, sizeof(out), "abc", "defg"), YM_INVALID);
    assert_string_equal(out, "same");
    assert_int_equal(ym_fs_join(out, sizeof(out), "abc", "def"), YM_OK);
    assert_string_equal(out, "abc/def");
    assert_int_equal(ym_fs_join(out, sizeof(out), "abc/", "def"), YM_OK);
    assert_string_equal(out, "abc/def");
}

static void lock_held_by_another_process_names_its_pid(void **state)
{
    struct ym_status st = YM_STATUS_INIT;
    int ready[2], fd = -1, status;
    char want[64], byte;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        int held = -1;

        byte = ym_fs_lock(*state, &held, NULL) == YM_OK ? 'y' : 'n';
        if (write(ready[1], &byte, 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(ym_fs_lock(*state, &fd, &st), YM_CONFLICT);
    assert_int_equal(fd, -1);
    snprintf(want, sizeof(want), "in use by process %d;", (int)pid);
    assert_non_null(strstr(st.message, want));
    /* a killed holder leaves no lock behind */
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(ym_fs_lock(*state, &fd, &st), YM_OK);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ym_fs_unlock(&fd);
    assert_int_equal(fd, -1);
    ym_fs_unlock(&fd);
    assert_int_equal(ym_fs_lock(*state, &fd, &st), YM_OK);
    ym_fs_unlock(&fd);
    assert_int_equal(ym_fs_lock(in(*state, "none"), &fd, &st), YM_NOT_FOUND);
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(written_file_reads_back_with_its_mode, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(pipe_is_read_to_its_end_and_one_without_a_writer_is_empty, dir_setup,
                                        dir_teardown),
        cmocka_unit_test_setup_teardown(read_stops_at_its_limit, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(troubles_are_told_apart, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(full_disk_keeps_the_old_file_and_leaves_no_temp, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(folders_are_made_to_any_depth, dir_setup, dir_teardown),
        cmocka_unit_test_setup_teardown(list_is_sorted_and_without_hidden_names, dir_setup, dir_teardown),
        cmocka_unit_test(join_is_bounded),
        cmocka_unit_test_setup_teardown(lock_held_by_another_process_names_its_pid, dir_setup, dir_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
