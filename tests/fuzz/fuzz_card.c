#include "base/json.h"
#include "gate/card.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A card that reads has a public part that parses and keeps its bound. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_card *card = NULL;
    struct ym_doc *doc = NULL;
    struct ym_problems p = {0};
    json_t *public = NULL;
    if (ym_doc_parse("card.yaml", data, size, &doc, &p, NULL) == YM_OK && ym_card_read(doc, &card, &p, NULL) == YM_OK) {
        YM_ASSERT(ym_json_parse(card->public_json.data, card->public_json.len, 32768, &public, NULL) == YM_OK);
        json_decref(public);
        ym_card_free(card);
    } else {
        YM_ASSERT(p.count);
    }
    ym_problems_release(&p);
    ym_doc_free(doc);
    return 0;
}
