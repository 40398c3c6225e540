#include "worker/gateway/home.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "gate/schema.h"

enum { FILE_MAX = 256 * 1024, SOCKET_PATH_MAX = 107 };

enum ym_code ym_home_path(const struct ym_home *h, const char *part, const char *name, char out[YM_HOME_PATH])
{
    int n = snprintf(out, YM_HOME_PATH, "%s/%s%s%s", h->dir, part, name ? "/" : "", name ? name : "");

    return n > 0 && n < YM_HOME_PATH ? YM_OK : YM_INVALID;
}

static enum ym_code read_file(const struct ym_home *h, const char *name, struct ym_buf *out, struct ym_status *st)
{
    char path[YM_HOME_PATH];
    enum ym_code code = ym_home_path(h, name, NULL, path);

    return code == YM_OK ? ym_fs_read(path, FILE_MAX, out, st) : code;
}

static enum ym_code write_file(const struct ym_home *h, const char *name, struct ym_bytes data, struct ym_status *st)
{
    char path[YM_HOME_PATH];
    enum ym_code code = ym_home_path(h, name, NULL, path);

    return code == YM_OK ? ym_fs_write(path, data, 0600, st) : code;
}

/* ---- gateway.yaml ---- */

static void read_config(struct ym_schema *s, struct ym_home *h)
{
    static const char *const keys[] = {"yumen", "name", "trainer", NULL};
    static const char *const formats[] = {"gateway/1", NULL};
    struct ym_at at = ym_schema_root(s);

    ym_schema_keys(s, &at, keys);
    ym_schema_choice(s, &at, "yumen", NULL, formats, &(size_t){0});
    ym_schema_name(s, &at, "name", h->name);
    ym_schema_text(s, &at, "trainer", NULL, h->trainer, SOCKET_PATH_MAX + 1);
}

static enum ym_code load_config(struct ym_home *h, struct ym_problems *p, struct ym_status *st)
{
    struct ym_schema schema;
    struct ym_doc *doc = NULL;
    struct ym_buf canonical = {0};
    char path[YM_HOME_PATH];
    enum ym_code code = ym_home_path(h, "gateway.yaml", NULL, path);

    if (code == YM_OK)
        code = ym_doc_load(path, &doc, p, st);
    if (code != YM_OK)
        return ym_status_wrap(st, code, "no readable gateway in \"%s\"", h->dir);
    ym_schema_begin(&schema, doc, p);
    read_config(&schema, h);
    code = ym_schema_end(&schema, FILE_MAX, &canonical, st);
    ym_schema_release(&schema);
    ym_buf_release(&canonical);
    ym_doc_free(doc);
    return code;
}

/* ---- keys ---- */

static enum ym_code load_key(struct ym_home *h, bool make, struct ym_status *st)
{
    struct ym_buf secret = {0};
    char path[YM_HOME_PATH];
    enum ym_code code = ym_home_path(h, "tls.key", NULL, path);

    if (code == YM_OK && !make && !ym_fs_exists(path))
        return YM_OK;
    if (code == YM_OK)
        code = ym_secret_load(h->dir, make, &secret, st);
    if (code == YM_OK && ym_fs_exists(path)) {
        code = ym_pem_load(path, ym_buf_bytes(&secret), &h->key, st);
    } else if (code == YM_OK) {
        code = ym_tls_key_generate(&h->key, st);
        if (code == YM_OK)
            code = ym_pem_save(path, ym_buf_bytes(&h->key), ym_buf_bytes(&secret), st);
    }
    ym_buf_wipe(&secret);
    if (code == YM_OK)
        code = ym_cert_self(ym_buf_bytes(&h->key), ym_clock_unix(), &h->self_cert, st);
    return code == YM_OK ? ym_cert_spki_hash(ym_buf_bytes(&h->self_cert), h->spki, st) : code;
}

/* ---- enrolment ---- */

static enum ym_code read_hub(struct ym_home *h, struct ym_status *st)
{
    json_t *o = NULL;
    const char *hub = "";
    enum ym_code code = read_file(h, "hub.json", &h->answer, st);

    if (code == YM_OK)
        code = ym_json_parse(h->answer.data, h->answer.len, FILE_MAX, &o, st);
    if (code == YM_OK)
        code = ym_json_get_str(o, "hub", &hub, st);
    if (code == YM_OK && strlen(hub) >= sizeof h->hub)
        code = ym_status_set(st, YM_CORRUPT, "the hub's address in hub.json is too long");
    if (code == YM_OK)
        snprintf(h->hub, sizeof h->hub, "%s", hub);
    json_decref(o);
    return code;
}

static enum ym_code read_enrolment(struct ym_home *h, struct ym_status *st)
{
    enum ym_code code = read_hub(h, st);

    if (code == YM_OK)
        code = read_file(h, "ca.pem", &h->ca, st);
    if (code == YM_OK)
        code = read_file(h, "tls.pem", &h->cert, st);
    if (code == YM_OK)
        code = ym_cert_validity(ym_buf_bytes(&h->cert), &h->not_before, &h->not_after, st);
    if (code == YM_OK)
        code = ym_cert_check(ym_buf_bytes(&h->key), ym_buf_bytes(&h->cert), ym_buf_bytes(&h->ca), ym_clock_unix(), st);
    h->enrolled = code == YM_OK;
    return code;
}

/* A certificate that ran out must not keep the daemon from starting: a new
 * enrolment goes through it. */
static enum ym_code load_enrolment(struct ym_home *h, bool check_only, struct ym_status *st)
{
    struct ym_status why = YM_STATUS_INIT;
    char path[YM_HOME_PATH];
    enum ym_code code = ym_home_path(h, "hub.json", NULL, path);

    if (code != YM_OK || !ym_fs_exists(path))
        return code;
    code = read_enrolment(h, &why);
    if (code == YM_OK)
        return YM_OK;
    if (check_only)
        return ym_status_set(st, code, "the certificate in \"%s\" cannot be used: %.600s: enrol again with a new token",
                             h->dir, why.message);
    ym_log(YM_LOG_ERROR, "gateway.certificate", "why=\"%s\" do=\"enrol again with a new token\"", why.message);
    ym_buf_release(&h->ca);
    ym_buf_release(&h->cert);
    ym_buf_release(&h->answer);
    return YM_OK;
}

enum ym_code ym_home_load(const char *dir, bool check_only, struct ym_home *out, struct ym_problems *p,
                          struct ym_status *st)
{
    struct ym_home h = {0};
    char path[YM_HOME_PATH];
    enum ym_code code;

    if (!realpath(dir, h.dir))
        return ym_status_set(st, YM_NOT_FOUND, "there is no folder \"%s\"", dir);
    code = load_config(&h, p, st);
    if (code == YM_OK)
        code = ym_home_path(&h, "objects", NULL, path);
    if (code == YM_OK && !check_only)
        code = ym_fs_mkdirs(path, 0700, st);
    if (code == YM_OK)
        code = load_key(&h, !check_only, st);
    if (code == YM_OK)
        code = load_enrolment(&h, check_only, st);
    if (code != YM_OK)
        ym_home_release(&h);
    else
        *out = h;
    return code;
}

void ym_home_release(struct ym_home *h)
{
    ym_buf_wipe(&h->key);
    ym_buf_release(&h->self_cert);
    ym_buf_release(&h->ca);
    ym_buf_release(&h->cert);
    ym_buf_release(&h->answer);
    memset(h, 0, sizeof *h);
}

static enum ym_code replace(struct ym_buf *b, struct ym_bytes with)
{
    struct ym_buf copy = {0};
    enum ym_code code = ym_buf_append(&copy, with.data, with.len);

    if (code != YM_OK)
        return code;
    ym_buf_release(b);
    *b = copy;
    return YM_OK;
}

enum ym_code ym_home_save_cert(struct ym_home *h, struct ym_bytes cert, struct ym_status *st)
{
    int64_t before, after;
    enum ym_code code = ym_cert_check(ym_buf_bytes(&h->key), cert, ym_buf_bytes(&h->ca), ym_clock_unix(), st);

    if (code == YM_OK)
        code = ym_cert_validity(cert, &before, &after, st);
    if (code == YM_OK)
        code = write_file(h, "tls.pem", cert, st);
    if (code == YM_OK)
        code = replace(&h->cert, cert);
    if (code != YM_OK)
        return code;
    h->not_before = before;
    h->not_after = after;
    return YM_OK;
}

enum ym_code ym_home_save_enrolment(struct ym_home *h, const char *hub, struct ym_bytes ca, struct ym_bytes cert,
                                    struct ym_bytes answer, struct ym_status *st)
{
    enum ym_code code = replace(&h->ca, ca);

    if (code == YM_OK)
        code = write_file(h, "ca.pem", ca, st);
    if (code == YM_OK)
        code = ym_home_save_cert(h, cert, st);
    if (code == YM_OK)
        code = write_file(h, "hub.json", answer, st);
    if (code == YM_OK)
        code = replace(&h->answer, answer);
    if (code != YM_OK)
        return code;
    snprintf(h->hub, sizeof h->hub, "%s", hub);
    h->enrolled = true;
    return YM_OK;
}
