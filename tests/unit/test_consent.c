/* Who may be used: no consent stands in for another, and what is not written is not given. */

#include "gate/border/consent.h"
#include "gate/border/declare.h"
#include "gate_help.h"

#define NOTICE                                                                                                         \
    "contact: privacy@acme.example, purpose: test, method: download of the model, categories: laboratory values, "     \
    "rights: by letter to the hospital}"

static const char plan_border[] = "border:\n"
                                  "  recipient: Acme Inc., Basel\n"
                                  "  contact: privacy@acme.example\n"
                                  "  method: download of the model\n"
                                  "  categories: laboratory values\n"
                                  "  rights: by letter to the hospital\n"
                                  "  storage: Basel\n"
                                  "  foreign_law: none\n"
                                  "  declares: {recipient: outside, overseas_access: possible}\n";
static const char card_text[] = "yumen: card/1\nname: breast\ntitle: t\nfile: d.csv\npatient_column: p\n"
                                "size_class: \"100-499\"\ntier: general\nvariables:\n"
                                "  - {name: radius, column: r, unit: mm, low: 6, high: 30}\n"
                                "border: {exporter: Hospital, declares: {sensitive_pi: \"yes\", hgr: \"yes\"}}\n"
                                "consent:\n"
                                "  given:\n"
                                "    participation: {column: c0, codes: [\"yes\", 是]}\n"
                                "    sensitive_pi: {column: c1, codes: [\"yes\"]}\n"
                                "    cross_border: {column: c2, codes: [\"yes\"]}\n"
                                "    secondary_use: {column: c3, codes: [\"yes\"]}\n"
                                "    hgr_collect: {column: c4, codes: [\"yes\"]}\n"
                                "    hgr_preserve: {column: c5, codes: [\"yes\"]}\n"
                                "    hgr_use: {column: c6, codes: [\"yes\"]}\n"
                                "    hgr_provide_abroad: {column: c7, codes: [\"yes\"]}\n"
                                "    written: {column: c8, codes: [\"yes\"]}\n"
                                "    guardian: {column: c9, codes: [\"yes\"]}\n"
                                "  unless:\n"
                                "    bundled: {column: d0, codes: [separate]}\n"
                                "    broad: {column: d1, codes: [specific]}\n"
                                "  nobody: [vulnerable]\n"
                                "  notice_column: n\n"
                                "  form_column: f\n"
                                "  notices:\n"
                                "    - {code: N1, level: enhanced, recipient: \"Acme Inc., Basel\", " NOTICE "\n"
                                "    - {code: N2, level: general, recipient: \"Acme Inc., Basel\", " NOTICE "\n"
                                "    - {code: N3, level: enhanced, recipient: Other Inc., " NOTICE "\n";

static struct ym_plan *plan_with(const char *find, const char *replace)
{
    char *text = text_edit(good_plan, "", plan_border), *edited = text_edit(text, find, replace);
    struct ym_plan *plan = plan_must(edited);
    free(text);
    free(edited);
    return plan;
}

static struct ym_consent_need need_of(const char *plan_find, const char *plan_replace, const char *card_find,
                                      const char *card_replace, bool determination, bool ethics)
{
    struct ym_plan *plan = plan_with(plan_find, plan_replace);
    char *text = text_edit(card_text, card_find, card_replace);
    struct ym_card *card = card_must(text);
    struct ym_consent_need need;
    ym_consent_needed(plan, card, determination, ethics, &need);
    free(text);
    ym_card_free(card);
    ym_plan_free(plan);
    return need;
}

static struct ym_consent_need need_all(void)
{
    return need_of("", "", "", "", false, false);
}

static const uint64_t everything = (UINT64_C(1) << YM_CONSENT_COUNT) - 1;
static uint64_t with_notice(uint64_t bits, unsigned notice)
{
    return bits | (uint64_t)notice << YM_CONSENT_NOTICE_SHIFT;
}

/* Of every set of the nine consents that this plan needs, only the whole set opens it. */
static void one_consent_never_stands_in_for_another(void **state)
{
    struct ym_consent_need need = need_all();
    const uint64_t needed = everything & ~YM_CONSENT_BIT(GUARDIAN);
    size_t open = 0;
    (void)state;
    assert_int_equal(need.bits, needed);
    for (uint64_t bits = 0; bits <= everything; bits++) {
        bool holds = ym_consent_lacks(&need, with_notice(bits, 1)) < 0;
        assert_true(holds == ((bits & needed) == needed));
        open += holds;
    }
    assert_int_equal(open, 2); /* the guardian's is not asked for here */
}

static void what_a_plan_needs_follows_what_is_declared(void **state)
{
    const uint64_t all = everything & ~YM_CONSENT_BIT(GUARDIAN);
    const uint64_t abroad = YM_CONSENT_BIT(CROSS_BORDER) | YM_CONSENT_BIT(HGR_PROVIDE_ABROAD);
    const uint64_t hgr = YM_CONSENT_BIT(HGR_COLLECT) | YM_CONSENT_BIT(HGR_PRESERVE) | YM_CONSENT_BIT(HGR_USE) |
                         YM_CONSENT_BIT(HGR_PROVIDE_ABROAD) | YM_CONSENT_BIT(WRITTEN);
    static const char inside[] = "recipient: mainland, overseas_access: none";
    static const char declares[] = "recipient: outside, overseas_access: possible";
    (void)state;
    assert_int_equal(need_of(declares, inside, "", "", false, false).bits, all & ~abroad);
    assert_int_equal(need_of(declares, "recipient: mainland", "", "", false, false).bits, all); /* access: unknown */
    assert_int_equal(need_of(declares, "overseas_access: none", "", "", false, false).bits, all);
    assert_int_equal(need_of("", "", "hgr: \"yes\"", "hgr: \"no\"", false, false).bits, all & ~hgr);
    assert_int_equal(need_of("", "", ", hgr: \"yes\"", "", false, false).bits, all); /* unknown counts against */
    assert_int_equal(need_of("", "", "sensitive_pi: \"yes\"", "sensitive_pi: \"no\"", false, false).bits,
                     all & ~YM_CONSENT_BIT(SENSITIVE_PI));
    assert_int_equal(need_of("", "", "  given:", "  collected_for: s1\n  given:", false, false).bits,
                     all & ~YM_CONSENT_BIT(SECONDARY_USE));
    assert_int_equal(need_of("", "", "  given:", "  collected_for: s2\n  given:", false, false).bits, all);
}

/* Another recipient, contact, purpose, method, category or way to one's rights is another notice. */
static void the_notice_must_be_the_one_that_names_this_recipient(void **state)
{
    static const char *const changes[][2] = {
        {"", ""},
        {"recipient: Acme Inc., Basel", "recipient: Acme Ltd"},
        {"contact: privacy@acme.example", "contact: x"},
        {"purpose: test", "purpose: another"},
        {"method: download of the model", "method: x"},
        {"categories: laboratory values", "categories: x"},
        {"rights: by letter to the hospital", "rights: x"},
        {"storage: Basel", "storage: Basel\n  risks: courts may ask for it"},
        {"storage: Basel", "storage: Basel\n  obligations: x"},
        {"storage: Basel", "storage: Basel\n  onward: none"},
        {"storage: Basel", "storage: Basel\n  breach: x"},
        {"storage: Basel", "storage: Basel\n  remedies: x"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct ym_consent_need need = need_of(changes[i][0], changes[i][1], "", "", false, false);
        assert_int_equal(ym_consent_lacks(&need, with_notice(everything, 1)), i ? YM_CONSENT_BITS : -1);
        assert_int_equal(ym_consent_lacks(&need, with_notice(everything, 0)), YM_CONSENT_BITS);
        assert_int_equal(ym_consent_lacks(&need, with_notice(everything, 2)), YM_CONSENT_BITS); /* general */
        assert_int_equal(ym_consent_lacks(&need, with_notice(everything, 3)), YM_CONSENT_BITS); /* of another */
    }
}

static void a_general_notice_does_at_home(void **state)
{
    struct ym_consent_need need = need_of("recipient: outside, overseas_access: possible",
                                          "recipient: mainland, overseas_access: none", "", "", false, false);
    (void)state;
    assert_int_equal(ym_consent_lacks(&need, with_notice(everything, 2)), -1);
    assert_int_equal(ym_consent_lacks(&need, with_notice(everything, 3)), YM_CONSENT_BITS);
}

static void bundled_and_broad_consent_counts_as_absent_without_a_determination(void **state)
{
    static const uint64_t marks[] = {YM_CONSENT_BIT(BUNDLED), YM_CONSENT_BIT(BROAD)};
    struct ym_consent_need strict = need_all(), settled = need_of("", "", "", "", true, true);
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint64_t word = with_notice(everything | marks[i], 1);
        assert_int_equal(ym_consent_lacks(&strict, word), i ? YM_CONSENT_BROAD : YM_CONSENT_BUNDLED);
        assert_int_equal(ym_consent_lacks(&settled, word), -1);
        for (int c = 0; c < YM_CONSENT_GUARDIAN; c++) /* a determination gives no consent */
            assert_int_equal(ym_consent_lacks(&settled, word & ~(UINT64_C(1) << c)), c);
    }
}

static void the_vulnerable_need_a_guardian_and_the_ethics_committee(void **state)
{
    struct ym_consent_need without = need_of("", "", "", "", true, false), with = need_of("", "", "", "", false, true);
    uint64_t word = with_notice(everything | YM_CONSENT_BIT(VULNERABLE), 1);
    (void)state;
    assert_int_equal(ym_consent_lacks(&without, word), YM_CONSENT_VULNERABLE);
    assert_int_equal(ym_consent_lacks(&with, word & ~YM_CONSENT_BIT(GUARDIAN)), YM_CONSENT_VULNERABLE);
    assert_int_equal(ym_consent_lacks(&with, word), -1);
}

static void a_card_that_says_nothing_asks_nothing(void **state)
{
    char *text = text_edit(card_text, "consent:\n", "# ");
    (void)state;
    text[strstr(text, "# ") - text] = 0;
    struct ym_card *card = card_must(text);
    struct ym_plan *plan = plan_with("", "");
    struct ym_consent_need need;
    ym_consent_needed(plan, card, false, false, &need);
    assert_false(need.asked);
    assert_int_equal(ym_consent_lacks(&need, 0), -1);
    free(text);
    ym_card_free(card);
    ym_plan_free(plan);
}

/* ---- cells ---- */

struct row {
    const char *column[16], *cell[16];
};

static const char *cell_of(void *ctx, const char *column, size_t *len)
{
    const struct row *r = ctx;
    for (size_t i = 0; i < 16 && r->column[i]; i++)
        if (!strcmp(r->column[i], column)) {
            *len = strlen(r->cell[i]);
            return r->cell[i];
        }
    *len = 0;
    return "";
}

/* What a plan says beyond the six texts the notice must say too, word by word. */
static void a_notice_says_what_the_plan_says_of_every_topic(void **state)
{
    static const char topics[] = "level: enhanced, risks: a, obligations: b, onward: c, breach: d, remedies: e";
    static const char plan[] = "storage: Basel\n  risks: a\n  obligations: b\n  onward: c\n  breach: d\n  remedies: e";
    static const char other[] = "storage: Basel\n  risks: a\n  obligations: b\n  onward: c\n  breach: d\n  remedies: f";
    struct ym_consent_need same = need_of("storage: Basel", plan, "level: enhanced", topics, false, false),
                           not_same = need_of("storage: Basel", other, "level: enhanced", topics, false, false);
    (void)state;
    assert_int_equal(ym_consent_lacks(&same, with_notice(everything, 1)), -1);
    assert_int_equal(ym_consent_lacks(&not_same, with_notice(everything, 1)), YM_CONSENT_BITS);
}

static void a_written_consent_has_its_scanned_form(void **state)
{
    static const char *const hash[] = {"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "",
                                       "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a", "yes",
                                       "zf86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"};
    struct ym_card *card = card_must(card_text);
    (void)state;
    for (size_t i = 0; i < sizeof hash / sizeof *hash; i++) {
        struct row r = {{"c8", "f"}, {"yes", hash[i]}};
        struct row none = {{"c8", "f"}, {"no", hash[i]}};
        assert_true((ym_consent_of_row(&card->consent, cell_of, &r) & YM_CONSENT_BIT(WRITTEN)) ==
                    (i ? 0 : YM_CONSENT_BIT(WRITTEN)));
        assert_int_equal(ym_consent_of_row(&card->consent, cell_of, &none) & YM_CONSENT_BIT(WRITTEN), 0);
    }
    ym_card_free(card);
}

/* Every set of bits: a model inside needs these alone, and a card without the section gives nobody. */
static void scores_inside_need_secondary_use(void **state)
{
    const uint64_t want = YM_CONSENT_BIT(SECONDARY_USE) | YM_CONSENT_BIT(SENSITIVE_PI) | YM_CONSENT_BIT(HGR_USE) |
                          YM_CONSENT_BIT(WRITTEN);
    struct ym_card *card = card_must(card_text);
    struct ym_consent_need need;
    (void)state;
    ym_consent_needed_inside(card, false, false, &need);
    for (uint64_t bits = 0; bits <= everything; bits++)
        assert_true((ym_consent_lacks(&need, bits) < 0) == ((bits & want) == want));
    assert_int_equal(ym_consent_lacks(&need, want | YM_CONSENT_BIT(BUNDLED)), YM_CONSENT_BUNDLED);
    assert_int_equal(ym_consent_lacks(&need, everything | YM_CONSENT_BIT(VULNERABLE)), YM_CONSENT_VULNERABLE);
    card->consent.given = false;
    ym_consent_needed_inside(card, true, true, &need);
    assert_int_equal(ym_consent_lacks(&need, 0), YM_CONSENT_SENSITIVE_PI);
    ym_card_free(card);
}

static void only_the_codes_of_the_card_give_a_consent(void **state)
{
    struct ym_card *card = card_must(card_text);
    struct row good = {{"c0", "c2", "d0", "d1", "n"}, {"是", "yes", "separate", "specific", "N3"}};
    struct row odd = {{"c0", "c2", "d0", "d1", "n"}, {"YES", "y", "", "?", "N4"}};
    (void)state;
    assert_int_equal(ym_consent_of_row(&card->consent, cell_of, &good),
                     with_notice(YM_CONSENT_BIT(PARTICIPATION) | YM_CONSENT_BIT(CROSS_BORDER), 3));
    assert_int_equal(ym_consent_of_row(&card->consent, cell_of, &odd), YM_CONSENT_BIT(BUNDLED) | YM_CONSENT_BIT(BROAD));
    ym_card_free(card);
}

static void all_rows_of_a_patient_must_say_it(void **state)
{
    uint64_t a = with_notice(YM_CONSENT_BIT(PARTICIPATION) | YM_CONSENT_BIT(WRITTEN), 1);
    uint64_t b = with_notice(YM_CONSENT_BIT(PARTICIPATION) | YM_CONSENT_BIT(BUNDLED), 2);
    (void)state;
    assert_int_equal(ym_consent_join(a, b), YM_CONSENT_BIT(PARTICIPATION) | YM_CONSENT_BIT(BUNDLED));
    assert_int_equal(ym_consent_join(a, a), a);
}

static void a_caveat_that_nobody_declares_is_so_of_all(void **state)
{
    char *text = text_edit(card_text, "  nobody: [vulnerable]\n", "");
    struct ym_card *card = card_must(text);
    struct row none = {{0}, {0}};
    (void)state;
    assert_int_equal(ym_consent_of_row(&card->consent, cell_of, &none),
                     YM_CONSENT_BIT(BUNDLED) | YM_CONSENT_BIT(BROAD) | YM_CONSENT_BIT(VULNERABLE));
    free(text);
    ym_card_free(card);
}

static void sections_that_contradict_themselves_are_refused(void **state)
{
    static const char *const edits[][2] = {
        {"nobody: [vulnerable]", "nobody: [bundled]"},
        {"nobody: [vulnerable]", "nobody: [participation]"},
        {"nobody: [vulnerable]", "nobody: [vulnerable, vulnerable]"},
        {"  form_column: f\n", ""},
        {"code: N2", "code: N1"},
        {"level: general", "level: good"},
        {"codes: [separate]", "codes: []"},
        {"    written:", "    spoken:"},
        {"bundled: {column: d0, ", "bundled: {"},
        {"rights: by letter to the hospital}\n    - {code: N3", "rights: \"\"}\n    - {code: N3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char *text = text_edit(card_text, edits[i][0], edits[i][1]);
        struct ym_card *card = NULL;
        struct ym_problems p = {0};
        assert_int_equal(card_parse(text, &card, &p), YM_INVALID);
        assert_int_equal(p.count, 1);
        ym_problems_release(&p);
        free(text);
    }
}

static void nothing_of_it_is_in_the_public_part(void **state)
{
    struct ym_card *card = card_must(card_text);
    (void)state;
    assert_null(strstr(ym_buf_str(&card->public_json), "consent"));
    assert_null(strstr(ym_buf_str(&card->public_json), "Acme"));
    assert_non_null(strstr(ym_buf_str(&card->canonical), "collect"));
    ym_card_free(card);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_consent_never_stands_in_for_another),
        cmocka_unit_test(what_a_plan_needs_follows_what_is_declared),
        cmocka_unit_test(the_notice_must_be_the_one_that_names_this_recipient),
        cmocka_unit_test(a_general_notice_does_at_home),
        cmocka_unit_test(bundled_and_broad_consent_counts_as_absent_without_a_determination),
        cmocka_unit_test(the_vulnerable_need_a_guardian_and_the_ethics_committee),
        cmocka_unit_test(a_card_that_says_nothing_asks_nothing),
        cmocka_unit_test(a_notice_says_what_the_plan_says_of_every_topic),
        cmocka_unit_test(a_written_consent_has_its_scanned_form),
        cmocka_unit_test(scores_inside_need_secondary_use),
        cmocka_unit_test(only_the_codes_of_the_card_give_a_consent),
        cmocka_unit_test(all_rows_of_a_patient_must_say_it),
        cmocka_unit_test(a_caveat_that_nobody_declares_is_so_of_all),
        cmocka_unit_test(sections_that_contradict_themselves_are_refused),
        cmocka_unit_test(nothing_of_it_is_in_the_public_part),
    };
    return cmocka_run_group_tests_name("consent", tests, NULL, NULL);
}
