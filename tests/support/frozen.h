#ifndef YM_TESTS_SUPPORT_FROZEN_H
#define YM_TESTS_SUPPORT_FROZEN_H

#include "tests/unit/gate_help.h"
#include "worker/data/freeze.h"

/* The data set that a hospital would have frozen from this CSV; the caller frees it. */
static inline struct ym_frozen *frozen_must(const struct ym_card *card, struct ym_bytes csv)
{
    static const uint8_t salt[32] = {1};
    struct ym_freeze *f = NULL;
    struct ym_buf bytes = {0}, report = {0};
    struct ym_frozen *out = NULL;

    assert_int_equal(ym_freeze_new(card, salt, false, &report, &f, NULL), YM_OK);
    assert_int_equal(ym_freeze_push(f, csv.data, csv.len, NULL), YM_OK);
    assert_int_equal(ym_freeze_finish(f, &bytes, NULL), YM_OK);
    assert_int_equal(ym_frozen_parse(ym_buf_bytes(&bytes), &out, NULL), YM_OK);
    ym_freeze_free(f);
    ym_buf_release(&bytes);
    ym_buf_release(&report);
    return out;
}

#endif
