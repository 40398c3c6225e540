#ifndef YM_CMD_HTML_H
#define YM_CMD_HTML_H

#include "base/buf.h"
#include "base/text.h"

/* HTML under way, in one of the two languages. html_raw takes our own markup and
 * numbers only; whatever comes from a ledger, a path or the catalogue goes
 * through html_text or html_say, which escape it. */
struct html {
    struct ym_buf out;
    enum ym_lang lang;
    bool failed; /* out of memory: the rest is not written */
};

void html_raw(struct html *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* & < > " ' as references; what is no UTF-8, control characters and those that turn or hide text as U+FFFD. */
void html_text(struct html *h, const char *text);
/* A text of the catalogue with its arguments, escaped as a whole. */
void html_say(struct html *h, enum ym_text_id id, ...);
/* <tag>text</tag>; tag is ours and may hold attributes. */
void html_element(struct html *h, const char *tag, const char *text);
void html_element_say(struct html *h, const char *tag, enum ym_text_id id, ...);

#endif
