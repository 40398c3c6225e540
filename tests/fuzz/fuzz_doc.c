#include "base/doc.h"
#include "base/json.h"
#include "tests/fuzz/fuzz.h"

/* What is taken is restricted JSON; what is refused says one problem. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_problems p = {0};
    struct ym_buf text = {0};
    struct ym_doc *doc = NULL;
    struct ym_status st;

    if (ym_doc_parse("f.yaml", data, size, &doc, &p, &st) == YM_OK) {
        YM_ASSERT(p.count == 0);
        YM_ASSERT(ym_json_canonical(ym_doc_root(doc), &text, &st) == YM_OK);
    } else {
        YM_ASSERT(p.count == 1 && ym_problems_format(&p, &text) == YM_OK);
        YM_ASSERT(ym_utf8_valid(ym_buf_str(&text), text.len));
    }
    ym_doc_free(doc);
    ym_problems_release(&p);
    ym_buf_release(&text);
    return 0;
}
