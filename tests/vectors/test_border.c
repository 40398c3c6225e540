/* The cases of the notes on border requirements, section 17.6, on the rule sets as they are shipped. */
#include "tests/support/border.h"

static struct ym_crossing decide_on(const struct ym_facts *f, const char *today)
{
    struct ym_crossing d;
    ym_border_decide(sets, 2, f, today, false, &d);
    return d;
}

static struct ym_crossing decide(const struct ym_facts *f)
{
    return decide_on(f, "2026-11-22");
}

static void expect(const struct ym_facts *f, enum ym_label label, enum ym_outcome outcome)
{
    struct ym_crossing d = decide(f);
    assert_string_equal(ym_label_word(d.label), ym_label_word(label));
    assert_string_equal(ym_outcome_word(d.outcome), ym_outcome_word(outcome));
}

static void set_people(struct ym_facts *f, int64_t n)
{
    f->people[YM_PEOPLE_SENSITIVE] = f->people[YM_PEOPLE_PI] = n;
}

static void v1_a_filed_study_of_4200_people_proceeds(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_PROCEED);
    f.record[YM_RECORD_STANDARD_CONTRACT] = YM_RECORD_ABSENT;
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_HOLD);
    f.record[YM_RECORD_CERTIFICATE] = YM_RECORD_LIVE;
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_PROCEED);
}

static void v2_a_second_study_of_6000_people_holds(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    set_people(&f, 4200 + 6000);
    expect(&f, YM_LABEL_SECURITY_ASSESSMENT, YM_HOLD);
    f.record[YM_RECORD_SECURITY_ASSESSMENT] = YM_RECORD_LIVE;
    expect(&f, YM_LABEL_SECURITY_ASSESSMENT, YM_PROCEED);
}

static void v3_the_same_people_again_count_once(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    set_people(&f, 4300); /* what the meter says of 4,200 and 4,300 people, 4,200 of them the same */
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_PROCEED);
}

static void v4_an_infrastructure_operator_is_assessed_from_one_person_on(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    set_people(&f, 1);
    choose(&f, YM_CHOICE_CIIO, "yes");
    expect(&f, YM_LABEL_SECURITY_ASSESSMENT, YM_HOLD);
    f.choice[YM_CHOICE_CIIO] = 0; /* unknown is taken for yes */
    expect(&f, YM_LABEL_SECURITY_ASSESSMENT, YM_HOLD);
}

static void v5_ten_thousand_is_over_the_line(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    set_people(&f, 9999);
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_PROCEED);
    set_people(&f, 10000);
    expect(&f, YM_LABEL_SECURITY_ASSESSMENT, YM_HOLD);
    set_people(&f, 10001);
    expect(&f, YM_LABEL_SECURITY_ASSESSMENT, YM_HOLD);
}

static struct ym_facts genetic(int64_t exomes)
{
    struct ym_facts f = facts_v1();
    choose(&f, YM_CHOICE_HGR, "yes");
    f.people[YM_PEOPLE_EXOME_GENOME] = exomes;
    f.record[YM_RECORD_HGR_APPROVAL] = YM_RECORD_LIVE;
    return f;
}

static void v6_more_than_500_exomes_are_reviewed(void **state)
{
    struct ym_facts f = genetic(500);
    (void)state;
    assert_int_equal(decide(&f).track[YM_TRACK_HGR].label, YM_LABEL_RECORD);
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_PROCEED);
    f = genetic(501);
    assert_int_equal(decide(&f).track[YM_TRACK_HGR].label, YM_LABEL_HGR_REVIEW);
    expect(&f, YM_LABEL_HGR_REVIEW, YM_HOLD);
}

static void v7_genome_clinic_and_behaviour_wait_for_two_approvals(void **state)
{
    struct ym_facts f = genetic(10);
    (void)state;
    choose(&f, YM_CHOICE_AGGREGATION, "genomic_clinical_behavioural");
    expect(&f, YM_LABEL_HOLD, YM_HOLD);
    assert_string_equal(decide(&f).track[YM_TRACK_CAC].rule->id, "D-04c");
    f.record[YM_RECORD_AGGREGATION_REVIEW] = YM_RECORD_LIVE; /* live once two people signed it */
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_PROCEED);
}

static void v8_core_data_are_refused(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    choose(&f, YM_CHOICE_TIER, "core");
    for (size_t i = 0; i < YM_RECORD_COUNT; i++)
        f.record[i] = YM_RECORD_LIVE;
    expect(&f, YM_LABEL_REFUSE, YM_REFUSE);
}

static void v9_a_contract_does_not_carry_important_data(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    choose(&f, YM_CHOICE_TIER, "important");
    f.record[YM_RECORD_CERTIFICATE] = YM_RECORD_LIVE;
    expect(&f, YM_LABEL_SECURITY_ASSESSMENT, YM_HOLD);
}

static void v10_an_expired_assessment_is_absent_and_said_to_be_expired(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    set_people(&f, 20000);
    f.record[YM_RECORD_SECURITY_ASSESSMENT] = YM_RECORD_EXPIRED;
    expect(&f, YM_LABEL_SECURITY_ASSESSMENT, YM_HOLD);
    assert_int_equal(decide(&f).track[YM_TRACK_CAC].record_state, YM_RECORD_EXPIRED);
}

static void v11_bundled_consent_leaves_no_cohort(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    choose(&f, YM_CHOICE_CONSENT, "below_minimum");
    expect(&f, YM_LABEL_HOLD, YM_HOLD);
}

static void v12_a_download_right_overseas_is_overseas(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    f.record[YM_RECORD_STANDARD_CONTRACT] = YM_RECORD_ABSENT;
    choose(&f, YM_CHOICE_RECIPIENT, "mainland");
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_HOLD);
    choose(&f, YM_CHOICE_OVERSEAS_ACCESS, "none");
    expect(&f, YM_LABEL_RECORD, YM_PROCEED);
    assert_int_equal(decide(&f).track[YM_TRACK_CAC].label, YM_LABEL_NONE);
}

static void v13_off_the_zones_list_still_needs_the_genetic_record(void **state)
{
    struct ym_facts f = genetic(0);
    (void)state;
    set_people(&f, 30000);
    choose(&f, YM_CHOICE_ZONE, "off_list");
    f.record[YM_RECORD_ZONE_MAPPING] = YM_RECORD_LIVE;
    assert_int_equal(decide(&f).track[YM_TRACK_CAC].label, YM_LABEL_OFF_LIST);
    expect(&f, YM_LABEL_RECORD, YM_PROCEED);
    f.record[YM_RECORD_HGR_APPROVAL] = YM_RECORD_ABSENT;
    expect(&f, YM_LABEL_RECORD, YM_HOLD);
}

static void off_the_zones_list_still_needs_every_other_track(void **state) /* FZ-08 */
{
    static const enum ym_record needed[] = {YM_RECORD_SELF_ASSESSMENT, YM_RECORD_ZONE_MAPPING, YM_RECORD_ETHICS,
                                            YM_RECORD_HOSPITAL};
    struct ym_facts f = facts_v1();
    (void)state;
    set_people(&f, 30000);
    choose(&f, YM_CHOICE_ZONE, "off_list");
    f.record[YM_RECORD_STANDARD_CONTRACT] = YM_RECORD_ABSENT;
    f.record[YM_RECORD_ZONE_MAPPING] = YM_RECORD_LIVE;
    expect(&f, YM_LABEL_RECORD, YM_PROCEED);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        struct ym_facts g = f;
        g.record[needed[i]] = YM_RECORD_ABSENT;
        assert_int_equal(decide(&g).outcome, YM_HOLD);
    }
    struct ym_facts g = f;
    choose(&g, YM_CHOICE_CONSENT, "below_minimum");
    assert_int_equal(decide(&g).outcome, YM_HOLD);
    g = f;
    choose(&g, YM_CHOICE_TIER, "important"); /* PW-08: whatever list it is off */
    expect(&g, YM_LABEL_SECURITY_ASSESSMENT, YM_HOLD);
    g = f;
    g.choice[YM_CHOICE_ZONE] = 0; /* an item that nobody mapped */
    expect(&g, YM_LABEL_HOLD, YM_HOLD);
    assert_string_equal(decide(&g).track[YM_TRACK_CAC].fact, "zone");
}

/* PW-14: the certificate is an instrument of 2026; the set that offers it is not in force before. */
static void no_certificate_before_its_instrument_is_in_force(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    f.record[YM_RECORD_STANDARD_CONTRACT] = YM_RECORD_ABSENT;
    f.record[YM_RECORD_CERTIFICATE] = YM_RECORD_LIVE;
    assert_int_equal(decide_on(&f, "2026-01-01").outcome, YM_PROCEED);
    struct ym_crossing d = decide_on(&f, "2025-12-31");
    assert_int_equal(d.outcome, YM_HOLD);
    assert_int_equal(d.track[YM_TRACK_CAC].ground, YM_GROUND_NO_SET);
    assert_int_equal(d.track[YM_TRACK_CAC].record, -1); /* not even named */
}

static void v14_two_hospitals_or_one_exporter_for_both(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    set_people(&f, 6000);
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_PROCEED);
    set_people(&f, 6000 + 6000);
    expect(&f, YM_LABEL_SECURITY_ASSESSMENT, YM_HOLD);
}

static struct ym_facts american(enum ym_people kind, int64_t n)
{
    struct ym_facts f = facts_v1();
    choose(&f, YM_CHOICE_US_PERSONS, "yes");
    f.people[kind] = n;
    return f;
}

static void v15_10001_american_health_records_hold(void **state)
{
    struct ym_facts f = american(YM_PEOPLE_US_HEALTH, 10000);
    (void)state;
    assert_int_equal(decide(&f).track[YM_TRACK_US].outcome, YM_PROCEED);
    f = american(YM_PEOPLE_US_HEALTH, 10001);
    assert_int_equal(decide(&f).track[YM_TRACK_US].outcome, YM_HOLD);
    assert_int_equal(decide(&f).outcome, YM_HOLD);
}

static void v16_101_american_genomes_are_refused(void **state)
{
    struct ym_facts f = american(YM_PEOPLE_US_GENOME, 100);
    (void)state;
    assert_int_equal(decide(&f).track[YM_TRACK_US].outcome, YM_PROCEED);
    f = american(YM_PEOPLE_US_GENOME, 101);
    f.record[YM_RECORD_US_REQUIREMENTS] = f.record[YM_RECORD_US_CLAIM] = YM_RECORD_LIVE;
    expect(&f, YM_LABEL_REFUSE, YM_REFUSE);
}

static void v17_who_knows_nothing_waits_for_somebody_named(void **state)
{
    struct ym_facts f;
    (void)state;
    ym_facts_init(&f);
    choose(&f, YM_CHOICE_ARTEFACT, "update");
    choose(&f, YM_CHOICE_PROTECTION, "complete");
    struct ym_crossing d = decide(&f);
    assert_int_equal(d.outcome, YM_HOLD);
    for (size_t t = 0; t < YM_TRACK_COUNT; t++) {
        assert_int_equal(d.track[t].outcome, YM_HOLD);
        assert_true(d.track[t].fact || d.track[t].record >= 0);
    }
    ym_facts_init(&f); /* not even what would leave */
    assert_int_equal(decide(&f).outcome, YM_REFUSE);
}

static void v19_the_wrong_signer_claims_nothing(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    choose(&f, YM_CHOICE_CLAIM, "wrong_signer");
    expect(&f, YM_LABEL_REFUSE, YM_REFUSE);
}

static void v20_a_stale_filing_is_absent(void **state)
{
    struct ym_facts f = facts_v1();
    (void)state;
    f.record[YM_RECORD_STANDARD_CONTRACT] = YM_RECORD_STALE;
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_HOLD);
    assert_int_equal(decide(&f).track[YM_TRACK_CAC].record_state, YM_RECORD_STALE);
}

static void rows_and_persons_never_leave(void **state)
{
    static const char *const never[] = {"row_level", "person_output", "telemetry"};
    (void)state;
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        struct ym_facts f = facts_v1();
        choose(&f, YM_CHOICE_ARTEFACT, never[i]);
        expect(&f, YM_LABEL_REFUSE, YM_REFUSE);
    }
    struct ym_facts f = facts_v1();
    choose(&f, YM_CHOICE_PROTECTION, "missing");
    expect(&f, YM_LABEL_REFUSE, YM_REFUSE);
    f = facts_v1();
    choose(&f, YM_CHOICE_ARTEFACT, "model");
    expect(&f, YM_LABEL_HOLD, YM_HOLD);
    f.record[YM_RECORD_RELEASE_APPROVAL] = YM_RECORD_LIVE;
    expect(&f, YM_LABEL_CONTRACT_OR_CERTIFICATE, YM_PROCEED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v1_a_filed_study_of_4200_people_proceeds),
        cmocka_unit_test(v2_a_second_study_of_6000_people_holds),
        cmocka_unit_test(v3_the_same_people_again_count_once),
        cmocka_unit_test(v4_an_infrastructure_operator_is_assessed_from_one_person_on),
        cmocka_unit_test(v5_ten_thousand_is_over_the_line),
        cmocka_unit_test(v6_more_than_500_exomes_are_reviewed),
        cmocka_unit_test(v7_genome_clinic_and_behaviour_wait_for_two_approvals),
        cmocka_unit_test(v8_core_data_are_refused),
        cmocka_unit_test(v9_a_contract_does_not_carry_important_data),
        cmocka_unit_test(v10_an_expired_assessment_is_absent_and_said_to_be_expired),
        cmocka_unit_test(v11_bundled_consent_leaves_no_cohort),
        cmocka_unit_test(v12_a_download_right_overseas_is_overseas),
        cmocka_unit_test(v13_off_the_zones_list_still_needs_the_genetic_record),
        cmocka_unit_test(off_the_zones_list_still_needs_every_other_track),
        cmocka_unit_test(no_certificate_before_its_instrument_is_in_force),
        cmocka_unit_test(v14_two_hospitals_or_one_exporter_for_both),
        cmocka_unit_test(v15_10001_american_health_records_hold),
        cmocka_unit_test(v16_101_american_genomes_are_refused),
        cmocka_unit_test(v17_who_knows_nothing_waits_for_somebody_named),
        cmocka_unit_test(v19_the_wrong_signer_claims_nothing),
        cmocka_unit_test(v20_a_stale_filing_is_absent),
        cmocka_unit_test(rows_and_persons_never_leave),
    };
    return cmocka_run_group_tests(tests, sets_open, sets_close);
}
