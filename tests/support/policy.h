#ifndef YM_TESTS_SUPPORT_POLICY_H
#define YM_TESTS_SUPPORT_POLICY_H

#include "gate/policy.h"
#include "tests/unit/gate_help.h"

/* A policy that is right and allows good_plan at any hour. */
static const char good_policy[] = "yumen: policy/1\n"                                               /* 1 */
                                  "epsilon: {lifetime: 3, study: 2.5, month: 2}\n"                  /* 2 */
                                  "delta: 1e-5\n"                                                   /* 3 */
                                  "min_patients: 20\n"                                              /* 4 */
                                  "sponsors: [acme, other]\n"                                       /* 5 */
                                  "purposes: [test]\n"                                              /* 6 */
                                  "models: [linear, logistic]\n"                                    /* 7 */
                                  "columns: {inputs: [radius, sex], outcomes: any, never: [hiv]}\n" /* 8 */
                                  "recipients: any\n"                                               /* 9 */
                                  "hours: any\n"                                                    /* 10 */
                                  "cpu_threads: 2\n"                                                /* 11 */
                                  "memory_mib: 256\n";                                              /* 12 */
#define POLICY_DELTA 10000000000000

static inline enum ym_code policy_parse(const char *text, struct ym_policy_figures *f, struct ym_policy **policy,
                                        struct ym_problems *p)
{
    struct ym_doc *doc = NULL;
    enum ym_code code = ym_doc_parse("policy.yaml", text, strlen(text), &doc, p, NULL);
    if (code == YM_OK)
        code = ym_policy_read(doc, f, policy, p, NULL);
    ym_doc_free(doc);
    return code;
}

/* good_policy with one text replaced; ends the test when it does not read. */
static inline struct ym_policy *policy_with(const char *find, const char *replace)
{
    struct ym_policy_figures f;
    struct ym_policy *policy = NULL;
    struct ym_problems p = {0};
    struct ym_buf why = {0};
    char *text = text_edit(good_policy, find, replace);
    if (policy_parse(text, &f, &policy, &p) != YM_OK) {
        ym_problems_format(&p, &why);
        fail_msg("%s", ym_buf_str(&why));
    }
    free(text);
    return policy;
}

#endif
