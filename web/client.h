#ifndef YM_WEB_CLIENT_H
#define YM_WEB_CLIENT_H

#include "base/buf.h"

/* HTTP and HTTPS requests on libcurl, one at a time on a kept connection. No
 * redirects, no proxy but the environment's, no cookies, no credentials, no
 * other protocols. HTTPS is checked against the system's authorities. Not
 * thread-safe; one object a thread. */
struct ym_web_client;

struct ym_web_limits {
    long connect_s; /* to connect */
    long total_s;   /* a request in all */
    long stall_s;   /* no more than 100 bytes a second for this long ends it; 0: no such rule */
};

/* YM_INVALID unless url is http:// or https:// with a host and nothing of user,
 * query or fragment. A slash at its end is not needed. */
enum ym_code ym_web_client_open(const char *url, const struct ym_web_limits *limits, struct ym_web_client **out,
                                struct ym_status *st);
void ym_web_client_close(struct ym_web_client **c);
/* From any thread: what is under way, and all that is asked later, ends as YM_UNAVAILABLE within about a second. */
void ym_web_client_cancel(struct ym_web_client *c);

/* GET url/path; the body of an answer 200 is appended to out.
 *   limit  bytes of body; more is YM_EXHAUSTED
 * YM_NOT_FOUND: 404; YM_DENIED: a redirect; YM_UNAVAILABLE: not reached, or
 * another status; YM_DEADLINE: a time limit. out is untouched on failure. */
enum ym_code ym_web_get(struct ym_web_client *c, const char *path, size_t limit, struct ym_buf *out,
                        struct ym_status *st);
/* POST url/path; whatever status came is in *status and its body, at most limit
 * bytes, appended to out. */
enum ym_code ym_web_post(struct ym_web_client *c, const char *path, struct ym_bytes body, size_t limit, long *status,
                         struct ym_buf *out, struct ym_status *st);

#endif
