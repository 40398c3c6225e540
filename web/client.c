#include "web/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_BYTES 2048

struct ym_web_client {
    CURL *curl;
    char url[URL_BYTES]; /* without a slash at its end */
    char error[CURL_ERROR_SIZE];
    struct ym_buf body;
    size_t limit;
    bool too_large;
    atomic_bool cancelled;
};

static void init_once(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_body(char *data, size_t one, size_t len, void *ctx)
{
    struct ym_web_client *c = ctx;

    c->too_large = len > c->limit - c->body.len;
    if (c->too_large || ym_buf_append(&c->body, data, one * len) != YM_OK)
        return 0; /* ends the transfer */
    return len;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct ym_web_client *client = ctx;

    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&client->cancelled);
}

void ym_web_client_cancel(struct ym_web_client *c)
{
    atomic_store(&c->cancelled, true);
}

static bool url_good(const char *url)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *part = NULL;
    bool good = u && strlen(url) < URL_BYTES - 256 && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    static const CURLUPart none[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT};

    for (size_t i = 0; good && i < sizeof none / sizeof none[0]; i++) {
        good = curl_url_get(u, none[i], &part, 0) != CURLUE_OK;
        curl_free(part);
        part = NULL;
    }
    curl_free(scheme);
    curl_url_cleanup(u);
    return good;
}

static bool set_options(struct ym_web_client *c, const struct ym_web_limits *l)
{
    CURL *e = c->curl;

    return curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_XFERINFODATA, c) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, l->connect_s) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_TIMEOUT, l->total_s) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 100L) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, l->stall_s) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_USERAGENT, "yumen") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_WRITEDATA, c) == CURLE_OK;
}

enum ym_code ym_web_client_open(const char *url, const struct ym_web_limits *limits, struct ym_web_client **out,
                                struct ym_status *st)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct ym_web_client *c;
    size_t len = strlen(url);

    pthread_once(&once, init_once);
    if (!url_good(url))
        return ym_status_set(st, YM_INVALID,
                             "'%.200s' is not a URL to fetch from; write http://host/path or https://host/path", url);
    c = calloc(1, sizeof *c);
    if (!c || !(c->curl = curl_easy_init()) || !set_options(c, limits)) {
        ym_web_client_close(&c);
        return ym_status_set(st, YM_EXHAUSTED, "cannot prepare a connection");
    }
    while (len > 0 && url[len - 1] == '/')
        len--;
    memcpy(c->url, url, len);
    *out = c;
    return YM_OK;
}

void ym_web_client_close(struct ym_web_client **client)
{
    struct ym_web_client *c = *client;

    if (!c)
        return;
    *client = NULL;
    if (c->curl)
        curl_easy_cleanup(c->curl);
    ym_buf_release(&c->body);
    free(c);
}

/* One exchange; the body is in c->body. */
static enum ym_code perform(struct ym_web_client *c, const char *path, size_t limit, long *status, struct ym_status *st)
{
    char url[URL_BYTES];
    CURLcode code;

    if (snprintf(url, sizeof url, "%s/%s", c->url, path) >= (int)sizeof url)
        return ym_status_set(st, YM_INVALID, "the address is too long");
    ym_buf_clear(&c->body);
    c->limit = limit;
    c->too_large = false;
    c->error[0] = 0;
    if (curl_easy_setopt(c->curl, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(c->curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)limit) != CURLE_OK)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    code = curl_easy_perform(c->curl);
    if (c->too_large || code == CURLE_FILESIZE_EXCEEDED)
        return ym_status_set(st, YM_EXHAUSTED, "'%.300s' is larger than %zu bytes", url, limit);
    if (code != CURLE_OK)
        return ym_status_set(st, code == CURLE_OPERATION_TIMEDOUT ? YM_DEADLINE : YM_UNAVAILABLE, "'%.300s': %.200s",
                             url, c->error[0] ? c->error : curl_easy_strerror(code));
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, status);
    return YM_OK;
}

static enum ym_code keep_body(struct ym_web_client *c, struct ym_buf *out, struct ym_status *st)
{
    if (ym_buf_append(out, c->body.data, c->body.len) != YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    return YM_OK;
}

enum ym_code ym_web_get(struct ym_web_client *c, const char *path, size_t limit, struct ym_buf *out,
                        struct ym_status *st)
{
    long status = 0;
    enum ym_code code;

    curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
    code = perform(c, path, limit, &status, st);
    if (code != YM_OK)
        return code;
    if (status == 200)
        return keep_body(c, out, st);
    if (status >= 300 && status < 400)
        return ym_status_set(
            st, YM_DENIED, "'%.200s/%.100s' sends elsewhere (%ld); redirects are not followed: give the address itself",
            c->url, path, status);
    return ym_status_set(st, status == 404 ? YM_NOT_FOUND : YM_UNAVAILABLE, "'%.200s/%.100s' answers %ld", c->url, path,
                         status);
}

enum ym_code ym_web_post(struct ym_web_client *c, const char *path, struct ym_bytes body, size_t limit, long *status,
                         struct ym_buf *out, struct ym_status *st)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: text/plain; charset=utf-8");
    enum ym_code code = YM_EXHAUSTED;

    if (headers && curl_easy_setopt(c->curl, CURLOPT_POST, 1L) == CURLE_OK &&
        curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) == CURLE_OK &&
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.len ? (const char *)body.data : "") == CURLE_OK)
        code = perform(c, path, limit, status, st);
    else
        ym_status_set(st, code, "out of memory");
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return code == YM_OK ? keep_body(c, out, st) : code;
}
