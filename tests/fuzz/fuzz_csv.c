#include <string.h>

#include "worker/data/freeze.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char card_text[] =
    "yumen: card/1\n"
    "name: d1\n"
    "title: t\n"
    "file: x.csv\n"
    "encoding: %s\n"
    "separator: \"%s\"\n"
    "patient_column: id\n"
    "size_class: \"<100\"\n"
    "tier: general\n"
    "variables:\n"
    "  - {name: age, column: age, unit: year, low: 0, high: 100, missing: [NA]}\n"
    "  - {name: sex, column: sex, levels: [female, male], map: {女: female, 男: male}}\n"
    "  - {name: day, column: day, unit: day, low: 0, high: 9, date_format: \"%%Y-%%m-%%d\"}\n";

static struct ym_card *card_make(const char *encoding, const char *separator)
{
    struct ym_buf text = {0};
    struct ym_doc *doc = NULL;
    struct ym_card *card = NULL;
    YM_ASSERT(ym_buf_printf(&text, card_text, encoding, separator) == YM_OK);
    YM_ASSERT(ym_doc_parse("c", text.data, text.len, &doc, NULL, NULL) == YM_OK);
    YM_ASSERT(ym_card_read(doc, &card, NULL, NULL) == YM_OK);
    ym_doc_free(doc);
    ym_buf_release(&text);
    return card;
}

/* The first byte chooses encoding, separator, skipping and how the rest is cut.
 * Whatever freezes can be read back. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ym_card *cards[4];
    static const uint8_t salt[32];
    struct ym_freeze *f = NULL;
    struct ym_frozen *frozen = NULL;
    struct ym_buf report = {0}, bytes = {0};
    if (!size)
        return 0;
    for (int i = 0; i < 4 && !cards[i]; i++)
        cards[i] = card_make(i & 1 ? "gb18030" : "utf-8", i & 2 ? "tab" : ",");
    size_t piece = data[0] & 8 ? 1 : 4096;
    enum ym_code code = ym_freeze_new(cards[data[0] & 3], salt, data[0] & 4, &report, &f, NULL);
    for (size_t i = 1; i < size && code == YM_OK; i += piece)
        code = ym_freeze_push(f, data + i, size - i < piece ? size - i : piece, NULL);
    if (code == YM_OK)
        code = ym_freeze_finish(f, &bytes, NULL);
    if (code == YM_OK) {
        YM_ASSERT(ym_frozen_parse((struct ym_bytes){bytes.data, bytes.len}, &frozen, NULL) == YM_OK);
        ym_frozen_free(frozen);
    } else {
        YM_ASSERT(report.len);
    }
    ym_freeze_free(f);
    ym_buf_release(&report);
    ym_buf_release(&bytes);
    return 0;
}
