#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/witness/witness.h"
#include "base/cli.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "gate/schema.h"
#include "web/server.h"

#define PROGRAM "yumen-witness"
#define LISTEN_DEFAULT "127.0.0.1:7446"

struct config {
    char name[256], listen[128];
};

static const char *state_dir(const struct ym_cli_args *a)
{
    const char *dir = ym_cli_get(a, "dir");

    if (!dir)
        dir = getenv("YUMEN_DIR");
    return dir && *dir ? dir : ".";
}

/* ---- witness.yaml ---- */

static void read_config(struct ym_schema *s, struct config *c)
{
    static const char *const known[] = {"name", "listen", NULL};
    struct ym_at root = ym_schema_root(s);
    const char *colon;

    ym_schema_keys(s, &root, known);
    ym_schema_text(s, &root, "name", NULL, c->name, sizeof c->name);
    if (!ym_schema_text(s, &root, "listen", LISTEN_DEFAULT, c->listen, sizeof c->listen))
        return;
    colon = strrchr(c->listen, ':');
    if (!colon || colon == c->listen || !colon[1])
        ym_schema_say(s, &root, "listen", T(HUB_CONFIG_ADDRESS), c->listen);
}

static int load_config(const char *dir, struct config *c)
{
    struct ym_problems problems = {0};
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf text = {0};
    struct ym_doc *doc = NULL;
    struct ym_schema s;
    char path[4096];
    int rc = YM_EXIT_DONE;
    enum ym_code code = ym_fs_join(path, sizeof path, dir, "witness.yaml");

    if (code == YM_OK)
        code = ym_doc_load(path, &doc, &problems, &st);
    if (code == YM_OK) {
        ym_schema_begin(&s, doc, &problems);
        read_config(&s, c);
        code = ym_schema_end(&s, 4096, &text, &st);
        ym_schema_release(&s);
    }
    ym_buf_clear(&text);
    if (code != YM_OK && problems.count && ym_problems_format(&problems, &text) == YM_OK) {
        fputs(ym_buf_str(&text), stderr);
        rc = YM_EXIT_USAGE;
    } else if (code != YM_OK) {
        rc = ym_cli_fail(PROGRAM, &st);
    }
    ym_buf_release(&text);
    ym_doc_free(doc);
    ym_problems_release(&problems);
    return rc;
}

static enum ym_code write_config(const char *dir, const char *name, const char *listen, struct ym_status *st)
{
    char path[4096];
    struct ym_buf text = {0};
    enum ym_code code = ym_fs_join(path, sizeof path, dir, "witness.yaml");

    if (code == YM_OK)
        code = ym_buf_printf(&text, "name: \"%s\"\nlisten: \"%s\"\n", name, listen);
    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(&text), 0600, st);
    ym_buf_release(&text);
    return code;
}

/* ---- init, add ---- */

static int run_init(const struct ym_cli_args *a)
{
    const char *name = ym_cli_get(a, "name"), *listen = ym_cli_get(a, "listen");
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf vkey = {0};
    enum ym_code code;

    if (!name) {
        fprintf(stderr, PROGRAM ": ");
        fprintf(stderr, T(HUB_NEEDS), "name");
        fputc('\n', stderr);
        return YM_EXIT_USAGE;
    }
    code = ym_witness_create(state_dir(a), name, &vkey, &st);
    if (code == YM_OK)
        code = write_config(state_dir(a), name, listen ? listen : LISTEN_DEFAULT, &st);
    for (size_t i = 0; code == YM_OK && ym_cli_nth(a, "log", i); i++)
        code = ym_witness_add(state_dir(a), ym_cli_nth(a, "log", i), &st);
    if (code == YM_OK) {
        fprintf(stderr, "%s\n", T(WITNESS_INIT_DONE));
        printf("witness %s %s\n", name, ym_buf_str(&vkey));
    }
    ym_buf_release(&vkey);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail(PROGRAM, &st);
}

static int run_add(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;

    if (ym_witness_add(state_dir(a), a->positional[0], &st) != YM_OK)
        return ym_cli_fail(PROGRAM, &st);
    fprintf(stderr, "%s\n", T(WITNESS_ADDED));
    return YM_EXIT_DONE;
}

/* ---- serve ---- */

static void on_get(void *ctx, const char *path, struct ym_web_answer *out)
{
    char hash[65];
    int end = 0;

    if (sscanf(path, "/%64[0-9a-f]/checkpoint%n", hash, &end) != 1 || end == 0 || path[end]) {
        ym_web_say(out, 404, "POST /add-checkpoint and GET /<origin hash>/checkpoint are served, nothing else");
        return;
    }
    out->status = ym_witness_latest(ctx, hash, &out->body);
    out->cache_control = "no-cache";
}

static void on_post(void *ctx, const char *path, struct ym_bytes body, struct ym_web_answer *out)
{
    if (strcmp(path, "/add-checkpoint") != 0) {
        ym_web_say(out, 404, "POST /add-checkpoint is served, nothing else");
        return;
    }
    out->status = ym_witness_take(ctx, body, ym_clock_unix(), &out->body);
    if (out->status == 409)
        out->content_type = "text/x.tlog.size";
    ym_log(out->status == 422 || out->status == 500 ? YM_LOG_WARN : YM_LOG_INFO, "witness.asked", "status=%u",
           out->status);
}

static int serve(const struct ym_cli_args *a, const struct config *c)
{
    struct ym_web_handler handler = {on_get, on_post, YM_WITNESS_BODY_MAX, NULL};
    struct ym_status st = YM_STATUS_INIT;
    struct ym_witness *w = NULL;
    struct ym_web_server *server = NULL;
    sigset_t set;
    int got;
    enum ym_code code = ym_witness_open(state_dir(a), c->name, &w, &st);

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL); /* before any thread: all inherit it */
    signal(SIGPIPE, SIG_IGN);
    handler.ctx = w;
    if (code == YM_OK)
        code = ym_web_server_start(c->listen, &handler, &server, &st);
    if (code == YM_OK) {
        printf("ready listen=%.*s:%d logs=%zu\n", (int)(strrchr(c->listen, ':') - c->listen), c->listen,
               ym_web_server_port(server), ym_witness_logs(w));
        fflush(stdout);
        while (sigwait(&set, &got) != 0)
            ;
    }
    ym_web_server_stop(&server);
    ym_witness_close(&w);
    return code == YM_OK ? YM_EXIT_DONE : ym_cli_fail(PROGRAM, &st);
}

static int run_serve(const struct ym_cli_args *a)
{
    struct config c = {0};
    int rc = load_config(state_dir(a), &c);

    if (rc != YM_EXIT_DONE)
        return rc;
    ym_log_init(PROGRAM);
    return serve(a, &c);
}

static const struct ym_cli_option init_options[] = {{"dir", "DIR", YM_TEXT_WITNESS_HELP_DIR, false},
                                                    {"name", "NAME", YM_TEXT_WITNESS_HELP_NAME, false},
                                                    {"listen", "HOST:PORT", YM_TEXT_WITNESS_HELP_LISTEN, false},
                                                    {"log", "KEY", YM_TEXT_WITNESS_HELP_LOG, true},
                                                    {NULL, NULL, 0, false}};
static const struct ym_cli_option dir_options[] = {{"dir", "DIR", YM_TEXT_WITNESS_HELP_DIR, false},
                                                   {NULL, NULL, 0, false}};

static const struct ym_cli_command commands[] = {
    {"init", "", YM_TEXT_WITNESS_HELP_INIT, 0, 0, init_options, run_init},
    {"add", "KEY", YM_TEXT_WITNESS_HELP_ADD, 1, 1, dir_options, run_add},
    {"serve", "", YM_TEXT_WITNESS_HELP_SERVE, 0, 0, dir_options, run_serve},
    {NULL, NULL, 0, 0, 0, NULL, NULL},
};

int main(int argc, char **argv)
{
    return ym_cli_main(PROGRAM, YM_TEXT_WITNESS_ABOUT, commands, argc, argv);
}
