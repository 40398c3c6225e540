#include "gate/border/dossier.h"
#include "gate_help.h"

static const char plan_border[] = "border:\n"                                                      /* 25 */
                                  "  recipient: Acme Inc., Basel\n"                                /* 26 */
                                  "  contact: privacy@acme.example\n"                              /* 27 */
                                  "  method: download of the model\n"                              /* 28 */
                                  "  categories: laboratory values\n"                              /* 29 */
                                  "  rights: by letter to the hospital\n"                          /* 30 */
                                  "  storage: Basel\n"                                             /* 31 */
                                  "  foreign_law: Swiss data protection act\n"                     /* 32 */
                                  "  declares: {recipient: outside, overseas_access: possible}\n"; /* 33 */
static const char card_text[] =
    "yumen: card/1\nname: breast\ntitle: t\nfile: d.csv\npatient_column: p\n"
    "size_class: \"100-499\"\ntier: general\nvariables:\n"
    "  - {name: radius, column: r, unit: mm, low: 6, high: 30}\n"
    "border: {exporter: Peking Example Hospital, province: beijing, declares: {ciio: \"no\", hgr: \"no\", "
    "exome_genome_n: 3}}\n";

static struct ym_plan *plan_with(const char *find, const char *replace)
{
    char *text = text_edit(good_plan, "", plan_border), *edited = text_edit(text, find, replace);
    struct ym_plan *plan = plan_must(edited);
    free(text);
    free(edited);
    return plan;
}

static struct ym_filing filing(enum ym_record r, const char *from, const char *until)
{
    struct ym_filing f = {.record = r,
                          .study = "s1",
                          .dataset = "breast",
                          .issuer = "伦理委员会",
                          .number = "2026-1",
                          .committee = "京伦-7"};
    for (size_t i = 0; i < YM_REVIEW_TOPICS; i++)
        snprintf(f.topic[i], sizeof f.topic[i], "%zu", i + 1);
    struct ym_plan *plan = plan_with("", "");
    struct ym_card *card = card_must(card_text);
    snprintf(f.valid_from, sizeof f.valid_from, "%s", from);
    snprintf(f.valid_until, sizeof f.valid_until, "%s", until);
    ym_material_of(plan, card, f.material);
    f.document[0] = 7;
    ym_plan_free(plan);
    ym_card_free(card);
    return f;
}

static struct ym_transfer transfer(const struct ym_plan *plan, const char *card_source)
{
    static char province[64]; /* outlives the card */
    struct ym_transfer t;
    struct ym_card *card = card_must(card_source);
    ym_transfer_of(plan, card, &t);
    t.dataset = "breast";
    snprintf(province, sizeof province, "%s", card->border.province);
    t.province = province;
    ym_card_free(card);
    return t;
}

static enum ym_record_state ask(const struct ym_dossier *d, const char *today, const char *find, const char *replace,
                                int *changed)
{
    struct ym_plan *plan = plan_with(find, replace);
    struct ym_transfer t = transfer(plan, card_text);
    enum ym_record_state s = ym_dossier_state(d, YM_RECORD_SECURITY_ASSESSMENT, today, &t, changed);
    ym_plan_free(plan);
    return s;
}

static void a_filing_lives_from_its_first_day_to_its_last(void **state)
{
    struct ym_dossier d = {0};
    struct ym_filing f = filing(YM_RECORD_SECURITY_ASSESSMENT, "2024-02-29", "2027-02-28");
    (void)state;
    assert_int_equal(ask(&d, "2026-11-22", "", "", NULL), YM_RECORD_ABSENT);
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    assert_int_equal(ask(&d, "2024-02-28", "", "", NULL), YM_RECORD_OUT_OF_SCOPE);
    assert_int_equal(ask(&d, "2024-02-29", "", "", NULL), YM_RECORD_LIVE);
    assert_int_equal(ask(&d, "2027-02-28", "", "", NULL), YM_RECORD_LIVE);
    assert_int_equal(ask(&d, "2027-03-01", "", "", NULL), YM_RECORD_EXPIRED); /* case V10 */
    f = filing(YM_RECORD_SECURITY_ASSESSMENT, "2027-02-20", "2030-02-19");    /* another one */
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    assert_int_equal(ask(&d, "2027-03-01", "", "", NULL), YM_RECORD_LIVE);
    ym_dossier_release(&d);
}

/* PW-09: three years from the day on the document, whatever else is written on it. */
static void an_assessment_lasts_no_longer_than_three_years(void **state)
{
    struct ym_dossier d = {0};
    struct ym_filing f = filing(YM_RECORD_SECURITY_ASSESSMENT, "2024-02-29", "2999-12-31");
    char end[16];
    (void)state;
    assert_true(ym_dossier_longest(&d, &f, end));
    assert_string_equal(end, "2027-02-28");
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    assert_int_equal(ask(&d, "2027-02-28", "", "", NULL), YM_RECORD_LIVE);
    assert_int_equal(ask(&d, "2027-03-01", "", "", NULL), YM_RECORD_EXPIRED);
    ym_dossier_release(&d);
}

static struct ym_filing renewal(const char *from, const char *until, uint8_t document, uint8_t of)
{
    struct ym_filing f = filing(YM_RECORD_SECURITY_ASSESSMENT, from, until);
    f.document[0] = document;
    f.renews[0] = of;
    return f;
}

/* What the first day of a renewal makes of its last one. */
static void expect_renewed(const char *from, const char *last, const char *shut, const char *open)
{
    struct ym_dossier d = {0};
    struct ym_filing f = filing(YM_RECORD_SECURITY_ASSESSMENT, "2024-03-01", "2027-03-01");
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    f = renewal(from, "2999-12-31", 8, 7);
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    assert_string_equal(d.item[1].last_day, last);
    if (shut)
        assert_int_equal(ask(&d, shut, "", "", NULL), YM_RECORD_EXPIRED);
    assert_int_equal(ask(&d, open, "", "", NULL), YM_RECORD_LIVE);
    assert_int_equal(ask(&d, last, "", "", NULL), YM_RECORD_LIVE);
    ym_dossier_release(&d);
}

static void a_renewal_goes_on_from_the_end_and_a_gap_stays_shut(void **state)
{
    (void)state;
    expect_renewed("2027-01-15", "2030-03-01", NULL, "2027-03-02"); /* in time: from the old end on */
    expect_renewed("2027-03-01", "2030-03-01", NULL, "2027-03-02");
    expect_renewed("2027-05-10", "2030-05-10", "2027-05-09", "2027-05-10"); /* late: PW-10, the gap is nobody's */
    expect_renewed("2024-06-01", "2027-06-01", NULL, "2027-03-02");         /* years ahead: nothing is saved up */
}

static void a_renewal_of_nothing_on_record_never_lives(void **state)
{
    struct ym_dossier d = {0};
    struct ym_filing f = renewal("2027-01-15", "2030-01-14", 8, 7), first;
    char end[16];
    (void)state;
    assert_false(ym_dossier_longest(&d, &f, end));
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    assert_int_equal(ask(&d, "2027-02-01", "", "", NULL), YM_RECORD_INCOMPLETE);
    assert_string_equal(ym_filing_lacks(&d.item[0]), "renews");
    ym_dossier_release(&d);
    d = (struct ym_dossier){0};
    first = filing(YM_RECORD_SECURITY_ASSESSMENT, "2024-03-01", "2027-03-01");
    assert_int_equal(ym_dossier_take(&d, &first, NULL), YM_OK);
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    assert_int_equal(ask(&d, "2027-06-01", "", "", NULL), YM_RECORD_LIVE);
    first.withdrawn = true; /* what it extends is taken back */
    assert_int_equal(ym_dossier_take(&d, &first, NULL), YM_OK);
    assert_int_equal(ask(&d, "2027-06-01", "", "", NULL), YM_RECORD_INCOMPLETE);
    ym_dossier_release(&d);
}

/* PW-03, PW-04, PW-13, HG-15, EC-02, EC-03: what each kind of document must have, one thing missing at a time. */
static enum ym_record_state state_of(const struct ym_filing *f, const char *find, const char *replace)
{
    struct ym_dossier d = {0};
    struct ym_plan *plan = plan_with(find, replace);
    struct ym_transfer t = transfer(plan, card_text);
    ym_dossier_take(&d, f, NULL);
    memcpy(t.material, f->material, sizeof t.material); /* scope alone, not staleness */
    enum ym_record_state s = ym_dossier_state(&d, f->record, "2026-11-22", &t, NULL);
    ym_plan_free(plan);
    ym_dossier_release(&d);
    return s;
}

static struct ym_filing whole(enum ym_record r)
{
    struct ym_filing f = filing(r, "2026-01-01", "2028-12-31");
    snprintf(f.filed, sizeof f.filed, "2025-12-20");
    snprintf(f.province, sizeof f.province, "beijing");
    snprintf(f.recipients, sizeof f.recipients, "Other Inc.;  acme inc., basel ；第三方");
    snprintf(f.categories, sizeof f.categories, "images; Laboratory Values");
    return f;
}

static void expect_lacks(enum ym_record r, size_t offset, const char *word)
{
    struct ym_filing f = whole(r);
    assert_int_equal(state_of(&f, "", ""), YM_RECORD_LIVE);
    ((char *)&f)[offset] = 0;
    assert_int_equal(state_of(&f, "", ""), YM_RECORD_INCOMPLETE);
    f.last_day[0] = '2';
    assert_string_equal(ym_filing_lacks(&f), word);
}
#define LACKS(record, member) expect_lacks(YM_RECORD_##record, offsetof(struct ym_filing, member), #member)

static void a_document_that_lacks_a_part_is_incomplete(void **state)
{
    (void)state;
    LACKS(STANDARD_CONTRACT, number);
    LACKS(STANDARD_CONTRACT, filed);
    LACKS(STANDARD_CONTRACT, province);
    LACKS(CERTIFICATE, number);
    LACKS(CERTIFICATE, recipients);
    LACKS(CERTIFICATE, categories);
    LACKS(HGR_APPROVAL, number);
    LACKS(HGR_APPROVAL, recipients);
    LACKS(HGR_FILING, number);
    LACKS(HGR_FILING, filed);
    LACKS(ETHICS, committee);
    LACKS(SECURITY_ASSESSMENT, number); /* handed in, not answered: an application */
    for (size_t i = 0; i < YM_REVIEW_TOPICS; i++)
        expect_lacks(YM_RECORD_ETHICS, offsetof(struct ym_filing, topic) + i * sizeof(char[64]), "topics");
    struct ym_filing f = whole(YM_RECORD_PIPIA); /* no authority, no number */
    f.number[0] = f.filed[0] = f.province[0] = f.recipients[0] = f.categories[0] = f.committee[0] = 0;
    assert_int_equal(state_of(&f, "", ""), YM_RECORD_LIVE);
}

static void what_a_document_does_not_name_is_out_of_scope(void **state)
{
    struct ym_filing f = whole(YM_RECORD_CERTIFICATE);
    (void)state;
    assert_int_equal(state_of(&f, "recipient: Acme Inc., Basel", "recipient: ACME Inc., Basel"), YM_RECORD_LIVE);
    assert_int_equal(state_of(&f, "recipient: Acme Inc., Basel", "recipient: Acme Inc."), YM_RECORD_OUT_OF_SCOPE);
    assert_int_equal(state_of(&f, "categories: laboratory values", "categories: images; laboratory values"),
                     YM_RECORD_LIVE);
    assert_int_equal(state_of(&f, "categories: laboratory values", "categories: laboratory values; genomes"),
                     YM_RECORD_OUT_OF_SCOPE);
    assert_int_equal(state_of(&f, "categories: laboratory values", "categories: \"; ;\""), YM_RECORD_OUT_OF_SCOPE);
    f = whole(YM_RECORD_STANDARD_CONTRACT);
    snprintf(f.province, sizeof f.province, "shanghai"); /* another province's office */
    assert_int_equal(state_of(&f, "", ""), YM_RECORD_OUT_OF_SCOPE);
}

static void until_is_the_last_day_of_what_is_live(void **state)
{
    struct ym_dossier d = {0};
    struct ym_filing f = filing(YM_RECORD_SECURITY_ASSESSMENT, "2024-03-01", "2027-03-01");
    struct ym_plan *plan = plan_with("", "");
    struct ym_transfer t = transfer(plan, card_text);
    (void)state;
    assert_string_equal(ym_dossier_until(&d, f.record, "2026-11-22", &t), "");
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    assert_string_equal(ym_dossier_until(&d, f.record, "2026-11-22", &t), "2027-03-01");
    f = renewal("2027-01-15", "2999-12-31", 8, 7);
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    assert_string_equal(ym_dossier_until(&d, f.record, "2026-11-22", &t), "2027-03-01"); /* not yet */
    assert_string_equal(ym_dossier_until(&d, f.record, "2027-01-20", &t), "2030-03-01");
    ym_plan_free(plan);
    ym_dossier_release(&d);
}

static void each_material_fact_makes_it_stale(void **state)
{
    static const struct {
        const char *find, *replace;
        enum ym_material m;
    } change[] = {{"purpose: test", "purpose: another", YM_MATERIAL_PURPOSE},
                  {"name: radius", "name: area", YM_MATERIAL_SCOPE},
                  {"storage: Basel", "storage: Boston", YM_MATERIAL_STORAGE},
                  {"recipient: Acme Inc., Basel", "recipient: Other Inc.", YM_MATERIAL_METHOD}, /* case V20 */
                  {"method: download", "method: upload", YM_MATERIAL_METHOD},
                  {"overseas_access: possible", "overseas_access: none", YM_MATERIAL_METHOD},
                  {"Swiss data", "US data", YM_MATERIAL_FOREIGN_LAW}};
    struct ym_dossier d = {0};
    struct ym_filing f = filing(YM_RECORD_SECURITY_ASSESSMENT, "2026-01-01", "2028-12-31");
    int changed;
    (void)state;
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        assert_int_equal(ask(&d, "2026-11-22", change[i].find, change[i].replace, &changed), YM_RECORD_STALE);
        assert_int_equal(changed, change[i].m);
    }
    assert_int_equal(ask(&d, "2026-11-22", "title: 一项研究", "title: 改名", &changed), YM_RECORD_LIVE);
    assert_int_equal(changed, -1);

    char *important = text_edit(card_text, "tier: general", "tier: important");
    struct ym_plan *plan = plan_with("", "");
    struct ym_transfer t = transfer(plan, important);
    assert_int_equal(ym_dossier_state(&d, YM_RECORD_SECURITY_ASSESSMENT, "2026-11-22", &t, &changed), YM_RECORD_STALE);
    assert_int_equal(changed, YM_MATERIAL_SENSITIVITY);
    t.study = "s2";
    assert_int_equal(ym_dossier_state(&d, YM_RECORD_SECURITY_ASSESSMENT, "2026-11-22", &t, NULL),
                     YM_RECORD_OUT_OF_SCOPE);
    ym_plan_free(plan);
    free(important);
    ym_dossier_release(&d);
}

static void a_withdrawn_document_is_absent(void **state)
{
    struct ym_dossier d = {0};
    struct ym_filing f = filing(YM_RECORD_SECURITY_ASSESSMENT, "2026-01-01", "2028-12-31");
    (void)state;
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    f.withdrawn = true;
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    assert_int_equal(ask(&d, "2026-11-22", "", "", NULL), YM_RECORD_ABSENT);
    ym_dossier_release(&d);
}

static void members_come_back_and_wrong_ones_do_not(void **state)
{
    static const struct {
        const char *key, *value;
    } wrong[] = {{"record", "pass"},         {"valid_from", "2026-02-30"}, {"valid_until", "2025-01-01"},
                 {"study", "No Name"},       {"issuer", "a\nb"},           {"document", "abc"},
                 {"material", "not a list"}, {"withdrawn", "no"},          {"filed", "2026-02-30"},
                 {"province", "Bei Jing"},   {"topics", "none"},           {"renews", "abc"}};
    struct ym_filing f = filing(YM_RECORD_ETHICS, "2026-01-01", "2026-12-31"), back;
    json_t *o = ym_filing_members(&f);
    (void)state;
    assert_int_equal(ym_filing_read(o, &back, NULL), YM_OK);
    assert_memory_equal(&f, &back, sizeof f);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct ym_status st = YM_STATUS_INIT;
        json_t *bad = json_copy(o);
        json_object_set_new(bad, wrong[i].key, json_string(wrong[i].value));
        assert_int_equal(ym_filing_read(bad, &back, &st), YM_INVALID);
        assert_non_null(strstr(st.message, strcmp(wrong[i].value, "pass") == 0 ? "kind of record" : wrong[i].key));
        json_decref(bad);
    }
    json_decref(o);
}

static void what_people_declare_becomes_facts(void **state)
{
    struct ym_plan *plan = plan_with("", "");
    struct ym_card *card = card_must(card_text);
    struct ym_facts f;
    (void)state;
    ym_border_facts(plan, card, &f);
    assert_string_equal(ym_choice_value(YM_CHOICE_RECIPIENT, f.choice[YM_CHOICE_RECIPIENT]), "outside");
    assert_string_equal(ym_choice_value(YM_CHOICE_CIIO, f.choice[YM_CHOICE_CIIO]), "no");
    assert_string_equal(ym_choice_value(YM_CHOICE_TIER, f.choice[YM_CHOICE_TIER]), "general");
    assert_string_equal(ym_choice_value(YM_CHOICE_EXPORTER, f.choice[YM_CHOICE_EXPORTER]), "recorded");
    assert_string_equal(ym_choice_value(YM_CHOICE_AI_SECTIONS, f.choice[YM_CHOICE_AI_SECTIONS]), "incomplete");
    assert_int_equal(f.people[YM_PEOPLE_EXOME_GENOME], 3);
    assert_int_equal(f.people[YM_PEOPLE_SENSITIVE], YM_PEOPLE_UNKNOWN);
    assert_int_equal(f.choice[YM_CHOICE_CONSENT], 0);
    ym_plan_free(plan);
    ym_card_free(card);
}

static void each_declares_only_what_is_its_own(void **state)
{
    struct ym_problems p = {0};
    struct ym_plan *plan = NULL;
    char *text = text_edit(good_plan, "", plan_border);
    char *theirs = text_edit(text, "{recipient: outside", "{ciio: \"no\", recipient: outside");
    (void)state;
    assert_int_equal(plan_parse(theirs, &plan, &p), YM_INVALID);
    assert_problem(&p, 33, "border.declares.ciio", "declared");
    ym_problems_release(&p);
    char *claim = text_edit(card_text, "ciio: \"no\"", "claim: wrong_signer");
    struct ym_card *card = NULL;
    assert_int_equal(card_parse(claim, &card, &p), YM_INVALID);
    ym_problems_release(&p);
    free(text);
    free(theirs);
    free(claim);
}

static void without_the_section_a_plan_stays_as_it_was(void **state)
{
    struct ym_plan *plan = plan_must(good_plan);
    (void)state;
    assert_null(strstr(ym_buf_str(&plan->canonical), "border"));
    assert_false(plan->border.given);
    assert_int_equal(plan->border.declared.choice[YM_CHOICE_RECIPIENT], 0);
    ym_plan_free(plan);
}

static void exporter_of(const char *name, uint8_t out[YM_HASH_BYTES])
{
    char *text = text_edit(card_text, "Peking Example Hospital", name);
    struct ym_card *card = card_must(text);
    ym_exporter_of(card, out);
    ym_card_free(card);
    free(text);
}

static void one_exporter_is_one_however_its_name_is_typed(void **state)
{
    static const char *const same[] = {"peking  EXAMPLE hospital", "\"  Peking Example Hospital \"",
                                       "Ｐｅｋｉｎｇ　Ｅｘａｍｐｌｅ　Ｈｏｓｐｉｔａｌ"};
    static const char *const others[] = {"Peking Example Hospital 2", "PekingExample Hospital", "北京示例医院"};
    uint8_t want[YM_HASH_BYTES], got[YM_HASH_BYTES];
    (void)state;
    exporter_of("Peking Example Hospital", want);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        exporter_of(same[i], got);
        assert_memory_equal(got, want, sizeof want);
        exporter_of(others[i], got);
        assert_memory_not_equal(got, want, sizeof want);
    }
    exporter_of("北京示例医院（Ａ）", want);
    exporter_of("北京示例医院(a)", got);
    assert_memory_equal(got, want, sizeof want);
}

static void a_name_that_could_be_written_in_two_ways_is_no_name(void **state)
{
    (void)state;
    char *text = text_edit(card_text, "Peking Example Hospital", "Ho\xcc\x82pital");
    struct ym_problems problems = {0};
    struct ym_card *card = NULL;
    assert_int_not_equal(card_parse(text, &card, &problems), YM_OK);
    assert_problem(&problems, 10, "border.exporter", "accent");
    ym_problems_release(&problems);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filing_lives_from_its_first_day_to_its_last),
        cmocka_unit_test(an_assessment_lasts_no_longer_than_three_years),
        cmocka_unit_test(a_renewal_goes_on_from_the_end_and_a_gap_stays_shut),
        cmocka_unit_test(a_renewal_of_nothing_on_record_never_lives),
        cmocka_unit_test(a_document_that_lacks_a_part_is_incomplete),
        cmocka_unit_test(what_a_document_does_not_name_is_out_of_scope),
        cmocka_unit_test(until_is_the_last_day_of_what_is_live),
        cmocka_unit_test(each_material_fact_makes_it_stale),
        cmocka_unit_test(a_withdrawn_document_is_absent),
        cmocka_unit_test(members_come_back_and_wrong_ones_do_not),
        cmocka_unit_test(what_people_declare_becomes_facts),
        cmocka_unit_test(each_declares_only_what_is_its_own),
        cmocka_unit_test(without_the_section_a_plan_stays_as_it_was),
        cmocka_unit_test(one_exporter_is_one_however_its_name_is_typed),
        cmocka_unit_test(a_name_that_could_be_written_in_two_ways_is_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
