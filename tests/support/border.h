#ifndef YM_TESTS_SUPPORT_BORDER_H
#define YM_TESTS_SUPPORT_BORDER_H

#include "base/doc.h"
#include "gate/border/evaluate.h"
#include "tests/unit/support.h"

#ifndef YM_TEST_SOURCE_ROOT /* meson gives it */
#define YM_TEST_SOURCE_ROOT "."
#endif
#define BORDER_FOLDER YM_TEST_SOURCE_ROOT "/gate/border/"

/* A rule set as it is shipped; prints what is wrong with it. */
static inline struct ym_rules *rules_must(const char *path)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_problems p = {0};
    struct ym_buf text = {0};
    struct ym_doc *doc = NULL;
    struct ym_rules *rules = NULL;
    enum ym_code code = ym_doc_load(path, &doc, &p, &st);
    if (code == YM_OK)
        code = ym_rules_read(doc, &rules, &p, &st);
    if (code != YM_OK) {
        ym_problems_format(&p, &text);
        fail_msg("%s: %s\n%s", path, st.message, ym_buf_str(&text));
    }
    ym_problems_release(&p);
    ym_doc_free(doc);
    return rules;
}

static inline void choose(struct ym_facts *f, enum ym_choice c, const char *value)
{
    int v = ym_choice_value_find(c, value);
    assert_true(v > 0);
    f->choice[c] = (uint8_t)v;
}

/* Case V1 of the notes: 4,200 people, imaging, general data, an overseas sponsor, everything on record. */
static inline struct ym_facts facts_v1(void)
{
    static const struct {
        enum ym_choice c;
        const char *value;
    } said[] = {{YM_CHOICE_ARTEFACT, "update"},
                {YM_CHOICE_PROTECTION, "complete"},
                {YM_CHOICE_LABELS, "complete"},
                {YM_CHOICE_EXPORTER, "recorded"},
                {YM_CHOICE_TIER, "general"},
                {YM_CHOICE_CIIO, "no"},
                {YM_CHOICE_PI, "yes"},
                {YM_CHOICE_SENSITIVE_PI, "yes"},
                {YM_CHOICE_RECIPIENT, "outside"},
                {YM_CHOICE_OVERSEAS_ACCESS, "possible"},
                {YM_CHOICE_POSITION, "p1"},
                {YM_CHOICE_CLAIM, "none"},
                {YM_CHOICE_ZONE, "none"},
                {YM_CHOICE_AGGREGATION, "single"},
                {YM_CHOICE_SURVEILLANCE, "no"},
                {YM_CHOICE_HGR, "no"},
                {YM_CHOICE_IMPORTANT_FAMILY, "no"},
                {YM_CHOICE_SPECIFIED_REGION, "no"},
                {YM_CHOICE_HGR_SALE, "no"},
                {YM_CHOICE_HGR_ROUTE, "collaboration"},
                {YM_CHOICE_FOREIGN_UNIT, "yes"},
                {YM_CHOICE_CHINESE_PARTNER, "yes"},
                {YM_CHOICE_CONSENT, "enough"},
                {YM_CHOICE_AI_SECTIONS, "complete"},
                {YM_CHOICE_PUBLIC_SERVICE, "no"},
                {YM_CHOICE_US_PERSONS, "no"},
                {YM_CHOICE_US_GOVERNMENT, "no"},
                {YM_CHOICE_COVERED_PERSON, "yes"}};
    static const enum ym_record live[] = {YM_RECORD_SELF_ASSESSMENT, YM_RECORD_PIPIA, YM_RECORD_STANDARD_CONTRACT,
                                          YM_RECORD_ETHICS, YM_RECORD_HOSPITAL};
    struct ym_facts f;
    ym_facts_init(&f);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        choose(&f, said[i].c, said[i].value);
    for (size_t i = 0; i < YM_PEOPLE_COUNT; i++)
        f.people[i] = 0;
    f.people[YM_PEOPLE_SENSITIVE] = f.people[YM_PEOPLE_PI] = f.people[YM_PEOPLE_RECORDS] = 4200;
    for (size_t i = 0; i < sizeof live / sizeof *live; i++)
        f.record[live[i]] = YM_RECORD_LIVE;
    return f;
}

/* The shipped sets, as a site would have signed them. */
static struct ym_rules_in sets[2];

static inline int sets_open(void **state)
{
    (void)state;
    sets[0] = (struct ym_rules_in){rules_must(BORDER_FOLDER "cn-health.yaml"), true};
    sets[1] = (struct ym_rules_in){rules_must(BORDER_FOLDER "us-28cfr202.yaml"), true};
    return 0;
}

static inline int sets_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        ym_rules_free((struct ym_rules *)sets[i].rules);
    return 0;
}

#endif
