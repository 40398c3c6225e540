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
static const char card_text[] = "yumen: card/1\nname: breast\ntitle: t\nfile: d.csv\npatient_column: p\n"
                                "size_class: \"100-499\"\ntier: general\nvariables:\n"
                                "  - {name: radius, column: r, unit: mm, low: 6, high: 30}\n"
                                "border: {exporter: Peking Example Hospital, declares: {ciio: \"no\", hgr: \"no\", "
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
    struct ym_filing f = {.record = r, .study = "s1", .dataset = "breast", .issuer = "伦理委员会", .number = "2026-1"};
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
    struct ym_transfer t = {.study = "s1", .dataset = "breast"};
    struct ym_card *card = card_must(card_source);
    ym_material_of(plan, card, t.material);
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
    f = filing(YM_RECORD_SECURITY_ASSESSMENT, "2027-02-20", "2030-02-19");    /* a renewal */
    assert_int_equal(ym_dossier_take(&d, &f, NULL), YM_OK);
    assert_int_equal(ask(&d, "2027-03-01", "", "", NULL), YM_RECORD_LIVE);
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
    } wrong[] = {{"record", "pass"}, {"valid_from", "2026-02-30"}, {"valid_until", "2025-01-01"}, {"study", "No Name"},
                 {"issuer", "a\nb"}, {"document", "abc"},          {"material", "not a list"},    {"withdrawn", "no"}};
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
        assert_non_null(strstr(st.message, wrong[i].key[0] == 'r' ? "record" : wrong[i].key));
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
