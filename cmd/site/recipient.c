#include "base/recipient.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cmd/site/site.h"
#include "models/results/notice.h"
#include "models/results/tensors.h"
#include "models/start.h"

/* The hospital's receiving key, and models that were sealed to it. All of it lies in the site's folder; no socket is
 * opened, and the trainer is not asked. */

#define KEY_FILE "recipient.key"
#define CERT_FILE "recipient.pem"
#define PEM_MAX 4096
#define SEALED_MAX (YM_START_MAX_BYTES + (4u << 20))

static enum ym_code read_cert(const struct ym_site *s, struct ym_buf *der, struct ym_status *st)
{
    char path[YM_SITE_PATH];
    struct ym_buf pem = {0};
    enum ym_code code = ym_site_path(s, CERT_FILE, NULL, path);

    if (code == YM_OK)
        code = ym_fs_read(path, PEM_MAX, &pem, st);
    if (code == YM_NOT_FOUND)
        ym_status_set(st, code, T(SITE_RECIPIENT_NONE), s->dir);
    if (code == YM_OK)
        code = ym_recipient_from_pem(ym_buf_bytes(&pem), der, st);
    ym_buf_release(&pem);
    return code;
}

/* ---- recipient make ---- */

/* The key first: a certificate without its key would be a file that nobody can open. */
static enum ym_code keep_pair(const struct ym_site *s, struct ym_bytes key, struct ym_bytes der, struct ym_status *st)
{
    char key_path[YM_SITE_PATH], cert_path[YM_SITE_PATH];
    struct ym_buf secret = {0}, pem = {0};
    enum ym_code code = ym_site_path(s, KEY_FILE, NULL, key_path);

    if (code == YM_OK)
        code = ym_site_path(s, CERT_FILE, NULL, cert_path);
    if (code == YM_OK)
        code = ym_secret_load(s->dir, false, &secret, st);
    if (code == YM_OK)
        code = ym_pem_save(key_path, key, ym_buf_bytes(&secret), st);
    if (code == YM_OK)
        code = ym_recipient_to_pem(der, &pem, st);
    if (code == YM_OK)
        code = ym_fs_write(cert_path, ym_buf_bytes(&pem), 0644, st);
    ym_buf_wipe(&secret);
    ym_buf_release(&pem);
    return code;
}

static enum ym_code make_pair(const struct ym_site *s, const struct ym_trust *trust, struct ym_status *st)
{
    struct ym_party who = {.role = YM_ROLE_HOSPITAL};
    struct ym_key *identity = NULL;
    struct ym_buf key = {0}, der = {0};
    enum ym_code code = ym_site_key(s, &identity, st);

    memcpy(who.federation, trust->federation, sizeof who.federation);
    memcpy(who.name, s->name, sizeof who.name);
    if (code == YM_OK)
        code = ym_tls_key_generate(&key, st);
    if (code == YM_OK)
        code = ym_recipient_make(identity, ym_buf_bytes(&key), &who, ym_clock_unix(), &der, st);
    if (code == YM_OK)
        code = keep_pair(s, ym_buf_bytes(&key), ym_buf_bytes(&der), st);
    ym_key_free(identity);
    ym_buf_wipe(&key);
    ym_buf_release(&der);
    return code;
}

/* Another key would make files unreadable that are under way to the first. */
static enum ym_code make(const struct ym_site *s, struct ym_status *st)
{
    char path[YM_SITE_PATH];
    struct ym_trust trust = {0};
    enum ym_code code = ym_site_path(s, CERT_FILE, NULL, path);

    if (code == YM_OK && ym_fs_exists(path))
        code = ym_status_set(st, YM_CONFLICT, T(SITE_RECIPIENT_THERE), path);
    if (code == YM_OK)
        code = ym_trust_load(s, &trust, st);
    if (code == YM_OK)
        code = make_pair(s, &trust, st);
    ym_trust_release(&trust);
    return code;
}

static enum ym_code show(const struct ym_site *s, struct ym_status *st)
{
    struct ym_buf der = {0}, text = {0};
    enum ym_code code = read_cert(s, &der, st);

    if (code == YM_OK)
        code = ym_base64_encode(der.data, der.len, &text);
    if (code == YM_OK)
        printf("%s    - {name: %s, certificate: \"%s\"}\n", T(SITE_RECIPIENT_PASTE), s->name, ym_buf_str(&text));
    ym_buf_release(&der);
    ym_buf_release(&text);
    return code;
}

static int recipient(const struct ym_cli_args *a, bool making)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site site;
    enum ym_code code = ym_site_open(a, &site, &st);

    if (code == YM_OK && making)
        code = make(&site, &st);
    if (code == YM_OK)
        code = show(&site, &st);
    return code == YM_OK ? YM_EXIT_DONE : ym_site_fail(&site, &st);
}

int ym_site_cmd_recipient_make(const struct ym_cli_args *a)
{
    return recipient(a, true);
}

int ym_site_cmd_recipient_show(const struct ym_cli_args *a)
{
    return recipient(a, false);
}

/* ---- model open ---- */

static enum ym_code unseal(const struct ym_site *s, const char *path, struct ym_buf *model, struct ym_status *st)
{
    char key_path[YM_SITE_PATH];
    struct ym_buf file = {0}, key = {0}, der = {0}, secret = {0};
    enum ym_code code = read_cert(s, &der, st);

    if (code == YM_OK)
        code = ym_fs_read(path, SEALED_MAX, &file, st);
    if (code == YM_OK)
        code = ym_site_path(s, KEY_FILE, NULL, key_path);
    if (code == YM_OK)
        code = ym_secret_load(s->dir, false, &secret, st);
    if (code == YM_OK)
        code = ym_pem_load(key_path, ym_buf_bytes(&secret), &key, st);
    if (code == YM_OK)
        code = ym_envelope_open(ym_buf_bytes(&file), ym_buf_bytes(&key), ym_buf_bytes(&der), model, st);
    if (code != YM_OK)
        ym_status_wrap(st, code, "%s", path);
    ym_buf_release(&file);
    ym_buf_release(&der);
    ym_buf_wipe(&key);
    ym_buf_wipe(&secret);
    return code;
}

/* Anybody can seal a file to a certificate, so that it opens says nothing of who made it: the hub's signature does. */
static enum ym_code check(const struct ym_site *s, const char *path, struct ym_bytes model, json_t **notice,
                          struct ym_status *st)
{
    const char *lacks[YM_NOTICE_KEYS];
    struct ym_trust trust = {0};
    enum ym_code code = ym_trust_load(s, &trust, st);

    if (code == YM_OK && ym_tensors_signed(model, trust.hub_key, NULL) != YM_OK)
        code = ym_status_set(st, YM_DENIED, T(SITE_MODEL_UNSIGNED), path);
    if (code == YM_OK) {
        *notice = ym_notice_tensors(model);
        if (ym_notice_lacks(*notice, lacks) > 0)
            code = ym_status_set(st, YM_INVALID, T(SITE_INFER_LACKS), path, lacks[0]);
    }
    ym_trust_release(&trust);
    return code;
}

static enum ym_code open_model(const struct ym_site *s, const struct ym_cli_args *a, json_t **notice,
                               struct ym_status *st)
{
    const char *out = ym_cli_get(a, "out"), *path = a->positional[0];
    struct ym_buf model = {0};
    enum ym_code code = YM_OK;

    if (!out)
        code = ym_status_set(st, YM_INVALID, "%s", T(SITE_MODEL_OUT));
    if (code == YM_OK && ym_fs_exists(out))
        code = ym_status_set(st, YM_CONFLICT, T(SITE_INFER_EXISTS), out);
    if (code == YM_OK)
        code = unseal(s, path, &model, st);
    if (code == YM_OK)
        code = check(s, path, ym_buf_bytes(&model), notice, st);
    if (code == YM_OK)
        code = ym_fs_write(out, ym_buf_bytes(&model), 0600, st);
    ym_buf_wipe(&model);
    return code;
}

int ym_site_cmd_model_open(const struct ym_cli_args *a)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_site site;
    json_t *notice = NULL;
    enum ym_code code = ym_site_open(a, &site, &st);
    int rc = YM_EXIT_DONE;

    if (code == YM_OK)
        code = open_model(&site, a, &notice, &st);
    if (code == YM_OK)
        printf(T(SITE_MODEL_OPENED), ym_cli_get(a, "out"), ym_get_text(notice, "study"), ym_get_text(notice, "round"),
               ym_get_text(notice, "content_id"), T(MODEL_NOTICE));
    else
        rc = ym_site_fail(&site, &st);
    json_decref(notice);
    return rc;
}
