#ifndef YM_BASE_TEXT_H
#define YM_BASE_TEXT_H

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
#define T(id) ym_text(YM_TEXT_##id)

#endif
