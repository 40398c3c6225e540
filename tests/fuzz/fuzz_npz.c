#include <string.h>

#include "worker/data/freeze_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char card_text[] = "yumen: card/1\nname: d1\ntitle: t\nfile: x.npz\npatient_column: p\n"
                                "patient_identifier: row\nsize_class: \"<100\"\ntier: general\nvariables:\n"
                                "  - {name: x, column: x, channels: 1, height: 2, width: 3}\n"
                                "  - {name: y, column: y, levels: [\"0\", \"1\"]}\n"
                                "  - {name: z, column: z, unit: year, low: 0, high: 100, missing: [nan]}\n";

static struct ym_card *card_make(void)
{
    struct ym_doc *doc = NULL;
    struct ym_card *card = NULL;
    YM_ASSERT(ym_doc_parse("c", card_text, strlen(card_text), &doc, NULL, NULL) == YM_OK);
    YM_ASSERT(ym_card_read(doc, &card, NULL, NULL) == YM_OK);
    ym_doc_free(doc);
    return card;
}

/* The bytes as a .npy header, then as an NPZ: whatever freezes can be read back. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ym_card *card;
    static const uint8_t salt[32];
    struct ym_freeze *f = NULL;
    struct ym_frozen *frozen = NULL;
    struct ym_npz *z = NULL;
    struct ym_npy npy;
    struct ym_buf report = {0}, bytes = {0};
    size_t at;
    if (!card)
        card = card_make();
    if (ym_npy_read((struct ym_bytes){data, size}, &npy, &at, NULL) == YM_OK)
        YM_ASSERT(at <= size && npy.rank >= 1 && npy.rank <= YM_NPY_RANK && npy.item >= 1);
    if (ym_npz_wrap((struct ym_bytes){data, size}, &z, NULL) != YM_OK)
        return 0;
    enum ym_code code = ym_freeze_new(card, salt, false, &report, &f, NULL);
    if (code == YM_OK)
        code = ym_freeze_npz(f, card, z, NULL);
    if (code == YM_OK)
        code = ym_freeze_finish(f, &bytes, NULL);
    if (code == YM_OK)
        YM_ASSERT(ym_frozen_parse((struct ym_bytes){bytes.data, bytes.len}, &frozen, NULL) == YM_OK);
    else
        YM_ASSERT(report.len || code == YM_EXHAUSTED);
    ym_frozen_free(frozen);
    ym_npz_close(z);
    ym_freeze_free(f);
    ym_buf_release(&report);
    ym_buf_release(&bytes);
    return 0;
}
