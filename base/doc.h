#ifndef YM_BASE_DOC_H
#define YM_BASE_DOC_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"

/* Documents people write: YAML in, a JSON value out, with the line of every
 * node remembered, and all problems of a document collected before anything is
 * refused. Scalars: true/false, integers -> JSON integers; everything else,
 * "0.5" included -> JSON strings (decimals stay text; see decimal.h). Anchors,
 * aliases, tags, several documents and duplicate keys are refused. At most
 * 1 MiB, depth 16. */

struct ym_problem {
    char *file;
    int line;      /* 1-based; 0 when the whole file is meant */
    char *key;     /* path such as "model.inputs[2].low"; "" for the document */
    char *message; /* what is wrong and what to do, in the user's language */
};

struct ym_problems {
    struct ym_problem *item;
    size_t count, cap;
};

void ym_problems_release(struct ym_problems *p);
void ym_problems_add(struct ym_problems *p, const char *file, int line, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* "plan.yaml:12: model.family: ..." a line each. */
enum ym_code ym_problems_format(const struct ym_problems *p, struct ym_buf *out);

struct ym_doc; /* owns its JSON value and line table */

/* file is used in problems only by ym_doc_parse; ym_doc_load reads it. A
 * document that does not parse gives one problem with its line and YM_INVALID;
 * a file that cannot be read YM_NOT_FOUND or YM_UNAVAILABLE. */
enum ym_code ym_doc_load(const char *path, struct ym_doc **out, struct ym_problems *p, struct ym_status *st);
enum ym_code ym_doc_parse(const char *file, const void *data, size_t len, struct ym_doc **out, struct ym_problems *p,
                          struct ym_status *st);
/* Wrap an already parsed value, so that one schema serves YAML and the wire;
 * all lines are 0. Takes a reference of its own. */
struct ym_doc *ym_doc_wrap(const char *file, json_t *value);
void ym_doc_free(struct ym_doc *doc);
json_t *ym_doc_root(const struct ym_doc *doc); /* borrowed */
const char *ym_doc_file(const struct ym_doc *doc);
/* Line of a node, 0 when unknown: true and false are shared by all who hold them and have none. */
int ym_doc_line(const struct ym_doc *doc, const json_t *node);
/* Line on which object's key stands, whatever its value; 0 when unknown. */
int ym_doc_key_line(const struct ym_doc *doc, const json_t *object, const char *key);

#endif
