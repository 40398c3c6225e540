#ifndef YM_CMD_YUMEN_CARD_H
#define YM_CMD_YUMEN_CARD_H

#include <jansson.h>

#include "base/buf.h"

/* A model card's JSON (docs/results.md) as Markdown for people, in the user's language. */
enum ym_code ym_card_markdown(const json_t *card, struct ym_buf *out, struct ym_status *st);

#endif
