#include "base/text.h"

#include <inttypes.h> /* conversions in the catalogue */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

static const char *const english[] = {
#define YM_TEXT(id, en, zh) en,
#include "base/text.def"
#undef YM_TEXT
};

static const char *const chinese[] = {
#define YM_TEXT(id, en, zh) zh,
#include "base/text.def"
#undef YM_TEXT
};

static enum ym_lang current = YM_LANG_EN;

static const char *from_environment(void)
{
    static const char *const name[] = {"YUMEN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"};

    for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
        const char *value = getenv(name[i]);

        if (value && *value)
            return value;
    }
    return "en";
}

void ym_text_init(const char *lang_option)
{
    const char *lang = lang_option ? lang_option : from_environment();

    current = strncmp(lang, "zh", 2) == 0 ? YM_LANG_ZH : YM_LANG_EN;
}

enum ym_lang ym_text_lang(void)
{
    return current;
}

const char *ym_text_in(enum ym_text_id id, enum ym_lang lang)
{
    YM_ASSERT((size_t)id < YM_TEXT_COUNT);
    return lang == YM_LANG_ZH ? chinese[id] : english[id];
}

const char *ym_text(enum ym_text_id id)
{
    return ym_text_in(id, current);
}
