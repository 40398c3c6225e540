#include "base/text.h"

#include <inttypes.h> /* conversions in the catalogue */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "base/utf8_internal.h"

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

size_t ym_text_character(const char *p, uint32_t *point)
{
    const uint8_t *u = (const uint8_t *)p;
    size_t len = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

    if (strnlen(p, len) < len || ym_utf8_step(p, len) != len)
        return 0;
    *point = len == 1 ? u[0] : u[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        *point = *point << 6 | (u[i] & 0x3f);
    return len;
}

bool ym_text_hides(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c >= 0xe0000;
}

void ym_text_plain(char *text)
{
    char *to = text;

    while (*text) {
        uint32_t c = 0;
        size_t len = ym_text_character(text, &c);

        if (len == 0 || ym_text_hides(c)) {
            *to++ = '?';
        } else {
            memmove(to, text, len);
            to += len;
        }
        text += len ? len : 1;
    }
    *to = '\0';
}
