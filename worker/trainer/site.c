#include "worker/trainer/site.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/cosign.h"
#include "audit/ledger/leaf.h"
#include "audit/limits.h"
#include "base/cert.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/text.h"
#include "gate/schema.h"
#include "privacy/accountant.h"
#include "worker/trainer/office.h"

enum { CONFIG_MAX = 64 * 1024, SOCKET_PATH_MAX = 107, DEFAULT_RESERVE_MB = 64, FIRST_LEAVES = 4 + YM_OFFICES };

enum ym_code ym_site_path(const struct ym_site *s, const char *part, const char *name, char out[YM_SITE_PATH])
{
    int n = snprintf(out, YM_SITE_PATH, "%s/%s%s%s", s->dir, part, name ? "/" : "", name ? name : "");

    return n > 0 && n < YM_SITE_PATH ? YM_OK : YM_INVALID;
}

enum ym_code ym_site_hash_path(const struct ym_site *s, const char *part, const uint8_t hash[YM_HASH_BYTES],
                               const char *suffix, char out[YM_SITE_PATH])
{
    struct ym_buf name = {0};
    enum ym_code code = YM_EXHAUSTED;

    if (ym_hex_encode(hash, YM_HASH_BYTES, &name) == YM_OK && ym_buf_puts(&name, suffix) == YM_OK)
        code = ym_site_path(s, part, ym_buf_str(&name), out);
    ym_buf_release(&name);
    return code;
}

enum ym_code ym_site_endpoint(const struct ym_site *s, const char *name, char out[128], struct ym_status *st)
{
    int n = snprintf(out, 128, "ipc://%s/%s", s->dir, name);

    if (n < 0 || n - 6 > SOCKET_PATH_MAX)
        return ym_status_set(st, YM_INVALID,
                             "the path \"%s/%s\" is too long for a socket (%d bytes at most): move the folder to a "
                             "shorter one",
                             s->dir, name, SOCKET_PATH_MAX);
    return YM_OK;
}

void ym_site_origin(const char *name, char out[128])
{
    snprintf(out, 128, "yumen/hospital/%s", name);
}

/* ---- site.yaml ---- */

static bool used_before(const struct ym_site *site, int office)
{
    for (int i = 0; i < office; i++)
        if (site->account[i] == site->account[office])
            return true;
    return false;
}

static void read_accounts(struct ym_schema *s, const struct ym_at *root, struct ym_site *site)
{
    const char *keys[YM_OFFICES + 1] = {NULL};
    struct ym_at at;

    for (int i = 0; i < YM_OFFICES; i++) {
        keys[i] = ym_office_word((enum ym_office)i);
        site->account[i] = -1;
    }
    if (!ym_schema_has(root, "accounts"))
        return;
    at = ym_schema_object(s, root, "accounts", true);
    ym_schema_keys(s, &at, keys);
    for (int i = 0; i < YM_OFFICES; i++)
        if (ym_schema_has(&at, keys[i]) && ym_schema_int(s, &at, keys[i], NULL, 0, UINT32_MAX - 1, &site->account[i]) &&
            used_before(site, i))
            ym_schema_say(s, &at, keys[i], "%s", T(OFFICE_SAME_ACCOUNT));
}

static void read_site(struct ym_schema *s, struct ym_site *site)
{
    static const char *const keys[] = {"yumen", "name", "reserve_mb", "require_landlock", "accounts", NULL};
    static const char *const formats[] = {"site/1", NULL};
    static const char *const yes_no[] = {"no", "yes", NULL};
    const int64_t reserve = DEFAULT_RESERVE_MB;
    struct ym_at at = ym_schema_root(s);
    size_t choice = 1;

    ym_schema_keys(s, &at, keys);
    ym_schema_choice(s, &at, "yumen", NULL, formats, &(size_t){0});
    ym_schema_name(s, &at, "name", site->name);
    ym_schema_int(s, &at, "reserve_mb", &reserve, 0, 1 << 20, &site->reserve_mb);
    ym_schema_choice(s, &at, "require_landlock", "yes", yes_no, &choice);
    site->require_landlock = choice == 1;
    read_accounts(s, &at, site);
}

enum ym_code ym_site_load(const char *dir, struct ym_site *out, struct ym_problems *p, struct ym_status *st)
{
    struct ym_site site = {0};
    struct ym_schema schema;
    struct ym_doc *doc = NULL;
    struct ym_buf canonical = {0};
    char path[YM_SITE_PATH];
    enum ym_code code;

    if (!realpath(dir, site.dir))
        return ym_status_set(st, YM_NOT_FOUND, "there is no folder \"%s\"", dir);
    code = ym_site_path(&site, "site.yaml", NULL, path);
    if (code == YM_OK)
        code = ym_doc_load(path, &doc, p, st);
    if (code != YM_OK)
        return ym_status_wrap(st, code, "no readable site in \"%s\"", dir);
    ym_schema_begin(&schema, doc, p);
    read_site(&schema, &site);
    code = ym_schema_end(&schema, CONFIG_MAX, &canonical, st);
    ym_schema_release(&schema);
    ym_buf_release(&canonical);
    ym_doc_free(doc);
    if (code == YM_OK)
        *out = site;
    return code;
}

/* ---- keys and ledger ---- */

enum ym_code ym_site_key(const struct ym_site *s, struct ym_key **key, struct ym_status *st)
{
    struct ym_buf secret = {0};
    char path[YM_SITE_PATH];
    enum ym_code code = ym_secret_load(s->dir, false, &secret, st);

    if (code == YM_OK)
        code = ym_site_path(s, "identity.key", NULL, path);
    if (code == YM_OK)
        code = ym_key_load(path, (struct ym_bytes){secret.data, secret.len}, key, st);
    ym_buf_wipe(&secret);
    return code;
}

/* Opening makes a ledger where none is: only init may want that. */
static bool ledger_there(const struct ym_site *s)
{
    char path[YM_SITE_PATH];

    return ym_site_path(s, "ledger", "checkpoint", path) == YM_OK && ym_fs_exists(path);
}

static enum ym_code open_ledger(const struct ym_site *s, const struct ym_key *key, struct ym_ledger **out,
                                struct ym_status *st)
{
    char path[YM_SITE_PATH], origin[128];
    enum ym_code code = ym_site_path(s, "ledger", NULL, path);

    ym_site_origin(s->name, origin);
    if (code == YM_OK)
        code = ym_ledger_open(path, origin, key, out, st);
    return code == YM_OK ? code : ym_status_wrap(st, code, "the ledger in \"%s/ledger\" cannot be used", s->dir);
}

enum ym_code ym_site_ledger(const struct ym_site *s, const struct ym_key *key, struct ym_ledger **out,
                            struct ym_status *st)
{
    if (!ledger_there(s))
        return ym_status_set(st, YM_CORRUPT, "there is no ledger in \"%s/ledger\": bring its newest copy back", s->dir);
    return open_ledger(s, key, out, st);
}

enum ym_code ym_site_salt(const struct ym_site *s, uint8_t salt[YM_SITE_SALT], struct ym_status *st)
{
    struct ym_buf b = {0};
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_path(s, "salt", NULL, path);

    if (code == YM_OK)
        code = ym_fs_read(path, YM_SITE_SALT, &b, NULL);
    if (code != YM_OK || b.len != YM_SITE_SALT)
        code = ym_status_set(st, YM_CORRUPT, "\"%s/salt\" cannot be read or is damaged: bring its copy back", s->dir);
    else
        memcpy(salt, b.data, YM_SITE_SALT);
    ym_buf_wipe(&b);
    return code;
}

/* context: with its NUL. */
static void keyed(const uint8_t salt[YM_SITE_SALT], const char context[14], const uint8_t hash[YM_HASH_BYTES],
                  uint8_t id[YM_HASH_BYTES])
{
    uint8_t text[14 + YM_HASH_BYTES];

    memcpy(text, context, 14);
    memcpy(text + 14, hash, YM_HASH_BYTES);
    ym_hmac_sha256(salt, YM_SITE_SALT, text, sizeof text, id);
}

void ym_site_data_id(const uint8_t salt[YM_SITE_SALT], const uint8_t frozen[YM_HASH_BYTES], uint8_t id[YM_HASH_BYTES])
{
    keyed(salt, "yumen/data/v1", frozen, id);
}

void ym_site_card_id(const uint8_t salt[YM_SITE_SALT], const uint8_t card[YM_HASH_BYTES], uint8_t id[YM_HASH_BYTES])
{
    keyed(salt, "yumen/card/v1", card, id);
}

/* ---- init ---- */

static enum ym_code sign_into(struct ym_buf *line, const char *type, json_t *members, const char *by, int64_t now,
                              const struct ym_key *key, struct ym_status *st)
{
    enum ym_code code = members ? ym_leaf_sign(type, members, by, now, key, line, st)
                                : ym_status_set(st, YM_EXHAUSTED, "no memory for a %s leaf", type);

    json_decref(members);
    return code;
}

static json_t *genesis_members(const char *name, const struct ym_key *key)
{
    uint8_t pub[YM_PUBKEY_BYTES];
    struct ym_buf text = {0};
    json_t *m = NULL;

    ym_key_public(key, pub);
    if (ym_base64_encode(pub, sizeof pub, &text) == YM_OK)
        m = json_pack("{s:s, s:s, s:s, s:s}", "role", "hospital", "name", name, "identity_key", ym_buf_str(&text),
                      "program", "yumen");
    ym_buf_release(&text);
    return m;
}

static int64_t micro_down(struct ym_decimal d)
{
    return (int64_t)(d.scaled / 1000000000000); /* scaled is value * 10^18; a limit is rounded down */
}

static json_t *policy_members(const struct ym_site_policy *p)
{
    double order = ym_rdp_filter_order(ym_decimal_double(p->epsilon_cap), ym_decimal_double(p->delta));

    return ym_site_policy_members(&(struct ym_site_policy_leaf){.cap_micro = micro_down(p->epsilon_cap),
                                                                .delta_e18 = (int64_t)p->delta.scaled,
                                                                .order_milli = lround(1000 * order),
                                                                .min_patients = p->min_patients,
                                                                .month_micro = micro_down(p->epsilon_month),
                                                                .terms = p->terms});
}

json_t *ym_site_policy_members(const struct ym_site_policy_leaf *p)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:O*}", "epsilon_cap_micro", (json_int_t)p->cap_micro,
                     "delta_e18", (json_int_t)p->delta_e18, "order_milli", (json_int_t)p->order_milli, "min_patients",
                     (json_int_t)p->min_patients, "epsilon_month_micro", (json_int_t)p->month_micro, "unit", "patient",
                     "relation", "add-or-remove-one", "terms", p->terms);
}

json_t *ym_site_override_members(const char *subject, int64_t epsilon_micro, const char *reason)
{
    return json_pack("{s:s, s:I, s:s}", "subject", subject, "epsilon_micro", (json_int_t)epsilon_micro, "reason",
                     reason);
}

/* Leaves that begin a ledger are sealed by nobody: the offices have no keys yet. */
static json_t *unsealed(json_t *members)
{
    if (members && json_object_set_new(members, "seals", json_array()) != 0) {
        json_decref(members);
        return NULL;
    }
    return members;
}

/* The first two keys are nobody's to seal; those two seal the others. */
static enum ym_code seal_first(const struct ym_site *s, json_t *members, struct ym_key *const *key, int64_t now,
                               struct ym_status *st)
{
    enum ym_code code = members ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory for an office's key");

    for (int i = 0; code == YM_OK && i < 2; i++) {
        json_t *seal = NULL;

        code = ym_seal_make("rotate", s->name, members, (enum ym_office)i, now, key[i], &seal, st);
        if (code == YM_OK && json_array_append_new(json_object_get(members, "seals"), seal) != 0)
            code = ym_status_set(st, YM_EXHAUSTED, "no memory for a seal");
    }
    return code;
}

static enum ym_code sign_offices(const struct ym_site *s, const struct ym_key *site_key, int64_t now,
                                 struct ym_buf *line, struct ym_status *st)
{
    struct ym_key *key[YM_OFFICES] = {NULL};
    uint8_t pub[YM_PUBKEY_BYTES];
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_path(s, "offices", NULL, path);

    for (int i = 0; code == YM_OK && i < YM_OFFICES; i++) {
        json_t *members;

        code = ym_office_key_make(path, (enum ym_office)i, &key[i], st);
        if (code != YM_OK)
            break;
        ym_key_public(key[i], pub);
        members = unsealed(ym_office_members((enum ym_office)i, pub));
        if (i >= 2)
            code = seal_first(s, members, key, now, st);
        if (code == YM_OK)
            code = sign_into(&line[i], "rotate", members, s->name, now, site_key, st);
        else
            json_decref(members);
    }
    for (int i = 0; i < YM_OFFICES; i++)
        ym_key_free(key[i]);
    return code;
}

static enum ym_code first_leaves(const struct ym_site *s, const struct ym_key *key, const struct ym_site_policy *policy,
                                 int64_t now, struct ym_status *st)
{
    struct ym_ledger *ledger = NULL;
    struct ym_buf line[FIRST_LEAVES] = {{0}};
    struct ym_bytes bytes[FIRST_LEAVES];
    size_t count = 0;
    enum ym_code code = open_ledger(s, key, &ledger, st);

    if (code == YM_OK && ym_ledger_size(ledger) == 0) {
        code = sign_into(&line[count++], "genesis", genesis_members(s->name, key), s->name, now, key, st);
        if (code == YM_OK && policy->override && micro_down(policy->epsilon_cap) > YM_EPSILON_PLAIN_MICRO)
            code = sign_into(
                &line[count++], "override",
                unsealed(ym_site_override_members("policy", micro_down(policy->epsilon_cap), policy->override)),
                s->name, now, key, st);
        if (code == YM_OK)
            code = sign_into(&line[count++], "policy", unsealed(policy_members(policy)), s->name, now, key, st);
        if (code == YM_OK && policy->border_off)
            code = sign_into(&line[count++], "border",
                             unsealed(json_pack("{s:b, s:s}", "asked", 0, "reason", policy->border_off)), s->name, now,
                             key, st);
        if (code == YM_OK) {
            code = sign_offices(s, key, now, &line[count], st);
            count += YM_OFFICES;
        }
        for (size_t i = 0; i < count; i++)
            bytes[i] = ym_buf_bytes(&line[i]);
        if (code == YM_OK)
            code = ym_ledger_append(ledger, bytes, count, &(uint64_t){0}, st);
    }
    ym_ledger_close(&ledger);
    for (size_t i = 0; i < count; i++)
        ym_buf_release(&line[i]);
    return code;
}

/* A key whose ledger is gone has charges that nobody here remembers: it gets no
 * second, empty budget. */
static enum ym_code check_unused(const struct ym_site *s, struct ym_status *st)
{
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_path(s, "identity.key", NULL, path);

    if (code == YM_OK && ym_fs_exists(path) && !ledger_there(s))
        code = ym_status_set(st, YM_CORRUPT,
                             "\"%s\" holds an identity key but no ledger: bring the ledger's newest copy back; only if "
                             "this key was never used, remove the folder and begin again",
                             s->dir);
    return code;
}

static enum ym_code make_key(const struct ym_site *s, struct ym_key **key, struct ym_status *st)
{
    struct ym_buf secret = {0};
    char path[YM_SITE_PATH];
    enum ym_code code = ym_secret_load(s->dir, true, &secret, st);

    if (code == YM_OK)
        code = ym_site_path(s, "identity.key", NULL, path);
    if (code == YM_OK && ym_fs_exists(path)) {
        code = ym_key_load(path, (struct ym_bytes){secret.data, secret.len}, key, st);
    } else if (code == YM_OK) {
        code = ym_key_generate(key, st);
        if (code == YM_OK)
            code = ym_key_save(*key, path, (struct ym_bytes){secret.data, secret.len}, st);
    }
    ym_buf_wipe(&secret);
    return code;
}

static enum ym_code make_salt(const struct ym_site *s, struct ym_status *st)
{
    uint8_t salt[YM_SITE_SALT];
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_path(s, "salt", NULL, path);

    if (code != YM_OK || ym_fs_exists(path))
        return code;
    ym_random(salt, sizeof salt);
    code = ym_fs_write(path, (struct ym_bytes){salt, sizeof salt}, 0600, st);
    ym_wipe(salt, sizeof salt);
    return code;
}

static enum ym_code write_text(const char *path, struct ym_buf *text, struct ym_status *st)
{
    enum ym_code code = ym_fs_write(path, (struct ym_bytes){text->data, text->len}, 0600, st);

    ym_buf_release(text);
    return code;
}

static enum ym_code make_folders(const struct ym_site *s, struct ym_status *st)
{
    static const char *const part[] = {"ledger", "plans", "data",    "outbox", "objects",
                                       "run",    "admin", "offices", "pending"};
    char path[YM_SITE_PATH];
    enum ym_code code = YM_OK;

    for (size_t i = 0; code == YM_OK && i < sizeof part / sizeof *part; i++) {
        code = ym_site_path(s, part[i], NULL, path);
        if (code == YM_OK)
            code = ym_fs_mkdirs(path, 0700, st);
    }
    return code;
}

static enum ym_code make_gateway(const struct ym_site *s, const char *gateway_dir, struct ym_status *st)
{
    char path[YM_SITE_PATH];
    struct ym_buf text = {0};
    enum ym_code code = ym_fs_mkdirs(gateway_dir, 0700, st);

    if (code == YM_OK)
        code = ym_fs_join(path, sizeof path, gateway_dir, "gateway.yaml");
    if (code != YM_OK || ym_fs_exists(path))
        return code;
    if (ym_buf_printf(&text, "yumen: gateway/1\nname: %s\ntrainer: %s/" YM_SITE_GATEWAY_SOCKET "\n", s->name, s->dir) !=
        YM_OK)
        return ym_status_set(st, YM_EXHAUSTED, "no memory");
    return write_text(path, &text, st);
}

static enum ym_code make_config(const struct ym_site *s, struct ym_status *st)
{
    char path[YM_SITE_PATH];
    struct ym_buf text = {0};
    enum ym_code code = ym_site_path(s, "site.yaml", NULL, path);

    if (code == YM_OK && ym_buf_printf(&text,
                                       "yumen: site/1\nname: %s\n"
                                       "# free space, in MiB, that a round must leave on this disk\nreserve_mb: %d\n"
                                       "# decline rounds when the kernel has no Landlock\nrequire_landlock: yes\n",
                                       s->name, DEFAULT_RESERVE_MB) != YM_OK)
        code = YM_EXHAUSTED;
    return code == YM_OK ? write_text(path, &text, st) : ym_status_set(st, code, "cannot make site.yaml");
}

static enum ym_code check_policy(const struct ym_site_policy *p, struct ym_status *st)
{
    int64_t cap = micro_down(p->epsilon_cap);

    if (p->override && !ym_site_reason_valid(p->override))
        return ym_status_set(st, YM_INVALID, "%s", T(REFUSE_REASON));
    if (cap > YM_EPSILON_PLAIN_MICRO && !p->override)
        return ym_status_set(st, YM_INVALID, T(REFUSE_CAP_LARGE), (double)cap / 1e6, YM_EPSILON_PLAIN_MICRO / 1000000);
    return YM_OK;
}

bool ym_site_reason_valid(const char *reason)
{
    size_t len = strlen(reason);

    return len > 0 && len <= 512 && ym_text_printable(reason, len);
}

/* site.yaml comes last: until it is there, the folder is no site and init may be
 * run again. */
enum ym_code ym_site_init(const char *dir, const char *name, const struct ym_site_policy *policy,
                          const char *gateway_dir, int64_t now, struct ym_buf *vkey, struct ym_status *st)
{
    struct ym_site s = {0};
    struct ym_key *key = NULL;
    uint8_t pub[YM_PUBKEY_BYTES];
    char path[YM_SITE_PATH], origin[128], endpoint[128];
    enum ym_code code;

    if (!ym_name_valid(name))
        return ym_status_set(st, YM_INVALID, T(SITE_NAME_BAD), name);
    snprintf(s.name, sizeof s.name, "%s", name);
    code = check_policy(policy, st);
    if (code == YM_OK)
        code = ym_fs_mkdirs(dir, 0700, st);
    if (code != YM_OK)
        return code;
    if (!realpath(dir, s.dir))
        return ym_status_set(st, YM_UNAVAILABLE, "cannot resolve \"%s\"", dir);
    code = ym_site_path(&s, "site.yaml", NULL, path);
    if (code == YM_OK && ym_fs_exists(path))
        return ym_status_set(st, YM_CONFLICT, "\"%s\" holds a site already; nothing was changed", s.dir);
    code = ym_site_endpoint(&s, YM_SITE_GATEWAY_SOCKET, endpoint, st);
    if (code == YM_OK)
        code = check_unused(&s, st);
    if (code == YM_OK)
        code = make_folders(&s, st);
    if (code == YM_OK)
        code = make_key(&s, &key, st);
    if (code == YM_OK)
        code = make_salt(&s, st);
    if (code == YM_OK)
        code = first_leaves(&s, key, policy, now, st);
    if (code == YM_OK && gateway_dir)
        code = make_gateway(&s, gateway_dir, st);
    if (code == YM_OK)
        code = make_config(&s, st);
    if (code == YM_OK) {
        ym_key_public(key, pub);
        ym_site_origin(name, origin);
        code = ym_vkey_format(origin, YM_NOTE_LOG, pub, vkey);
    }
    ym_key_free(key);
    return code;
}

enum ym_code ym_site_witness(const char *name, const struct ym_key *key, struct ym_buf *out, struct ym_status *st)
{
    struct ym_key *cosigner = NULL;
    uint8_t pub[YM_PUBKEY_BYTES];
    char origin[128];
    enum ym_code code = ym_key_derive(key, YM_COSIGN_LABEL, &cosigner, st);

    if (code != YM_OK)
        return code;
    ym_key_public(cosigner, pub);
    ym_key_free(cosigner);
    ym_site_origin(name, origin);
    code = ym_buf_printf(out, "witness %s ", name);
    if (code == YM_OK)
        code = ym_vkey_format(origin, YM_NOTE_COSIGNER, pub, out);
    return code == YM_OK ? code : ym_status_set(st, code, "no memory");
}

/* ---- trust ---- */

static enum ym_code trust_read(const json_t *o, struct ym_trust *t, struct ym_status *st)
{
    const char *federation, *log;
    char name[256];
    enum ym_code code = ym_json_get_str(o, "federation", &federation, st);

    if (code == YM_OK)
        code = ym_json_get_str(o, "log", &log, st);
    if (code == YM_OK)
        code = ym_vkey_parse(log, YM_NOTE_LOG, name, t->hub_key, st);
    if (code == YM_OK && !ym_name_valid(federation))
        code = ym_status_set(st, YM_CORRUPT, "\"%s\" is not a federation's name", federation);
    if (code == YM_OK)
        code = ym_buf_puts(&t->hub_log, log);
    if (code == YM_OK)
        snprintf(t->federation, sizeof t->federation, "%s", federation);
    return code;
}

enum ym_code ym_trust_load(const struct ym_site *s, struct ym_trust *out, struct ym_status *st)
{
    struct ym_trust t = {0};
    struct ym_buf text = {0};
    json_t *o = NULL;
    char path[YM_SITE_PATH];
    enum ym_code code = ym_site_path(s, "trust.json", NULL, path);

    if (code == YM_OK)
        code = ym_fs_read(path, CONFIG_MAX, &text, st);
    if (code == YM_OK)
        code = ym_json_parse(text.data, text.len, CONFIG_MAX, &o, st);
    if (code == YM_OK)
        code = trust_read(o, &t, st);
    json_decref(o);
    ym_buf_release(&text);
    if (code == YM_OK)
        *out = t;
    else
        ym_trust_release(&t);
    return code;
}

enum ym_code ym_trust_save(const struct ym_site *s, const struct ym_trust *t, struct ym_bytes ca_pem,
                           struct ym_bytes hub_identity_pem, struct ym_status *st)
{
    struct ym_buf text = {0};
    char path[YM_SITE_PATH];
    json_t *o = json_pack("{s:s, s:s, s:s%, s:s%}", "federation", t->federation, "log", ym_buf_str(&t->hub_log), "ca",
                          ca_pem.data, ca_pem.len, "hub_identity", hub_identity_pem.data, hub_identity_pem.len);
    enum ym_code code = o ? YM_OK : ym_status_set(st, YM_INVALID, "the hub's certificates are not text");

    if (code == YM_OK)
        code = ym_json_canonical(o, &text, st);
    if (code == YM_OK)
        code = ym_site_path(s, "trust.json", NULL, path);
    if (code == YM_OK)
        code = ym_fs_write(path, (struct ym_bytes){text.data, text.len}, 0600, st);
    json_decref(o);
    ym_buf_release(&text);
    return code;
}

void ym_trust_release(struct ym_trust *t)
{
    ym_buf_release(&t->hub_log);
    memset(t, 0, sizeof *t);
}
