#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "cmd/site/site.h"
#include "worker/trainer/admin.h"

enum { TEXTS = 4, TEXT_BYTES = 64 };

const char *ym_site_dir(const struct ym_cli_args *a)
{
    const char *dir = ym_cli_get(a, "dir");

    if (!dir)
        dir = getenv("YUMEN_DIR");
    return dir ? dir : ".";
}

enum ym_code ym_site_open(const struct ym_cli_args *a, struct ym_site *out, struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_buf text = {0};
    enum ym_code code = ym_site_load(ym_site_dir(a), out, &problems, st);

    if (problems.count > 0 && ym_problems_format(&problems, &text) == YM_OK)
        fputs(ym_buf_str(&text), stderr);
    ym_buf_release(&text);
    ym_problems_release(&problems);
    return code;
}

/* Knock before the request waits for an answer: nobody home, or this account is not let in. */
static enum ym_code knock(const struct ym_site *s, struct ym_status *st)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char path[YM_SITE_PATH];
    int fd = -1, err = ENAMETOOLONG;

    if (ym_site_path(s, YM_SITE_ADMIN_SOCKET, NULL, path) == YM_OK && strlen(path) < sizeof to.sun_path) {
        memcpy(to.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        err = fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0 ? errno : 0;
    }
    if (fd >= 0)
        close(fd);
    if (err == EACCES || err == EPERM)
        return ym_status_set(st, YM_DENIED, T(SITE_NOT_LET_IN), path);
    return err == 0 ? YM_OK : ym_status_set(st, YM_UNAVAILABLE, T(SITE_NO_TRAINER), s->dir);
}

enum ym_code ym_site_ask(const struct ym_site *s, json_t *request, json_t **reply, struct ym_status *st)
{
    char endpoint[128];
    enum ym_code code = request ? ym_site_endpoint(s, YM_SITE_ADMIN_SOCKET, endpoint, st)
                                : ym_status_set(st, YM_EXHAUSTED, "no memory for the request");

    if (code == YM_OK)
        code = knock(s, st);
    if (code == YM_OK && json_object_set_new(request, "lang", json_string(ym_text_lang() == YM_LANG_ZH ? "zh" : "en")))
        code = ym_status_set(st, YM_EXHAUSTED, "no memory for the request");
    if (code == YM_OK)
        code = ym_admin_call(endpoint, request, YM_SITE_WAIT_MS, reply, st);
    json_decref(request);
    return code;
}

int ym_site_need(const char *option)
{
    fprintf(stderr, "yumen-site: ");
    fprintf(stderr, T(SITE_NEED_OPTION), option);
    fprintf(stderr, "\n");
    return YM_EXIT_USAGE;
}

int ym_site_fail(const struct ym_site *s, const struct ym_status *st)
{
    (void)s;
    if (st->code == YM_CORRUPT)
        fprintf(stderr, "%s\n", T(SITE_LEDGER_STOP));
    return ym_cli_fail("yumen-site", st);
}

int ym_site_print_json(const json_t *value)
{
    struct ym_buf text = {0};
    struct ym_status st = YM_STATUS_INIT;

    if (ym_json_canonical(value, &text, &st) != YM_OK)
        return ym_cli_fail("yumen-site", &st);
    printf("%s\n", ym_buf_str(&text));
    ym_buf_release(&text);
    return YM_EXIT_DONE;
}

int ym_site_run(const struct ym_cli_args *a, json_t *request, void (*show)(const json_t *reply))
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site s;
    json_t *reply = NULL;
    enum ym_code code = ym_site_open(a, &s, &st);

    if (code == YM_OK)
        code = ym_site_ask(&s, request, &reply, &st);
    else
        json_decref(request);
    if (code != YM_OK)
        return ym_site_fail(&s, &st);
    if (ym_cli_has(a, "json"))
        ym_site_print_json(reply);
    else
        show(reply);
    json_decref(reply);
    return YM_EXIT_DONE;
}

const char *ym_get_text(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

long long ym_get_int(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

const char *ym_epsilon_text(long long micro)
{
    static char text[TEXTS][TEXT_BYTES];
    static int next;
    char *out = text[next++ % TEXTS];

    snprintf(out, TEXT_BYTES, "%lld.%06lld", micro / 1000000, micro % 1000000);
    return out;
}

const char *ym_delta_text(long long e18)
{
    static char text[TEXTS][TEXT_BYTES];
    static int next;
    char *out = text[next++ % TEXTS];
    struct ym_buf b = {0};

    if (ym_decimal_format((struct ym_decimal){e18}, &b) == YM_OK)
        snprintf(out, TEXT_BYTES, "%s", ym_buf_str(&b));
    else
        snprintf(out, TEXT_BYTES, "?");
    ym_buf_release(&b);
    return out;
}

const char *ym_order_text(long long milli)
{
    static char text[TEXTS][TEXT_BYTES];
    static int next;
    char *out = text[next++ % TEXTS];

    snprintf(out, TEXT_BYTES, "%g", (double)milli / 1000);
    return out;
}

const char *ym_time_text(long long unix_s)
{
    static char text[TEXTS][TEXT_BYTES];
    static int next;
    char *out = text[next++ % TEXTS];
    time_t t = (time_t)unix_s;
    struct tm tm;

    if (unix_s <= 0 || !gmtime_r(&t, &tm) || strftime(out, TEXT_BYTES, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        snprintf(out, TEXT_BYTES, "-");
    return out;
}

const char *ym_site_word(const char *word)
{
    static const struct {
        const char *word;
        enum ym_text_id id;
    } known[] = {
        {"approved", YM_TEXT_SITE_WORD_APPROVED},
        {"closed", YM_TEXT_SITE_WORD_CLOSED},
        {"idle", YM_TEXT_SITE_WORD_IDLE},
        {"paused", YM_TEXT_SITE_WORD_PAUSED},
        {"preparing", YM_TEXT_SITE_WORD_PREPARING},
        {"ready", YM_TEXT_SITE_WORD_READY},
        {"training", YM_TEXT_SITE_WORD_TRAINING},
        {"undecided", YM_TEXT_SITE_WORD_UNDECIDED},
        {"vetoed", YM_TEXT_SITE_WORD_VETOED},
        {"it", YM_TEXT_SITE_WORD_IT},
        {"ethics", YM_TEXT_SITE_WORD_ETHICS},
        {"data_office", YM_TEXT_SITE_WORD_DATA_OFFICE},
        {"audit", YM_TEXT_SITE_WORD_AUDIT},
        {"sponsor", YM_TEXT_SITE_WORD_SPONSOR},
        {"border", YM_TEXT_SITE_WORD_BORDER},
        {"budget", YM_TEXT_SITE_WORD_BUDGET},
        {"policy", YM_TEXT_SITE_WORD_POLICY},
        {"hours", YM_TEXT_SITE_WORD_HOURS},
        {"no_data", YM_TEXT_SITE_WORD_NO_DATA},
        {"not_approved", YM_TEXT_SITE_WORD_NOT_APPROVED},
        {"incomplete", YM_TEXT_SITE_WORD_INCOMPLETE},
        {"live", YM_TEXT_SITE_WORD_LIVE},
        {"stale", YM_TEXT_SITE_WORD_STALE},
        {"expired", YM_TEXT_SITE_WORD_EXPIRED},
        {"out_of_scope", YM_TEXT_SITE_WORD_OUT_OF_SCOPE},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].word, word) == 0)
            return ym_text(known[i].id);
    return word;
}
