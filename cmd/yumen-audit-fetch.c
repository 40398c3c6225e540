#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "audit/ledger/pull.h"
#include "audit/verify/trust.h"
#include "base/cli.h"
#include "web/client.h"

#define PROGRAM "yumen-audit-fetch"
#define TIMEOUT_DEFAULT_S 60
#define TIMEOUT_MAX_S 3600
#define CONNECT_S 15
#define STALL_S 20
#define TRIES 3 /* of a file, once anything has come */

struct fetch {
    struct ym_web_client *web;
    bool reached, watched;
    uint64_t shown;
    struct ym_trust trust;
};

static void pause_s(int seconds)
{
    nanosleep(&(struct timespec){seconds, 0}, NULL);
}

/* A connection that broke in the middle is tried again; one that never was is not. */
static enum ym_code get_file(void *ctx, const char *path, size_t limit, struct ym_buf *out, struct ym_status *st)
{
    struct fetch *f = ctx;
    enum ym_code code = ym_web_get(f->web, path, limit, out, st);

    for (int tried = 1; (code == YM_UNAVAILABLE || code == YM_DEADLINE) && f->reached && tried < TRIES; tried++) {
        pause_s(tried);
        code = ym_web_get(f->web, path, limit, out, st);
    }
    f->reached |= code == YM_OK;
    return code;
}

static void show_progress(void *ctx, uint64_t have, uint64_t size)
{
    struct fetch *f = ctx;

    if (!f->watched || size == 0 || (100 * have / size == f->shown && have != size))
        return;
    f->shown = 100 * have / size;
    fprintf(stderr, "\r%3" PRIu64 " %%", f->shown);
    if (have >= size - size % 256)
        fputs("\r      \r", stderr);
    fflush(stderr);
}

/* A good cosignature of a witness that the trust file names. */
static bool keep_line(void *ctx, struct ym_bytes text, struct ym_bytes line)
{
    const struct fetch *f = ctx;
    struct ym_buf note = {0};
    struct ym_vnote parsed;
    bool good = ym_buf_append(&note, text.data, text.len) == YM_OK && ym_buf_puts(&note, "\n") == YM_OK &&
                ym_buf_append(&note, line.data, line.len) == YM_OK && ym_vnote_parse(ym_buf_bytes(&note), &parsed);
    bool known = false;

    for (size_t i = 0; good && !known && i < f->trust.witness_count; i++)
        known = ym_vnote_check(&parsed, &f->trust.witness[i]) == YM_VNOTE_SIGNED;
    ym_buf_release(&note);
    return known;
}

/* The key that must sign: from the trust file; without one, the key of leaf 0. */
static enum ym_code find_key(const struct ym_cli_args *a, const struct fetch *f, const struct ym_pull_source *source,
                             char origin[256], uint8_t pub[YM_PUBKEY_BYTES], struct ym_status *st)
{
    const struct ym_vkey *key;
    enum ym_code code = ym_pull_origin(source, origin, st);

    if (code != YM_OK || !ym_cli_has(a, "trust"))
        return code == YM_OK ? ym_pull_owner(source, pub, st) : code;
    key = ym_trust_find(&f->trust, origin);
    if (!key)
        return ym_status_set(st, YM_DENIED, "the log calls itself '%.200s'; '%.200s' has no key of that name", origin,
                             ym_cli_get(a, "trust"));
    memcpy(pub, key->pub, YM_PUBKEY_BYTES);
    return YM_OK;
}

static enum ym_code fetch(const struct ym_cli_args *a, struct fetch *f, char origin[256], struct ym_pulled *out,
                          struct ym_status *st)
{
    struct ym_pull_source source = {.get = get_file, .progress = show_progress, .ctx = f};
    uint8_t pub[YM_PUBKEY_BYTES];
    enum ym_code code = YM_OK;

    if (ym_cli_has(a, "trust"))
        code = ym_trust_load(ym_cli_get(a, "trust"), &f->trust, st);
    if (f->trust.witness_count > 0)
        source.keep_line = keep_line;
    if (code == YM_OK)
        code = find_key(a, f, &source, origin, pub, st);
    return code == YM_OK ? ym_ledger_pull(a->positional[1], origin, pub, &source, out, st) : code;
}

static void print_done(const struct ym_cli_args *a, const char *origin, const struct ym_pulled *p)
{
    if (p->before == p->size)
        printf(T(AUDIT_FETCH_SAME), origin, p->size, a->positional[1]);
    else
        printf(T(AUDIT_FETCH_DONE), origin, p->size, p->size - p->before, a->positional[1]);
    putchar('\n');
    if (!ym_cli_has(a, "trust"))
        fprintf(stderr, "%s\n", T(AUDIT_FETCH_UNANCHORED));
}

static int explain(const struct ym_status *st, bool reached)
{
    int rc = ym_cli_fail(PROGRAM, st);

    if (st->code == YM_CONFLICT)
        fprintf(stderr, "%s\n", T(AUDIT_FETCH_CONFLICT));
    else if (reached && rc == YM_EXIT_UNREACHED)
        fprintf(stderr, "%s\n", T(AUDIT_FETCH_RESUME));
    return rc;
}

static bool read_timeout(const struct ym_cli_args *a, long *out)
{
    const char *text = ym_cli_get(a, "timeout");
    char *end = NULL;

    *out = text ? strtol(text, &end, 10) : TIMEOUT_DEFAULT_S;
    if (!text || (*text >= '0' && *text <= '9' && !*end && *out >= 1 && *out <= TIMEOUT_MAX_S))
        return true;
    fputs(PROGRAM ": ", stderr);
    fprintf(stderr, T(AUDIT_FETCH_TIMEOUT), text, TIMEOUT_MAX_S);
    fputc('\n', stderr);
    return false;
}

static int run(const struct ym_cli_args *a)
{
    struct ym_web_limits limits = {CONNECT_S, 0, STALL_S};
    struct ym_status st = YM_STATUS_INIT;
    struct fetch f = {.watched = isatty(STDERR_FILENO)};
    struct ym_pulled pulled = {0};
    char origin[256];
    enum ym_code code;

    if (!read_timeout(a, &limits.total_s))
        return YM_EXIT_USAGE;
    code = ym_web_client_open(a->positional[0], &limits, &f.web, &st);
    if (code == YM_OK)
        code = fetch(a, &f, origin, &pulled, &st);
    ym_web_client_close(&f.web);
    ym_trust_release(&f.trust);
    if (code != YM_OK)
        return explain(&st, f.reached);
    print_done(a, origin, &pulled);
    return YM_EXIT_DONE;
}

static const struct ym_cli_option options[] = {{"trust", "FILE", YM_TEXT_AUDIT_HELP_TRUST, false},
                                               {"timeout", "SECONDS", YM_TEXT_AUDIT_HELP_TIMEOUT, false},
                                               {NULL, NULL, 0, false}};

static const struct ym_cli_command commands[] = {
    {"", "URL DIR", YM_TEXT_AUDIT_HELP_FETCH, 2, 2, options, run},
    {NULL, NULL, 0, 0, 0, NULL, NULL},
};

int main(int argc, char **argv)
{
    return ym_cli_main(PROGRAM, YM_TEXT_AUDIT_FETCH_ABOUT, commands, argc, argv);
}
