#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/tiles.h"
#include "coordinator/hub_internal.h"
#include "web/server.h"

/* The log as static files over HTTP (C2SP tlog-tiles): names by a grammar of
 * their own, so that nothing else of the folder can be asked for. The files are
 * replaced whole by the core, hence no lock. */

struct hub_publisher {
    int root; /* the ledger's folder */
    struct ym_web_server *server;
};

static void give_note(struct hub_publisher *p, const char *name, struct ym_web_answer *out)
{
    uint8_t note[YM_CHECKPOINT_MAX];
    int fd = openat(p->root, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = fd < 0 ? -1 : read(fd, note, sizeof note);

    if (fd >= 0)
        close(fd);
    if (len <= 0 || ym_buf_append(&out->body, note, (size_t)len) != YM_OK) {
        ym_web_say(out, 404, "there is no such checkpoint");
        return;
    }
    out->status = 200;
    out->content_type = "text/plain; charset=utf-8";
    out->cache_control = "no-cache";
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
        give_note(ctx, path + 1, out);
    else if (path[0] == '/' && ym_tile_name_parse(path + 1, &tile))
        give_tile(ctx, &tile, out);
    else
        ym_web_say(out, 404, "this is the log of a federation: /checkpoint and /tile/... are served, nothing else");
}

enum ym_code hub_publish_start(struct ym_hub *h, struct ym_status *st)
{
    struct ym_web_handler handler = {.get = on_get};
    struct hub_publisher *p;
    char path[4096];
    enum ym_code code;

    if (!h->config.http[0])
        return YM_OK;
    p = handler.ctx = calloc(1, sizeof *p);
    if (!p)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    h->publisher = p;
    snprintf(path, sizeof path, "%s/ledger", h->dir);
    p->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->root < 0)
        return ym_status_set(st, YM_UNAVAILABLE, "cannot open '%s': %s", path, strerror(errno));
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
    free(p);
}
