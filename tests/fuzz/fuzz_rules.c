#include "gate/border/evaluate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Facts drawn from the tail of the input, every value within its kind. */
static struct ym_facts facts_of(const uint8_t *data, size_t size)
{
    struct ym_facts f;
    size_t at = size;
    ym_facts_init(&f);
    for (size_t i = 0; i < YM_CHOICE_COUNT && at; i++)
        if (ym_choice_value((enum ym_choice)i, data[--at] % YM_CHOICE_MOST_VALUES))
            f.choice[i] = data[at] % YM_CHOICE_MOST_VALUES;
    for (size_t i = 0; i < YM_PEOPLE_COUNT && at; i++)
        f.people[i] = (int64_t)data[--at] * 100 - 1;
    for (size_t i = 0; i < YM_RECORD_COUNT && at; i++)
        f.record[i] = data[--at] % YM_RECORD_STATES;
    return f;
}

/* A set that reads gives an answer that can be printed, and unsigned none that proceeds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_rules *rules = NULL;
    struct ym_doc *doc = NULL;
    struct ym_problems p = {0};
    struct ym_buf text = {0};
    struct ym_crossing d;
    if (ym_doc_parse("rules.yaml", data, size, &doc, &p, NULL) == YM_OK &&
        ym_rules_read(doc, &rules, &p, NULL) == YM_OK) {
        struct ym_facts f = facts_of(data, size);
        struct ym_rules_in in = {rules, true};
        ym_border_decide(&in, 1, &f, "2026-11-22", false, &d);
        YM_ASSERT(ym_crossing_print(&d, &text) == YM_OK);
        in.is_signed = false;
        ym_border_decide(&in, 1, &f, "2026-11-22", true, &d);
        YM_ASSERT(d.outcome != YM_PROCEED);
        ym_rules_free(rules);
    } else {
        YM_ASSERT(p.count);
    }
    ym_buf_release(&text);
    ym_problems_release(&p);
    ym_doc_free(doc);
    return 0;
}
