#include "base/doc.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/utf8_internal.h"

#define DOC_BYTES (1024 * 1024)
#define DOC_DEPTH 16
#define PROBLEMS_MAX 1000
#define KEY_BYTES 512

/* A JSON node, or the name of an object's member inside jansson, and its line. */
struct mark {
    const void *at;
    int line;
};

struct ym_doc {
    char *file;
    json_t *root;
    struct mark *mark;
    size_t mark_count, mark_cap;
};

/* One parse: the first problem ends it. */
struct reader {
    struct fy_parser *parser;
    struct ym_doc *doc;
    struct ym_problems *problems;
    enum ym_code code;
    const char *text;
    size_t len;
    char key[KEY_BYTES]; /* path of the node being read */
};

void ym_problems_release(struct ym_problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->item[i].file);
        free(p->item[i].key);
        free(p->item[i].message);
    }
    free(p->item);
    *p = (struct ym_problems){0};
}

void ym_problems_add(struct ym_problems *p, const char *file, int line, const char *key, const char *fmt, ...)
{
    struct ym_problem item = {.line = line};
    va_list ap;

    if (!p || p->count == PROBLEMS_MAX)
        return;
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 16;
        struct ym_problem *grown = realloc(p->item, cap * sizeof(*grown));

        YM_ASSERT(grown); /* a problem that is lost would pass for none */
        p->item = grown;
        p->cap = cap;
    }
    va_start(ap, fmt);
    YM_ASSERT(vasprintf(&item.message, fmt, ap) >= 0);
    va_end(ap);
    item.file = strdup(file);
    item.key = strdup(key);
    YM_ASSERT(item.file && item.key);
    p->item[p->count++] = item;
}

enum ym_code ym_problems_format(const struct ym_problems *p, struct ym_buf *out)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct ym_problem *item = &p->item[i];
        char line[16] = "";
        enum ym_code code;

        if (item->line > 0)
            snprintf(line, sizeof(line), ":%d", item->line);
        code = ym_buf_printf(out, "%s%s: %s%s%s\n", item->file, line, item->key, *item->key ? ": " : "", item->message);
        if (code != YM_OK)
            return code;
    }
    return YM_OK;
}

static bool mark_add(struct ym_doc *doc, const void *at, int line)
{
    if (doc->mark_count == doc->mark_cap) {
        size_t cap = doc->mark_cap ? 2 * doc->mark_cap : 64;
        struct mark *grown = realloc(doc->mark, cap * sizeof(*grown));

        if (!grown)
            return false;
        doc->mark = grown;
        doc->mark_cap = cap;
    }
    doc->mark[doc->mark_count++] = (struct mark){at, line};
    return true;
}

static int mark_compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct mark *)a)->at, y = (uintptr_t)((const struct mark *)b)->at;

    return (x > y) - (x < y);
}

static int mark_find(const struct ym_doc *doc, const void *at)
{
    struct mark wanted = {at, 0}, *found;

    if (!doc->mark_count || !at)
        return 0;
    found = bsearch(&wanted, doc->mark, doc->mark_count, sizeof(wanted), mark_compare);
    return found ? found->line : 0;
}

static json_t *refuse(struct reader *r, int line, const char *message)
{
    if (r->code == YM_OK)
        ym_problems_add(r->problems, r->doc->file, line, r->key, "%s", message);
    r->code = YM_INVALID;
    return NULL;
}

static json_t *exhausted(struct reader *r)
{
    r->code = YM_EXHAUSTED;
    return NULL;
}

static int token_line(struct fy_token *token)
{
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

    return mark ? mark->line + 1 : 0;
}

static int event_line(struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);

    return mark ? mark->line + 1 : 0;
}

/* The first line that is indented with a tab, 0 when there is none: the usual slip, and the parser's words for it
 * mislead. Only asked after an error, as literal text may hold such lines. */
static int tab_line(const struct reader *r)
{
    bool indent = true;
    int line = 1;

    for (size_t i = 0; i < r->len; i++) {
        if (indent && r->text[i] == '\t')
            return line;
        if (r->text[i] == '\n')
            line++;
        indent = r->text[i] == '\n' || (indent && r->text[i] == ' ');
    }
    return 0;
}

/* The parser's own words, which exist in English only. */
static json_t *syntax_error(struct reader *r)
{
    struct fy_diag *diag = fy_parser_get_diag(r->parser);
    struct fy_diag_error *error;
    void *at = NULL;
    char message[300];
    int line = 0, tab;

    error = diag ? fy_diag_errors_iterate(diag, &at) : NULL;
    if (error && error->line > 0)
        line = error->line;
    snprintf(message, sizeof(message), T(DOC_SYNTAX), error && error->msg ? error->msg : "?");
    fy_diag_unref(diag);
    r->key[0] = '\0';
    tab = tab_line(r);
    return tab ? refuse(r, tab, T(DOC_TAB)) : refuse(r, line, message);
}

static json_t *read_node(struct reader *r, struct fy_event *event, int depth);

static bool integer_parse(const char *text, size_t len, int64_t *out)
{
    size_t first = text[0] == '-';
    char copy[24];
    char *end;

    if (len <= first || len >= sizeof(copy) || (text[first] == '0' && len > 1))
        return false;
    for (size_t i = first; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    errno = 0;
    *out = strtoll(copy, &end, 10);
    return errno == 0;
}

static json_t *read_scalar(struct reader *r, struct fy_token *token)
{
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : "";
    bool plain = !token || fy_token_scalar_style(token) == FYSS_PLAIN;
    json_t *value;
    int64_t number;

    if (!text || !ym_utf8_valid(text, len))
        return refuse(r, token_line(token), T(DOC_TEXT));
    if (plain && len == 4 && memcmp(text, "true", 4) == 0)
        return json_true();
    if (plain && len == 5 && memcmp(text, "false", 5) == 0)
        return json_false();
    if (plain && len && integer_parse(text, len, &number))
        value = json_integer(number);
    else
        value = json_stringn(text, len);
    return value ? value : exhausted(r);
}

static json_t *read_sequence(struct reader *r, int depth)
{
    json_t *array = json_array(), *item;
    size_t key_len = strlen(r->key), index = 0;
    struct fy_event *event;

    if (!array)
        return exhausted(r);
    while (r->code == YM_OK) {
        event = fy_parser_parse(r->parser);
        if (!event || event->type == FYET_SEQUENCE_END) {
            if (!event)
                syntax_error(r);
            fy_parser_event_free(r->parser, event);
            break;
        }
        snprintf(r->key + key_len, sizeof(r->key) - key_len, "[%zu]", index++);
        item = read_node(r, event, depth + 1);
        fy_parser_event_free(r->parser, event);
        if (item && json_array_append_new(array, item))
            exhausted(r);
        r->key[key_len] = '\0';
    }
    if (r->code == YM_OK)
        return array;
    json_decref(array);
    return NULL;
}

/* Where jansson keeps the name of a member; NULL when there is none. */
static const char *member_name(const json_t *object, const char *key)
{
    void *at = json_object_iter_at((json_t *)object, key);

    return at ? json_object_iter_key(at) : NULL;
}

static int member_line(const struct ym_doc *doc, const json_t *object, const char *key)
{
    const char *name = member_name(object, key);

    for (size_t i = doc->mark_count; i-- > 0;) /* not sorted yet: only asked once, for a duplicate */
        if (doc->mark[i].at == name)
            return doc->mark[i].line;
    return 0;
}

/* The text of a mapping's key, NULL after a problem; free it. */
static char *read_key(struct reader *r, struct fy_event *event, const json_t *object)
{
    size_t key_len = strlen(r->key), len = 0;
    struct fy_token *token;
    const char *text;
    char message[200];
    char *key = NULL;

    if (event->type == FYET_ALIAS || (event->type == FYET_SCALAR && event->scalar.anchor))
        refuse(r, event_line(event), T(DOC_ALIAS));
    else if (event->type == FYET_SCALAR && event->scalar.tag)
        refuse(r, event_line(event), T(DOC_TAG));
    else if (event->type != FYET_SCALAR || !event->scalar.value)
        refuse(r, event_line(event), T(DOC_KEY));
    if (r->code != YM_OK)
        return NULL;
    token = event->scalar.value;
    text = fy_token_get_text(token, &len);
    if (!text || len == 0 || !ym_utf8_valid(text, len)) {
        refuse(r, token_line(token), T(DOC_KEY));
        return NULL;
    }
    snprintf(r->key + key_len, sizeof(r->key) - key_len, "%s%.*s", key_len ? "." : "", (int)len, text);
    key = strndup(text, len);
    if (!key) {
        exhausted(r);
    } else if (json_object_get(object, key)) {
        snprintf(message, sizeof(message), T(DOC_DUPLICATE), member_line(r->doc, object, key));
        refuse(r, token_line(token), message);
        free(key);
        key = NULL;
    }
    return key;
}

static void read_member(struct reader *r, struct fy_event *key_event, json_t *object, int depth)
{
    int line = event_line(key_event);
    char *key = read_key(r, key_event, object);
    struct fy_event *event;
    json_t *value;

    if (!key)
        return;
    event = fy_parser_parse(r->parser);
    value = event ? read_node(r, event, depth + 1) : syntax_error(r);
    fy_parser_event_free(r->parser, event);
    if (value && json_object_set_new(object, key, value))
        exhausted(r);
    else if (value && !mark_add(r->doc, member_name(object, key), line))
        exhausted(r);
    free(key);
}

static json_t *read_mapping(struct reader *r, int depth)
{
    json_t *object = json_object();
    size_t key_len = strlen(r->key);
    struct fy_event *event;

    if (!object)
        return exhausted(r);
    while (r->code == YM_OK) {
        event = fy_parser_parse(r->parser);
        if (!event || event->type == FYET_MAPPING_END) {
            if (!event)
                syntax_error(r);
            fy_parser_event_free(r->parser, event);
            break;
        }
        read_member(r, event, object, depth);
        fy_parser_event_free(r->parser, event);
        if (r->code == YM_OK)
            r->key[key_len] = '\0';
    }
    if (r->code == YM_OK)
        return object;
    json_decref(object);
    return NULL;
}

static bool decorated(const struct fy_event *event, bool *tag)
{
    const struct fy_token *anchor = NULL, *mark = NULL;

    if (event->type == FYET_SCALAR)
        anchor = event->scalar.anchor, mark = event->scalar.tag;
    else if (event->type == FYET_SEQUENCE_START)
        anchor = event->sequence_start.anchor, mark = event->sequence_start.tag;
    else if (event->type == FYET_MAPPING_START)
        anchor = event->mapping_start.anchor, mark = event->mapping_start.tag;
    *tag = mark != NULL;
    return anchor || mark || event->type == FYET_ALIAS;
}

static json_t *read_node(struct reader *r, struct fy_event *event, int depth)
{
    bool tag, container = event->type == FYET_SEQUENCE_START || event->type == FYET_MAPPING_START;
    char message[200];
    json_t *value;

    if (decorated(event, &tag))
        return refuse(r, event_line(event), tag ? T(DOC_TAG) : T(DOC_ALIAS));
    if (container && depth >= DOC_DEPTH) {
        snprintf(message, sizeof(message), T(DOC_DEEP), DOC_DEPTH);
        return refuse(r, event_line(event), message);
    }
    if (event->type == FYET_MAPPING_START)
        value = read_mapping(r, depth);
    else if (event->type == FYET_SEQUENCE_START)
        value = read_sequence(r, depth);
    else if (event->type == FYET_SCALAR)
        value = read_scalar(r, event->scalar.value);
    else
        return syntax_error(r);
    if (value && !json_is_boolean(value) && !mark_add(r->doc, value, event_line(event))) {
        json_decref(value);
        return exhausted(r);
    }
    return value;
}

/* Events up to the first node, the node, and what may follow it. */
static void read_stream(struct reader *r)
{
    struct fy_event *event;
    bool end = false;

    while (r->code == YM_OK && !end) {
        event = fy_parser_parse(r->parser);
        if (!event) {
            if (fy_parser_get_stream_error(r->parser))
                syntax_error(r);
            break;
        }
        if (event->type == FYET_STREAM_END)
            end = true;
        else if (event->type == FYET_DOCUMENT_START && r->doc->root)
            refuse(r, event_line(event), T(DOC_MANY));
        else if (event->type != FYET_STREAM_START && event->type != FYET_DOCUMENT_START &&
                 event->type != FYET_DOCUMENT_END)
            r->doc->root = read_node(r, event, 0);
        fy_parser_event_free(r->parser, event);
    }
    if (r->code == YM_OK && (!r->doc->root || (json_is_string(r->doc->root) && !json_string_length(r->doc->root))))
        refuse(r, 0, T(DOC_EMPTY));
}

static bool precheck(struct reader *r)
{
    char message[200];
    size_t good = 0;
    int line = 1;

    if (r->len > DOC_BYTES) {
        snprintf(message, sizeof(message), T(DOC_LARGE), (size_t)DOC_BYTES);
        refuse(r, 0, message);
    } else if (!ym_utf8_valid(r->text, r->len)) {
        for (size_t step = 1; step && r->text[good]; good += step) {
            step = ym_utf8_step(r->text + good, r->len - good);
            line += r->text[good] == '\n';
        }
        refuse(r, line, T(DOC_UTF8));
    }
    return r->code == YM_OK;
}

static void discard_output(struct fy_diag *diag, void *user, const char *text, size_t len)
{
    (void)diag, (void)user, (void)text, (void)len;
}

static void parse(struct reader *r)
{
    struct fy_diag_cfg diag_cfg;
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_DISABLE_RECYCLING};

    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = discard_output;
    diag_cfg.level = FYET_ERROR;
    diag_cfg.colorize = false;
    cfg.diag = fy_diag_create(&diag_cfg);
    if (!cfg.diag) {
        exhausted(r);
        return;
    }
    fy_diag_set_collect_errors(cfg.diag, true);
    r->parser = fy_parser_create(&cfg);
    if (!r->parser || fy_parser_set_string(r->parser, r->text, r->len))
        exhausted(r);
    else
        read_stream(r);
    fy_parser_destroy(r->parser);
    fy_diag_destroy(cfg.diag);
}

enum ym_code ym_doc_parse(const char *file, const void *data, size_t len, struct ym_doc **out, struct ym_problems *p,
                          struct ym_status *st)
{
    struct reader r = {.problems = p, .text = len ? data : "", .len = len};
    struct ym_doc *doc = ym_doc_wrap(file, NULL);

    if (!doc)
        return ym_status_set(st, YM_EXHAUSTED, "no memory to read '%s'", file);
    r.doc = doc;
    if (precheck(&r))
        parse(&r);
    if (r.code != YM_OK) {
        ym_doc_free(doc);
        return ym_status_set(st, r.code,
                             r.code == YM_INVALID ? "'%s' cannot be read as YAML" : "no memory to read '%s'", file);
    }
    if (doc->mark_count)
        qsort(doc->mark, doc->mark_count, sizeof(*doc->mark), mark_compare);
    *out = doc;
    return YM_OK;
}

enum ym_code ym_doc_load(const char *path, struct ym_doc **out, struct ym_problems *p, struct ym_status *st)
{
    struct ym_buf text = {0};
    enum ym_code code = ym_fs_read(path, DOC_BYTES, &text, st);

    if (code == YM_EXHAUSTED && text.len == 0 && ym_fs_exists(path)) {
        ym_problems_add(p, path, 0, "", T(DOC_LARGE), (size_t)DOC_BYTES);
        code = YM_INVALID;
    } else if (code == YM_OK) {
        code = ym_doc_parse(path, text.data, text.len, out, p, st);
    }
    ym_buf_release(&text);
    return code;
}

struct ym_doc *ym_doc_wrap(const char *file, json_t *value)
{
    struct ym_doc *doc = calloc(1, sizeof(*doc));

    if (!doc)
        return NULL;
    doc->file = strdup(file);
    if (!doc->file) {
        free(doc);
        return NULL;
    }
    doc->root = json_incref(value);
    return doc;
}

void ym_doc_free(struct ym_doc *doc)
{
    if (!doc)
        return;
    json_decref(doc->root);
    free(doc->mark);
    free(doc->file);
    free(doc);
}

json_t *ym_doc_root(const struct ym_doc *doc)
{
    return doc->root;
}

const char *ym_doc_file(const struct ym_doc *doc)
{
    return doc->file;
}

int ym_doc_line(const struct ym_doc *doc, const json_t *node)
{
    return mark_find(doc, node);
}

int ym_doc_key_line(const struct ym_doc *doc, const json_t *object, const char *key)
{
    return mark_find(doc, member_name(object, key));
}
