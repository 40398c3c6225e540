#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/cosign.h"
#include "audit/ledger/tiles.h"
#include "coordinator/hub_internal.h"
#include "web/server.h"

/* The log as static files over HTTP (C2SP tlog-tiles): names by a grammar of
 * their own, so that nothing else of the folder can be asked for. The files are
 * replaced whole by the core, hence no lock. */

struct hub_publisher {
    int root; /* the ledger's folder */
    struct ym_web_server *server;
    pthread_mutex_t lock;
    uint64_t size; /* of the newest checkpoint that a witness cosigned */
    struct ym_buf lines;
};

#define SEALED_DIGITS 20

/* A file of at most limit bytes; false: not there, or larger. */
static bool read_note(const struct hub_publisher *p, const char *name, size_t limit, struct ym_buf *out)
{
    int fd = openat(p->root, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = -1;

    if (fd >= 0 && ym_buf_reserve(out, limit + 1) == YM_OK)
        len = read(fd, out->data, limit + 1);
    if (fd >= 0)
        close(fd);
    if (len <= 0 || (size_t)len > limit)
        return false;
    out->len = (size_t)len;
    out->data[len] = 0;
    return true;
}

static void give_note(const struct ym_buf *note, struct ym_web_answer *out)
{
    if (note->len == 0 || ym_buf_append(&out->body, note->data, note->len) != YM_OK) {
        ym_web_say(out, 404, "there is no such checkpoint");
        return;
    }
    out->status = 200;
    out->content_type = "text/plain; charset=utf-8";
    out->cache_control = "no-cache";
}

static uint64_t note_size(const struct ym_buf *note)
{
    const char *line = strchr(ym_buf_str(note), '\n');

    return line ? strtoull(line + 1, NULL, 10) : 0;
}

static void add_lines(struct hub_publisher *p, struct ym_buf *note)
{
    const char *at, *end;

    pthread_mutex_lock(&p->lock);
    for (at = p->size == note_size(note) ? ym_buf_str(&p->lines) : ""; *at; at = end) {
        end = strchrnul(at, '\n');
        end += *end != 0;
        if (!memmem(note->data, note->len, at, (size_t)(end - at)) &&
            note->len + (size_t)(end - at) <= YM_CHECKPOINT_MAX)
            ym_buf_append(note, at, (size_t)(end - at));
    }
    pthread_mutex_unlock(&p->lock);
}

/* With the cosignatures that came in: sealed ones from the file, a witness's of the newest from memory. */
static void give_checkpoint(struct hub_publisher *p, struct ym_web_answer *out)
{
    struct ym_buf note = {0}, sealed = {0};
    char name[64];

    if (read_note(p, "checkpoint", YM_CHECKPOINT_MAX, &note)) {
        snprintf(name, sizeof name, "cosigned/%0*" PRIu64, SEALED_DIGITS, note_size(&note));
        if (read_note(p, name, YM_CHECKPOINT_MAX, &sealed)) {
            ym_buf_clear(&note);
            ym_buf_append(&note, sealed.data, sealed.len);
        }
        add_lines(p, &note);
    } else {
        note.len = 0;
    }
    give_note(&note, out);
    ym_buf_release(&note);
    ym_buf_release(&sealed);
}

static void give_sealed(struct hub_publisher *p, const char *name, struct ym_web_answer *out)
{
    struct ym_buf note = {0};

    if (!read_note(p, name, YM_COSIGNED_MAX, &note))
        note.len = 0;
    give_note(&note, out);
    ym_buf_release(&note);
}

static bool is_sealed_name(const char *path)
{
    return strncmp(path, "cosigned/", 9) == 0 && strspn(path + 9, "0123456789") == SEALED_DIGITS &&
           path[9 + SEALED_DIGITS] == 0;
}

void hub_publish_line(struct ym_hub *h, uint64_t size, struct ym_bytes line)
{
    struct hub_publisher *p = h->publisher;

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    if (size > p->size)
        ym_buf_clear(&p->lines);
    if (size >= p->size && p->lines.len + line.len <= YM_CHECKPOINT_MAX) {
        p->size = size;
        ym_buf_append(&p->lines, line.data, line.len);
    }
    pthread_mutex_unlock(&p->lock);
}

static void give_tile(struct hub_publisher *p, const struct ym_tile_name *name, struct ym_web_answer *out)
{
    enum ym_code code = ym_tile_open(p->root, name, &out->fd, &out->file_bytes, NULL);

    if (code != YM_OK) {
        ym_web_say(out, code == YM_NOT_FOUND ? 404 : 500, "there is no such tile");
        return;
    }
    out->from_file = true;
    out->status = 200;
    out->content_type = "application/octet-stream";
    out->cache_control = "public, max-age=31536000, immutable";
}

static void on_get(void *ctx, const char *path, struct ym_web_answer *out)
{
    struct ym_tile_name tile;

    if (strcmp(path, "/checkpoint") == 0)
        give_checkpoint(ctx, out);
    else if (path[0] == '/' && is_sealed_name(path + 1))
        give_sealed(ctx, path + 1, out);
    else if (path[0] == '/' && ym_tile_name_parse(path + 1, &tile))
        give_tile(ctx, &tile, out);
    else
        ym_web_say(out, 404, "this is the log of a federation: /checkpoint and /tile/... are served, nothing else");
}

enum ym_code hub_publish_start(struct ym_hub *h, struct ym_status *st)
{
    struct ym_web_handler handler = {.get = on_get};
    struct hub_publisher *p;
    enum ym_code code;

    if (!h->config.http[0])
        return YM_OK;
    p = handler.ctx = calloc(1, sizeof *p);
    if (!p)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    h->publisher = p;
    pthread_mutex_init(&p->lock, NULL);
    p->root = open(h->ledger_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->root < 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot open '%s': %s", h->ledger_dir, strerror(errno));
    code = ym_web_server_start(h->config.http, &handler, &p->server, st);
    return code == YM_OK ? code : ym_status_wrap(st, code, "http");
}

int ym_hub_http_port(const struct ym_hub *h)
{
    return h->publisher ? ym_web_server_port(h->publisher->server) : 0;
}

void hub_publish_stop(struct ym_hub *h)
{
    struct hub_publisher *p = h->publisher;

    h->publisher = NULL;
    if (!p)
        return;
    ym_web_server_stop(&p->server);
    if (p->root >= 0)
        close(p->root);
    ym_buf_release(&p->lines);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
