#include "audit/verify/trust.h"

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
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

static enum ym_code add_key(struct ym_trust *t, struct ym_bytes word, size_t number, struct ym_status *st)
{
    struct ym_vkey *key;

    if (t->count >= YM_TRUST_MAX_KEYS)
        return ym_status_set(st, YM_INVALID, "trust file: more than %d logs", YM_TRUST_MAX_KEYS);
    key = realloc(t->key, (t->count + 1) * sizeof(*key));
    if (!key)
        return ym_status_set(st, YM_EXHAUSTED, "trust file: out of memory");
    t->key = key;
    if (!ym_vkey_read((const char *)word.data, word.len, &key[t->count]))
        return ym_status_set(st, YM_INVALID,
                             "trust file, line %zu: not a verifier key (name+keyid+base64); copy it whole from "
                             "'init' of the party whose log it is",
                             number);
    if (ym_trust_find(t, key[t->count].name))
        return ym_status_set(st, YM_INVALID, "trust file, line %zu: a second key for '%.200s'", number,
                             key[t->count].name);
    t->count++;
    return YM_OK;
}

static enum ym_code take_line(struct ym_trust *t, struct ym_bytes line, size_t number, struct ym_status *st)
{
    struct ym_bytes word = next_word(&line), value;

    if (word.len == 0 || word.data[0] == '#')
        return YM_OK;
    value = next_word(&line);
    if (word_is(word, "log"))
        return add_key(t, value, number, st);
    if (word_is(word, "quorum") && word_is(value, "none"))
        return YM_OK;
    return ym_status_set(st, YM_INVALID,
                         "trust file, line %zu: only 'log <verifier key>', 'quorum none' and '#' comments are "
                         "understood",
                         number);
}

enum ym_code ym_trust_parse(struct ym_bytes text, struct ym_trust *out, struct ym_status *st)
{
    struct ym_trust t = {0};
    enum ym_code code = YM_OK;

    for (size_t number = 1; code == YM_OK && text.len > 0; number++) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end ? (size_t)(end - text.data) : text.len;

        code = take_line(&t, (struct ym_bytes){text.data, len}, number, st);
        len += end != NULL;
        text.data += len;
        text.len -= len;
    }
    if (code != YM_OK) {
        ym_trust_release(&t);
        return code;
    }
    *out = t;
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
    free(t->key);
    *t = (struct ym_trust){0};
}

const struct ym_vkey *ym_trust_find(const struct ym_trust *t, const char *origin)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->key[i].name, origin) == 0)
            return &t->key[i];
    return NULL;
}
