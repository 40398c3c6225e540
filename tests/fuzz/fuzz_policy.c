#include <string.h>

#include "base/json.h"
#include "gate/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A policy that reads has terms that read back to the same, and hours that can be asked and shown. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ym_policy *policy = NULL, *again = NULL;
    struct ym_policy_figures f;
    struct ym_doc *doc = NULL;
    struct ym_problems p = {0};
    struct ym_buf hours = {0}, same = {0};

    if (ym_doc_parse("policy.yaml", data, size, &doc, &p, NULL) == YM_OK &&
        ym_policy_read(doc, &f, &policy, &p, NULL) == YM_OK) {
        YM_ASSERT(ym_policy_decode(policy->terms, &again, NULL) == YM_OK);
        YM_ASSERT(again->window_count == policy->window_count &&
                  memcmp(again->window, policy->window, sizeof again->window) == 0 &&
                  again->epsilon_study_micro == policy->epsilon_study_micro);
        YM_ASSERT(ym_policy_hours(policy, &hours) == YM_OK && ym_policy_hours(again, &same) == YM_OK);
        YM_ASSERT(strcmp(ym_buf_str(&hours), ym_buf_str(&same)) == 0);
        for (int64_t now = 0; now < 7 * 86400; now += 1800)
            YM_ASSERT(ym_policy_open(policy, now, NULL) == ym_policy_open(again, now, NULL));
    } else {
        YM_ASSERT(p.count);
    }
    ym_policy_free(policy);
    ym_policy_free(again);
    ym_buf_release(&hours);
    ym_buf_release(&same);
    ym_problems_release(&p);
    ym_doc_free(doc);
    return 0;
}
