#ifndef YM_WEB_SERVER_H
#define YM_WEB_SERVER_H

#include "base/buf.h"

/* A small HTTP/1.1 server for public bytes and short requests, on libmicrohttpd;
 * without TLS, for what it serves carries signatures of its own. One thread.
 * Bounded whatever a client does: YM_WEB_CONNECTIONS at once, YM_WEB_PER_ADDRESS
 * of one address, 16 KiB of headers, ten seconds of silence, two minutes a
 * connection in all. */
#define YM_WEB_CONNECTIONS 64
#define YM_WEB_PER_ADDRESS 16
#define YM_WEB_IDLE_S 10
#define YM_WEB_LIFE_S 120

struct ym_web_answer {
    unsigned status;           /* HTTP status; 0 becomes 500 */
    const char *content_type;  /* static text; NULL: text/plain */
    const char *cache_control; /* static text; NULL: no-store */
    struct ym_buf body;        /* taken by the server */
    bool from_file;            /* the first file_bytes of fd instead; taken too */
    int fd;
    uint64_t file_bytes;
};

/* path: of the request, percent-escapes as they came, without the query. body: of a
 * POST, else empty. Called on the server's thread, one at a time. */
struct ym_web_handler {
    void (*get)(void *ctx, const char *path, struct ym_web_answer *out); /* GET and HEAD */
    /* NULL: GET and HEAD only. */
    void (*post)(void *ctx, const char *path, struct ym_bytes body, struct ym_web_answer *out);
    size_t body_max; /* bytes of a POST; more is answered 413 */
    void *ctx;
};

/* listen: "host:port", host an address or a name of this machine, IPv6 in
 * brackets; port 0 takes a free one. YM_INVALID, or YM_UNAVAILABLE where the
 * port cannot be taken. */
struct ym_web_server;
enum ym_code ym_web_server_start(const char *listen, const struct ym_web_handler *handler, struct ym_web_server **out,
                                 struct ym_status *st);
int ym_web_server_port(const struct ym_web_server *s);
void ym_web_server_stop(struct ym_web_server **s); /* cuts what is under way; NULL is fine */

/* Status and a short English line, for a handler. */
void ym_web_say(struct ym_web_answer *out, unsigned status, const char *text);

#endif
