#ifndef YM_TESTS_UNIT_GATE_HELP_H
#define YM_TESTS_UNIT_GATE_HELP_H

#include "gate/card.h"
#include "gate/plan.h"
#include "support.h"

/* A plan that is right; line numbers in tests count from its first line. */
static const char good_plan[] = "yumen: plan/1\n"                                             /* 1 */
                                "study: s1\n"                                                 /* 2 */
                                "sponsor: acme\n"                                             /* 3 */
                                "title: 一项研究\n"                                           /* 4 */
                                "purpose: test\n"                                             /* 5 */
                                "model:\n"                                                    /* 6 */
                                "  family: logistic\n"                                        /* 7 */
                                "  inputs:\n"                                                 /* 8 */
                                "    - {name: radius, unit: mm, low: 6, high: 30}\n"          /* 9 */
                                "    - {name: sex, levels: [female, male], missing: drop}\n"  /* 10 */
                                "  outcome: {name: malignant, levels: [benign, malignant]}\n" /* 11 */
                                "training:\n"                                                 /* 12 */
                                "  rounds: 15\n"                                              /* 13 */
                                "  local_steps: 4\n"                                          /* 14 */
                                "  sampling_probability: 0.25\n"                              /* 15 */
                                "  nominal_patients: 100\n"                                   /* 16 */
                                "  learning_rate: 0.5\n"                                      /* 17 */
                                "privacy:\n"                                                  /* 18 */
                                "  noise_multiplier: 4.0\n"                                   /* 19 */
                                "  delta: 1e-5\n"                                             /* 20 */
                                "  epsilon: 3\n"                                              /* 21 */
                                "federation:\n"                                               /* 22 */
                                "  hospitals: [{name: h1, weight: 1}, {name: h2}]\n"          /* 23 */
                                "  quorum: 2\n";                                              /* 24 */

/* text with the first `find` replaced; find "" appends. The caller frees. */
static inline char *text_edit(const char *text, const char *find, const char *replace)
{
    struct ym_buf out = {0};
    const char *at = *find ? strstr(text, find) : text + strlen(text);
    if (!at) {
        fprintf(stderr, "'%s' is not in the text\n", find);
        abort();
    }
    ym_buf_append(&out, text, (size_t)(at - text));
    ym_buf_puts(&out, replace);
    ym_buf_puts(&out, at + strlen(find));
    return (char *)out.data;
}

static inline enum ym_code plan_parse(const char *text, struct ym_plan **plan, struct ym_problems *p)
{
    struct ym_doc *doc = NULL;
    enum ym_code code = ym_doc_parse("p.yaml", text, strlen(text), &doc, p, NULL);
    if (code == YM_OK)
        code = ym_plan_read(doc, plan, p, NULL);
    ym_doc_free(doc);
    return code;
}

static inline enum ym_code card_parse(const char *text, struct ym_card **card, struct ym_problems *p)
{
    struct ym_doc *doc = NULL;
    enum ym_code code = ym_doc_parse("c.yaml", text, strlen(text), &doc, p, NULL);
    if (code == YM_OK)
        code = ym_card_read(doc, card, p, NULL);
    ym_doc_free(doc);
    return code;
}

/* Parses or ends the test, saying what is wrong. */
static inline struct ym_plan *plan_must(const char *text)
{
    struct ym_plan *plan = NULL;
    struct ym_problems p = {0};
    struct ym_buf why = {0};
    if (plan_parse(text, &plan, &p) != YM_OK) {
        ym_problems_format(&p, &why);
        fail_msg("%s", ym_buf_str(&why));
    }
    return plan;
}

static inline struct ym_card *card_must(const char *text)
{
    struct ym_card *card = NULL;
    struct ym_problems p = {0};
    struct ym_buf why = {0};
    if (card_parse(text, &card, &p) != YM_OK) {
        ym_problems_format(&p, &why);
        fail_msg("%s", ym_buf_str(&why));
    }
    return card;
}

/* Exactly one problem, at this line and key, whose message holds `part`. */
static inline void assert_problem(const struct ym_problems *p, int line, const char *key, const char *part)
{
    struct ym_buf all = {0};
    ym_problems_format(p, &all);
    if (p->count != 1 || p->item[0].line != line || strcmp(p->item[0].key, key) || !strstr(p->item[0].message, part))
        fail_msg("expected one problem at line %d, key '%s', with '%s'; got:\n%s", line, key, part, ym_buf_str(&all));
    ym_buf_release(&all);
}

#endif
