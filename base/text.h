#ifndef YM_BASE_TEXT_H
#define YM_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The message catalogue: every text a person sees, English and Chinese, in
 * base/text.def as YM_TEXT(id, "english", "中文"). Both have the same printf
 * conversions in the same order (a test compares them). */
enum ym_text_id {
#define YM_TEXT(id, en, zh) YM_TEXT_##id,
#include "base/text.def"
#undef YM_TEXT
    YM_TEXT_COUNT
};

enum ym_lang { YM_LANG_EN, YM_LANG_ZH };

/* Language of this process: --lang, else YUMEN_LANG, else LC_ALL/LC_MESSAGES/LANG
 * beginning with "zh", else English. */
void ym_text_init(const char *lang_option);
enum ym_lang ym_text_lang(void);
const char *ym_text(enum ym_text_id id);
const char *ym_text_in(enum ym_text_id id, enum ym_lang lang);
/* Text of others. Length of the UTF-8 character at p (no NUL) and its code point; 0: it is none. */
size_t ym_text_character(const char *p, uint32_t *point);
/* A control, or it turns the direction of text or takes no room: a name must look like what it is. */
bool ym_text_hides(uint32_t point);
/* For a terminal, in place: '?' for each of those, and for each byte that is no UTF-8. */
void ym_text_plain(char *text);
#define T(id) ym_text(YM_TEXT_##id)

#endif
