#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "coordinator/hub_internal.h"
#include "gate/schema.h"

#define CANONICAL_MAX (64 * 1024)

/* "host:port" with a port of 0..65535. */
static bool address_valid(const char *text)
{
    const char *colon = strrchr(text, ':');
    char *end;
    unsigned long port;

    if (!colon || colon == text || !colon[1] || strlen(colon + 1) > 5)
        return false;
    port = strtoul(colon + 1, &end, 10);
    return *end == 0 && port <= 65535;
}

static void read_address(struct ym_schema *s, const struct ym_at *at, const char *key, char *out, size_t cap)
{
    if (ym_schema_text(s, at, key, NULL, out, cap) && !address_valid(out))
        ym_schema_say(s, at, key, T(HUB_CONFIG_ADDRESS), out);
}

static void read_http(struct ym_schema *s, const struct ym_at *at, struct ym_hub_config *c)
{
    if (ym_schema_has(at, "http"))
        read_address(s, at, "http", c->http, sizeof c->http);
}

static void read_witnesses(struct ym_schema *s, const struct ym_at *root, struct ym_hub_config *c)
{
    static const char *const known[] = {"url", "key", NULL};
    struct ym_at list = ym_schema_list(s, root, "witnesses", 0, YM_HUB_WITNESSES);

    for (size_t i = 0; i < ym_schema_count(&list) && i < YM_HUB_WITNESSES; i++) {
        struct ym_at at = ym_schema_item(s, &list, i);
        struct ym_hub_witness_config *w = &c->witness[c->witness_count];
        char key[512];

        ym_schema_keys(s, &at, known);
        if (ym_schema_text(s, &at, "url", NULL, w->url, sizeof w->url) && strncmp(w->url, "http://", 7) != 0 &&
            strncmp(w->url, "https://", 8) != 0)
            ym_schema_say(s, &at, "url", T(HUB_CONFIG_WITNESS_URL), w->url);
        if (ym_schema_text(s, &at, "key", NULL, key, sizeof key) &&
            ym_vkey_parse(key, YM_NOTE_COSIGNER, w->name, w->pub, NULL) != YM_OK)
            ym_schema_say(s, &at, "key", T(HUB_CONFIG_WITNESS_KEY), key);
        c->witness_count++;
    }
}

static void read_names(struct ym_schema *s, const struct ym_at *root, struct ym_hub_config *c)
{
    struct ym_at list = ym_schema_list(s, root, "names", 1, YM_HUB_NAMES);

    for (size_t i = 0; i < ym_schema_count(&list) && i < YM_HUB_NAMES; i++)
        if (ym_schema_item_text(s, &list, i, c->name[i], sizeof c->name[i]))
            c->name_count = i + 1;
}

static void read_disk(struct ym_schema *s, const struct ym_at *root, struct ym_hub_config *c)
{
    static const char *const known[] = {"min_free_percent", "min_free_mib", NULL};
    const int64_t percent_default = 5, mib_default = 64;
    int64_t percent = percent_default, mib = mib_default;
    struct ym_at disk = ym_schema_object(s, root, "disk", false);

    ym_schema_keys(s, &disk, known);
    ym_schema_int(s, &disk, "min_free_percent", &percent_default, 0, 90, &percent);
    ym_schema_int(s, &disk, "min_free_mib", &mib_default, 0, 1 << 30, &mib);
    c->min_free_percent = (uint32_t)percent;
    c->min_free_bytes = (uint64_t)mib << 20;
}

static void read_root(struct ym_schema *s, struct ym_hub_config *c)
{
    static const char *const known[] = {"federation",       "listen", "enrol_listen", "names", "disk",
                                        "certificate_days", "http",   "witnesses",    NULL};
    const int64_t days_default = 7;
    int64_t days = days_default;
    struct ym_at root = ym_schema_root(s);

    ym_schema_keys(s, &root, known);
    ym_schema_name(s, &root, "federation", c->federation);
    read_address(s, &root, "listen", c->listen, sizeof c->listen);
    read_address(s, &root, "enrol_listen", c->enrol_listen, sizeof c->enrol_listen);
    read_names(s, &root, c);
    read_disk(s, &root, c);
    read_http(s, &root, c);
    read_witnesses(s, &root, c);
    ym_schema_int(s, &root, "certificate_days", &days_default, 1, 90, &days);
    c->certificate_days = (uint32_t)days;
}

enum ym_code ym_hub_config_load(const char *dir, struct ym_hub_config *out, struct ym_problems *p, struct ym_status *st)
{
    char path[4096];
    struct ym_doc *doc = NULL;
    struct ym_schema s;
    struct ym_hub_config c = {0};
    struct ym_buf canonical = {0};
    enum ym_code code = ym_fs_join(path, sizeof path, dir, "hub.yaml");

    if (code != YM_OK)
        return ym_status_set(st, code, "the folder's path is too long");
    code = ym_doc_load(path, &doc, p, st);
    if (code != YM_OK)
        return code;
    ym_schema_begin(&s, doc, p);
    read_root(&s, &c);
    code = ym_schema_end(&s, CANONICAL_MAX, &canonical, st);
    ym_schema_release(&s);
    ym_buf_release(&canonical);
    ym_doc_free(doc);
    if (code == YM_OK)
        *out = c;
    return code;
}
