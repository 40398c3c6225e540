#include "audit/verify/trust.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Next run of non-blanks in the line; empty at its end. */
static struct ym_bytes next_word(struct ym_bytes *line)
{
    struct ym_bytes word;

    while (line->len > 0 && blank((char)line->data[0])) {
        line->data++;
        line->len--;
    }
    word = (struct ym_bytes){line->data, 0};
    while (line->len > 0 && !blank((char)line->data[0])) {
        line->data++;
        line->len--;
        word.len++;
    }
    return word;
}

static bool word_is(struct ym_bytes word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.data, text, word.len) == 0;
}

struct reader {
    struct ym_trust t;
    size_t number; /* of the line */
    struct ym_status *st;
};

#define BAD(r, fmt, ...) ym_status_set((r)->st, YM_INVALID, "trust file, line %zu: " fmt, (r)->number, ##__VA_ARGS__)

static enum ym_code no_memory(struct reader *r)
{
    return ym_status_set(r->st, YM_EXHAUSTED, "trust file: out of memory");
}

/* One more verifier key of a type, no key twice. */
static enum ym_code add_key(struct reader *r, struct ym_vkey **list, size_t *count, enum ym_vkey_type type,
                            struct ym_bytes word)
{
    struct ym_vkey *key;

    if (*count >= YM_TRUST_MAX_KEYS)
        return BAD(r, "more than %d keys of one kind", YM_TRUST_MAX_KEYS);
    key = realloc(*list, (*count + 1) * sizeof(*key));
    if (!key)
        return no_memory(r);
    *list = key;
    if (!ym_vkey_read((const char *)word.data, word.len, &key[*count]) || key[*count].type != type)
        return BAD(r, "not a %s's verifier key (name+keyid+base64); copy it whole from where it was printed",
                   type == YM_VKEY_LOG ? "log" : "witness");
    for (size_t i = 0; i < *count; i++)
        if (memcmp(key[i].pub, key[*count].pub, sizeof(key->pub)) == 0)
            return BAD(r, "the same key as '%.200s' has", key[i].name);
    ++*count;
    return YM_OK;
}

/* A url may follow and means nothing offline; nothing may follow that. */
static enum ym_code end_line(struct reader *r, struct ym_bytes *rest)
{
    next_word(rest);
    return next_word(rest).len == 0 ? YM_OK : BAD(r, "too many words");
}

static enum ym_code take_log(struct reader *r, struct ym_bytes *rest)
{
    enum ym_code code = add_key(r, &r->t.key, &r->t.count, YM_VKEY_LOG, next_word(rest));

    if (code != YM_OK)
        return code;
    for (size_t i = 0; i + 1 < r->t.count; i++)
        if (strcmp(r->t.key[i].name, r->t.key[r->t.count - 1].name) == 0)
            return BAD(r, "a second key for '%.200s'", r->t.key[i].name);
    return end_line(r, rest);
}

static struct ym_trust_node *find_node(const struct ym_trust *t, struct ym_bytes name)
{
    for (size_t i = 0; i < t->node_count; i++)
        if (word_is(name, t->node[i].name))
            return &t->node[i];
    return NULL;
}

static enum ym_code add_node(struct reader *r, struct ym_bytes name, struct ym_trust_node **out)
{
    struct ym_trust_node *node;

    if (name.len == 0 || name.len >= sizeof(node->name) || word_is(name, "none"))
        return BAD(r, "'%.*s' cannot be a name", (int)(name.len < 200 ? name.len : 200), (const char *)name.data);
    if (find_node(&r->t, name))
        return BAD(r, "a second '%.*s'", (int)(name.len < 200 ? name.len : 200), (const char *)name.data);
    if (r->t.node_count >= 2 * YM_TRUST_MAX_KEYS)
        return BAD(r, "more than %d witnesses and groups", 2 * YM_TRUST_MAX_KEYS);
    node = realloc(r->t.node, (r->t.node_count + 1) * sizeof(*node));
    if (!node)
        return no_memory(r);
    r->t.node = node;
    node += r->t.node_count++;
    *node = (struct ym_trust_node){.witness = SIZE_MAX};
    memcpy(node->name, name.data, name.len);
    *out = node;
    return YM_OK;
}

static enum ym_code take_witness(struct reader *r, struct ym_bytes *rest)
{
    struct ym_trust_node *node;
    enum ym_code code = add_node(r, next_word(rest), &node);

    if (code != YM_OK)
        return code;
    node->witness = r->t.witness_count;
    code = add_key(r, &r->t.witness, &r->t.witness_count, YM_VKEY_COSIGNER, next_word(rest));
    return code == YM_OK ? end_line(r, rest) : code;
}

/* 1..members in decimal, without a leading zero. */
static bool read_need(struct ym_bytes word, size_t members, size_t *out)
{
    size_t n = 0;

    if (word_is(word, "all") || word_is(word, "any")) {
        *out = word_is(word, "any") ? 1 : members;
        return true;
    }
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9' || i > 4)
            return false;
        n = 10 * n + (size_t)(word.data[i] - '0');
    }
    *out = n;
    return word.len > 0 && word.data[0] != '0' && n >= 1 && n <= members;
}

/* Members stand above: so no group holds itself. Each is in one group at most, so that a
 * witness counts once. */
static enum ym_code take_members(struct reader *r, struct ym_trust_node *group, struct ym_bytes rest)
{
    struct ym_bytes word;

    for (word = next_word(&rest); word.len > 0; word = next_word(&rest)) {
        struct ym_trust_node *m = find_node(&r->t, word);
        size_t *list;

        if (!m || m == group || m->taken)
            return BAD(r, "'%.*s' is no witness or group of the lines above, or is a member already",
                       (int)(word.len < 200 ? word.len : 200), (const char *)word.data);
        list = realloc(group->member, (group->members + 1) * sizeof(*list));
        if (!list)
            return no_memory(r);
        group->member = list;
        group->member[group->members++] = (size_t)(m - r->t.node);
        m->taken = true;
    }
    return YM_OK;
}

static enum ym_code take_group(struct reader *r, struct ym_bytes *rest)
{
    struct ym_bytes need;
    struct ym_trust_node *group;
    enum ym_code code = add_node(r, next_word(rest), &group);

    if (code != YM_OK)
        return code;
    need = next_word(rest);
    code = take_members(r, group, *rest);
    if (code == YM_OK && (group->members == 0 || !read_need(need, group->members, &group->need)))
        code = BAD(r, "a group is 'group <name> all|any|<number> <member>...', the number at most its members");
    return code;
}

static enum ym_code take_quorum(struct reader *r, struct ym_bytes *rest)
{
    struct ym_bytes name = next_word(rest);
    const struct ym_trust_node *node = find_node(&r->t, name);

    if (r->t.have_quorum)
        return BAD(r, "a second quorum");
    if (!word_is(name, "none") && !node)
        return BAD(r, "the quorum is 'none', or a witness or group of the lines above");
    if (next_word(rest).len > 0)
        return BAD(r, "too many words");
    r->t.have_quorum = true;
    r->t.quorum = node ? (size_t)(node - r->t.node) : SIZE_MAX;
    return YM_OK;
}

static enum ym_code take_line(struct reader *r, struct ym_bytes line)
{
    struct ym_bytes word;

    for (size_t i = 0; i < line.len; i++)
        if ((line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7F)
            return BAD(r, "a control character (lines end with a newline alone, as on Unix)");
    word = next_word(&line);
    if (word.len == 0 || word.data[0] == '#')
        return YM_OK;
    if (word_is(word, "log"))
        return take_log(r, &line);
    if (word_is(word, "witness"))
        return take_witness(r, &line);
    if (word_is(word, "group"))
        return take_group(r, &line);
    if (word_is(word, "quorum"))
        return take_quorum(r, &line);
    return BAD(r, "only log, witness, group, quorum and '#' comments are understood");
}

/* A log that cosigns itself says nothing: each witness has a key of its own. */
static enum ym_code keys_apart(const struct ym_trust *t, struct ym_status *st)
{
    for (size_t w = 0; w < t->witness_count; w++)
        for (size_t i = 0; i < t->count; i++)
            if (memcmp(t->witness[w].pub, t->key[i].pub, sizeof(t->key[i].pub)) == 0)
                return ym_status_set(st, YM_INVALID, "trust file: witness '%.200s' has the key of the log '%.200s'",
                                     t->witness[w].name, t->key[i].name);
    return YM_OK;
}

enum ym_code ym_trust_parse(struct ym_bytes text, struct ym_trust *out, struct ym_status *st)
{
    struct reader r = {.t = {.quorum = SIZE_MAX}, .st = st};
    enum ym_code code = YM_OK;

    for (r.number = 1; code == YM_OK && text.len > 0; r.number++) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end ? (size_t)(end - text.data) : text.len;

        code = take_line(&r, (struct ym_bytes){text.data, len});
        len += end != NULL;
        text.data += len;
        text.len -= len;
    }
    if (code == YM_OK && !r.t.have_quorum && r.t.witness_count > 0)
        code = ym_status_set(st, YM_INVALID,
                             "trust file: it names witnesses but no quorum; add 'quorum <name>' or 'quorum none'");
    if (code == YM_OK)
        code = keys_apart(&r.t, st);
    if (code != YM_OK) {
        ym_trust_release(&r.t);
        return code;
    }
    *out = r.t;
    return YM_OK;
}

enum ym_code ym_trust_load(const char *path, struct ym_trust *out, struct ym_status *st)
{
    struct ym_buf text = {0};
    enum ym_code code = ym_fs_read(path, YM_TRUST_MAX_BYTES, &text, st);

    if (code == YM_OK)
        code = ym_trust_parse((struct ym_bytes){text.data, text.len}, out, st);
    ym_buf_release(&text);
    return code;
}

void ym_trust_release(struct ym_trust *t)
{
    for (size_t i = 0; i < t->node_count; i++)
        free(t->node[i].member);
    free(t->node);
    free(t->witness);
    free(t->key);
    *t = (struct ym_trust){.quorum = SIZE_MAX};
}

const struct ym_vkey *ym_trust_find(const struct ym_trust *t, const char *origin)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->key[i].name, origin) == 0)
            return &t->key[i];
    return NULL;
}

bool ym_trust_asks(const struct ym_trust *t)
{
    return t->have_quorum && t->quorum != SIZE_MAX;
}

/* A path in a tree of groups as deep as there are lines; each node is visited once, for it is a
 * member once. */
static bool node_holds(const struct ym_trust *t, size_t i, const bool *cosigned)
{
    const struct ym_trust_node *n = &t->node[i];
    size_t have = 0;

    if (n->witness != SIZE_MAX)
        return cosigned[n->witness];
    for (size_t m = 0; m < n->members; m++)
        have += node_holds(t, n->member[m], cosigned);
    return have >= n->need;
}

bool ym_trust_quorum(const struct ym_trust *t, const bool *cosigned)
{
    return !ym_trust_asks(t) || node_holds(t, t->quorum, cosigned);
}
