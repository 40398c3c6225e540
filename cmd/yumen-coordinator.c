#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/listing.h"
#include "base/log.h"
#include "coordinator/hub.h"
#include "rpc/rpc.h"

#define PROGRAM "yumen-coordinator"
#define RESUME_LOOK_NS 100000000
#define RESUME_LOOKS 50
#define TTL_DEFAULT_HOURS 24
#define TTL_MAX_HOURS 72

static const char *state_dir(const struct ym_cli_args *a)
{
    const char *dir = ym_cli_get(a, "dir");

    if (!dir)
        dir = getenv("YUMEN_DIR");
    return dir && *dir ? dir : ".";
}

/* What is wrong with the arguments, in the user's language. */
static int usage(const char *fmt, const char *subject)
{
    fputs(PROGRAM ": ", stderr);
    fprintf(stderr, fmt, subject);
    fputc('\n', stderr);
    return YM_EXIT_USAGE;
}

static void say(const char *fmt, const char *subject)
{
    fprintf(stderr, fmt, subject);
    fputc('\n', stderr);
}

/* ---- init ---- */

static int run_init(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf vkey = {0};
    const char *name[YM_HUB_NAMES];
    struct ym_hub_init o = {.dir = state_dir(a),
                            .federation = ym_cli_get(a, "federation"),
                            .listen = ym_cli_get(a, "listen"),
                            .enrol_listen = ym_cli_get(a, "enrol-listen"),
                            .name = name};
    enum ym_code code;

    if (!o.federation)
        return usage(T(HUB_NEEDS), "federation");
    while (o.name_count < YM_HUB_NAMES && (name[o.name_count] = ym_cli_nth(a, "name", o.name_count)))
        o.name_count++;
    code = ym_hub_create(&o, &vkey, &st);
    if (code != YM_OK)
        return ym_cli_fail(PROGRAM, &st);
    fprintf(stderr, T(HUB_INIT_DONE), o.federation, o.dir);
    fputc('\n', stderr);
    printf("log %s\n", ym_buf_str(&vkey));
    ym_buf_release(&vkey);
    return YM_EXIT_DONE;
}

/* ---- serve ---- */

static int load_config(const char *dir, struct ym_hub_config *config)
{
    struct ym_problems problems = {0};
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf text = {0};
    enum ym_code code = ym_hub_config_load(dir, config, &problems, &st);
    int exit_code = YM_EXIT_DONE;

    if (code != YM_OK && problems.count && ym_problems_format(&problems, &text) == YM_OK) {
        fputs(ym_buf_str(&text), stderr);
        exit_code = YM_EXIT_USAGE;
    } else if (code != YM_OK) {
        exit_code = ym_cli_fail(PROGRAM, &st);
    }
    ym_buf_release(&text);
    ym_problems_release(&problems);
    return exit_code;
}

/* SIGUSR2 is our own word for "the hub has failed". */
static void on_failed(void *ctx)
{
    (void)ctx;
    kill(getpid(), SIGUSR2);
}

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGUSR2);
    sigprocmask(SIG_BLOCK, set, NULL); /* before any thread: all inherit it */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

static void print_ready(const struct ym_hub *h, const struct ym_hub_config *c)
{
    const char *colon = strrchr(c->listen, ':'), *enrol_colon = strrchr(c->enrol_listen, ':');

    printf("ready listen=%.*s:%d enrol=%.*s:%d", (int)(colon - c->listen), c->listen, ym_hub_port(h),
           (int)(enrol_colon - c->enrol_listen), c->enrol_listen, ym_hub_enrol_port(h));
    if (ym_hub_http_port(h))
        printf(" http=%.*s:%d", (int)(strrchr(c->http, ':') - c->http), c->http, ym_hub_http_port(h));
    putchar('\n');
    fflush(stdout);
}

static int run_serve(const struct ym_cli_args *a)
{
    struct ym_hub_config config;
    struct ym_hub *hub = NULL;
    struct ym_status st = YM_STATUS_INIT;
    sigset_t set;
    int got = 0, exit_code = load_config(state_dir(a), &config);

    if (exit_code != YM_EXIT_DONE)
        return exit_code;
    if (ym_cli_has(a, "n")) {
        say("%s", T(HUB_CONFIG_OK));
        return YM_EXIT_DONE;
    }
    block_signals(&set);
    ym_log_init(PROGRAM);
    ym_rpc_init();
    if (ym_hub_start(state_dir(a), &config, on_failed, NULL, &hub, &st) != YM_OK)
        return ym_cli_fail(PROGRAM, &st);
    print_ready(hub, &config);
    while (sigwait(&set, &got) != 0)
        ;
    ym_hub_stop(&hub);
    say("%s", T(HUB_STOPPED));
    fflush(stdout);
    _exit(got == SIGUSR2 ? YM_EXIT_UNREACHED : YM_EXIT_DONE); /* gRPC's own threads outlive main's destructors */
}

/* ---- visits ---- */

static int run_token(const struct ym_cli_args *a)
{
    const char *role_text = ym_cli_get(a, "role"), *name = ym_cli_get(a, "name"), *ttl = ym_cli_get(a, "ttl");
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf text = {0};
    enum ym_role role;
    char *end = NULL;
    long hours = ttl ? strtol(ttl, &end, 10) : TTL_DEFAULT_HOURS;

    if (!role_text || !name)
        return usage(T(HUB_NEEDS), role_text ? "name" : "role");
    if (ym_role_parse(role_text, &role) != YM_OK || role == YM_ROLE_HUB)
        return usage(T(HUB_ROLE_BAD), role_text);
    if (ttl && (*end || end == ttl || hours < 1 || hours > TTL_MAX_HOURS))
        return usage(T(HUB_TTL_BAD), ttl);
    if (ym_hub_token(state_dir(a), role, name, hours, &text, &st) != YM_OK)
        return ym_cli_fail(PROGRAM, &st);
    printf("%s\n", ym_buf_str(&text));
    ym_buf_wipe(&text);
    return YM_EXIT_DONE;
}

static int run_revoke(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;

    if (ym_hub_revoke(state_dir(a), a->positional[0], &st) != YM_OK)
        return ym_cli_fail(PROGRAM, &st);
    say(T(HUB_REVOKED), a->positional[0]);
    return YM_EXIT_DONE;
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

static bool paused(const char *dir, const char *study)
{
    const json_t *x;
    json_t *o = NULL;
    size_t i;
    bool found = ym_hub_status(dir, &o, NULL) != YM_OK;

    json_array_foreach(json_object_get(o, "studies"), i, x) found |=
        strcmp(text_of(x, "study"), study) == 0 && strcmp(text_of(x, "phase"), "paused") == 0;
    json_decref(o);
    return found;
}

/* Waits for the hub that serves to take it up, so that who looks next sees the study go on. */
static int run_resume(const struct ym_cli_args *a)
{
    const struct timespec pause = {.tv_nsec = RESUME_LOOK_NS};
    struct ym_status st = YM_STATUS_INIT;
    const char *study = a->positional[0];
    int looks = RESUME_LOOKS;

    if (ym_hub_resume(state_dir(a), study, &st) != YM_OK)
        return ym_cli_fail(PROGRAM, &st);
    while (paused(state_dir(a), study) && looks-- > 0)
        nanosleep(&pause, NULL);
    say(looks >= 0 ? T(HUB_RESUMED) : T(HUB_RESUMES_LATER), study);
    return YM_EXIT_DONE;
}

/* ---- status ---- */

static long long int_of(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

/* Roles and phases as the user calls them; any other word as it is. */
static const char *word_of(const json_t *o, const char *key)
{
    static const struct {
        const char *word;
        enum ym_text_id id;
    } known[] = {
        {"hospital", YM_TEXT_HUB_ROLE_HOSPITAL},    {"sponsor", YM_TEXT_HUB_ROLE_SPONSOR},
        {"auditor", YM_TEXT_HUB_ROLE_AUDITOR},      {"offered", YM_TEXT_SPONSOR_PHASE_OFFERED},
        {"open", YM_TEXT_SPONSOR_PHASE_OPEN},       {"deliver", YM_TEXT_SPONSOR_PHASE_DELIVER},
        {"ready", YM_TEXT_SPONSOR_PHASE_READY},     {"collect", YM_TEXT_SPONSOR_PHASE_COLLECT},
        {"fold", YM_TEXT_SPONSOR_PHASE_FOLD},       {"publish", YM_TEXT_SPONSOR_PHASE_PUBLISH},
        {"done", YM_TEXT_SPONSOR_PHASE_DONE},       {"paused", YM_TEXT_SPONSOR_PHASE_PAUSED},
        {"aborted", YM_TEXT_SPONSOR_PHASE_ABORTED},
    };
    const char *word = text_of(o, key);

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].word, word) == 0)
            return ym_text(known[i].id);
    return word;
}

static void add_party(struct ym_listing *t, const json_t *p)
{
    char date[32] = "-";
    time_t at = (time_t)int_of(p, "not_after");
    struct tm tm;

    if (at && gmtime_r(&at, &tm))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
    ym_listing_add(t, "%s", text_of(p, "name"));
    ym_listing_add(t, "%s", word_of(p, "role"));
    if (json_is_true(json_object_get(p, "revoked")))
        ym_listing_add(t, "%s", T(HUB_REVOKED_WORD));
    else
        ym_listing_add(t, T(HUB_VALID_UNTIL), date);
}

static void add_study(struct ym_listing *t, const json_t *y)
{
    ym_listing_add(t, "%s", text_of(y, "study"));
    ym_listing_add(t, "%s", word_of(y, "phase"));
    ym_listing_add(t, T(HUB_STATUS_ROUND), int_of(y, "round"), int_of(y, "attempt"));
    ym_listing_add(t, "%s", text_of(y, "reason"));
}

static void print_list(const char *title, const json_t *list, size_t columns,
                       void (*add)(struct ym_listing *t, const json_t *item))
{
    struct ym_listing t = {.columns = columns, .indent = "  "};
    const json_t *item;
    size_t i;

    printf("%s%s\n", title, json_array_size(list) ? "" : T(HUB_NONE));
    json_array_foreach(list, i, item) add(&t, item);
    ym_listing_print(&t);
}

static void print_status(const json_t *o)
{
    printf(T(HUB_STATUS_HEAD), text_of(o, "federation"), int_of(o, "leaves"));
    printf("\nlog %s\n", text_of(o, "log"));
    print_list(T(HUB_PARTIES), json_object_get(o, "parties"), 3, add_party);
    print_list(T(HUB_STUDIES), json_object_get(o, "studies"), 4, add_study);
}

static int run_status(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    json_t *o = NULL;

    if (ym_hub_status(state_dir(a), &o, &st) != YM_OK)
        return ym_cli_fail(PROGRAM, &st);
    if (ym_cli_has(a, "json")) {
        json_dumpf(o, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
        putchar('\n');
    } else {
        print_status(o);
    }
    json_decref(o);
    return YM_EXIT_DONE;
}

/* ---- the table ---- */

#define DIR_OPTION                                                                                                     \
    {                                                                                                                  \
        "dir", "DIR", YM_TEXT_HUB_HELP_DIR, false                                                                      \
    }
#define END_OPTION                                                                                                     \
    {                                                                                                                  \
        NULL, NULL, (enum ym_text_id)0, false                                                                          \
    }

static const struct ym_cli_option init_options[] = {
    DIR_OPTION,
    {"federation", "NAME", YM_TEXT_HUB_HELP_FEDERATION, false},
    {"listen", "HOST:PORT", YM_TEXT_HUB_HELP_LISTEN, false},
    {"enrol-listen", "HOST:PORT", YM_TEXT_HUB_HELP_ENROL_LISTEN, false},
    {"name", "NAME", YM_TEXT_HUB_HELP_NAMES, true},
    END_OPTION,
};
static const struct ym_cli_option serve_options[] = {
    DIR_OPTION,
    {"n", NULL, YM_TEXT_HUB_HELP_CHECK, false},
    END_OPTION,
};
static const struct ym_cli_option token_options[] = {
    DIR_OPTION,
    {"role", "ROLE", YM_TEXT_HUB_HELP_ROLE, false},
    {"name", "NAME", YM_TEXT_HUB_HELP_NAME, false},
    {"ttl", "HOURS", YM_TEXT_HUB_HELP_TTL, false},
    END_OPTION,
};
static const struct ym_cli_option dir_options[] = {DIR_OPTION, END_OPTION};
static const struct ym_cli_option status_options[] = {
    DIR_OPTION,
    {"json", NULL, YM_TEXT_HUB_HELP_JSON, false},
    END_OPTION,
};

static const struct ym_cli_command commands[] = {
    {"init", "", YM_TEXT_HUB_HELP_INIT, 0, 0, init_options, run_init},
    {"serve", "", YM_TEXT_HUB_HELP_SERVE, 0, 0, serve_options, run_serve},
    {"token", "", YM_TEXT_HUB_HELP_TOKEN, 0, 0, token_options, run_token},
    {"revoke", "NAME", YM_TEXT_HUB_HELP_REVOKE, 1, 1, dir_options, run_revoke},
    {"status", "", YM_TEXT_HUB_HELP_STATUS, 0, 0, status_options, run_status},
    {"resume", "STUDY", YM_TEXT_HUB_HELP_RESUME, 1, 1, dir_options, run_resume},
    {NULL, NULL, (enum ym_text_id)0, 0, 0, NULL, NULL},
};

int main(int argc, char **argv)
{
    return ym_cli_main(PROGRAM, YM_TEXT_HUB_ABOUT, commands, argc, argv);
}
