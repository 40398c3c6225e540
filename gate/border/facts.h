#ifndef YM_GATE_BORDER_FACTS_H
#define YM_GATE_BORDER_FACTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* What is known about one transfer when the site's gate is asked: a closed
 * list of choices, counts of people and outside records, each of which
 * somebody declared and signed or the trainer computed. Nothing is inferred.
 * Zeroed facts know nothing, which opens nothing (evaluate.h).
 * docs/border.md has a line for each. */

/* Who can end a wait: makes an unknown known, enters a record, signs a set. */
enum ym_office {
    YM_OFFICE_IT,
    YM_OFFICE_DATA_OFFICE,
    YM_OFFICE_ETHICS,
    YM_OFFICE_AUDIT,
    YM_OFFICE_SPONSOR,
    YM_OFFICE_COUNT
};
const char *ym_office_word(enum ym_office role); /* "it" "data_office" "ethics" "audit" "sponsor" */

/* CHOICE(id, word in files, who says, values). Value 0 is "unknown" for all of
 * them; the listed values are 1, 2, ... in this order. */
#define YM_CHOICES(CHOICE)                                                                                             \
    CHOICE(ARTEFACT, "artefact", IT, "row_level", "person_output", "update", "statistic", "model", "synthetic",        \
           "telemetry")                                                                                                \
    CHOICE(PROTECTION, "protection", IT, "missing", "complete")                                                        \
    CHOICE(LABELS, "labels", IT, "missing", "complete")                                                                \
    CHOICE(EXPORTER, "exporter", DATA_OFFICE, "recorded")                                                              \
    CHOICE(TIER, "tier", DATA_OFFICE, "general", "important", "core")                                                  \
    CHOICE(CIIO, "ciio", DATA_OFFICE, "no", "yes")                                                                     \
    CHOICE(PI, "pi", DATA_OFFICE, "no", "yes")                                                                         \
    CHOICE(SENSITIVE_PI, "sensitive_pi", DATA_OFFICE, "no", "yes")                                                     \
    CHOICE(RECIPIENT, "recipient", SPONSOR, "mainland", "outside")                                                     \
    CHOICE(OVERSEAS_ACCESS, "overseas_access", SPONSOR, "none", "possible")                                            \
    CHOICE(POSITION, "position", DATA_OFFICE, "p1", "p2", "p3")                                                        \
    CHOICE(CLAIM, "claim", DATA_OFFICE, "none", "contract", "human_resources", "emergency", "wrong_signer")            \
    CHOICE(ZONE, "zone", DATA_OFFICE, "none", "off_list", "on_list_assessment", "on_list_contract")                    \
    CHOICE(AGGREGATION, "aggregation", DATA_OFFICE, "single", "linked", "three_or_more", "genomic_clinical",           \
           "genomic_clinical_behavioural")                                                                             \
    CHOICE(SURVEILLANCE, "surveillance", DATA_OFFICE, "no", "yes")                                                     \
    CHOICE(HGR, "hgr", DATA_OFFICE, "no", "yes")                                                                       \
    CHOICE(IMPORTANT_FAMILY, "important_family", DATA_OFFICE, "no", "yes")                                             \
    CHOICE(SPECIFIED_REGION, "specified_region", DATA_OFFICE, "no", "yes")                                             \
    CHOICE(HGR_SALE, "hgr_sale", SPONSOR, "no", "yes")                                                                 \
    CHOICE(HGR_ROUTE, "hgr_route", DATA_OFFICE, "collaboration", "outside")                                            \
    CHOICE(FOREIGN_UNIT, "foreign_unit", SPONSOR, "no", "yes")                                                         \
    CHOICE(CHINESE_PARTNER, "chinese_partner", SPONSOR, "no", "yes")                                                   \
    CHOICE(CONSENT, "consent", DATA_OFFICE, "enough", "below_minimum")                                                 \
    CHOICE(AI_SECTIONS, "ai_sections", SPONSOR, "complete", "incomplete")                                              \
    CHOICE(PUBLIC_SERVICE, "public_service", SPONSOR, "no", "yes")                                                     \
    CHOICE(US_PERSONS, "us_persons", DATA_OFFICE, "no", "yes")                                                         \
    CHOICE(US_GOVERNMENT, "us_government", DATA_OFFICE, "no", "yes")                                                   \
    CHOICE(COVERED_PERSON, "covered_person", SPONSOR, "no", "yes")

/* COUNT(id, word, who says): people (records for "records"), 0 or more. */
#define YM_COUNTS(COUNT)                                                                                               \
    COUNT(SENSITIVE, "n_sensitive", IT)                                                                                \
    COUNT(PI, "n_pi", IT)                                                                                              \
    COUNT(RECORDS, "records", IT)                                                                                      \
    COUNT(EXOME_GENOME, "exome_genome_n", DATA_OFFICE)                                                                 \
    COUNT(COLLECTION, "collection_cases", DATA_OFFICE)                                                                 \
    COUNT(US_GENOME, "us_genome_n", DATA_OFFICE)                                                                       \
    COUNT(US_OMIC, "us_omic_n", DATA_OFFICE)                                                                           \
    COUNT(US_BIOMETRIC, "us_biometric_n", DATA_OFFICE)                                                                 \
    COUNT(US_HEALTH, "us_health_n", DATA_OFFICE)                                                                       \
    COUNT(US_IDENTIFIERS, "us_identifiers_n", DATA_OFFICE)

/* RECORD(id, word, who enters it): documents of outside bodies, by hash. */
#define YM_RECORDS(RECORD)                                                                                             \
    RECORD(SELF_ASSESSMENT, "self_assessment", DATA_OFFICE)                                                            \
    RECORD(PIPIA, "pipia", DATA_OFFICE)                                                                                \
    RECORD(STANDARD_CONTRACT, "standard_contract", DATA_OFFICE)                                                        \
    RECORD(CERTIFICATE, "certificate", DATA_OFFICE)                                                                    \
    RECORD(SECURITY_ASSESSMENT, "security_assessment", DATA_OFFICE)                                                    \
    RECORD(TIER_REVIEW, "tier_review", DATA_OFFICE)                                                                    \
    RECORD(AGGREGATION_REVIEW, "aggregation_review", DATA_OFFICE)                                                      \
    RECORD(DETERMINATION, "determination", DATA_OFFICE)                                                                \
    RECORD(ZONE_MAPPING, "zone_mapping", DATA_OFFICE)                                                                  \
    RECORD(CLAIM_DOCUMENT, "claim_document", DATA_OFFICE)                                                              \
    RECORD(ETHICS, "ethics", ETHICS)                                                                                   \
    RECORD(HOSPITAL, "hospital", DATA_OFFICE)                                                                          \
    RECORD(HGR_APPROVAL, "hgr_approval", DATA_OFFICE)                                                                  \
    RECORD(HGR_FILING, "hgr_filing", DATA_OFFICE)                                                                      \
    RECORD(HGR_BACKUP, "hgr_backup", DATA_OFFICE)                                                                      \
    RECORD(HGR_RISK, "hgr_risk", DATA_OFFICE)                                                                          \
    RECORD(HGR_REVIEW, "hgr_review", DATA_OFFICE)                                                                      \
    RECORD(COLLECTION_PERMIT, "collection_permit", DATA_OFFICE)                                                        \
    RECORD(AI_FILING, "ai_filing", SPONSOR)                                                                            \
    RECORD(RELEASE_APPROVAL, "release_approval", DATA_OFFICE)                                                          \
    RECORD(US_REQUIREMENTS, "us_requirements", SPONSOR)                                                                \
    RECORD(US_CLAIM, "us_claim", SPONSOR)

enum ym_choice {
#define CHOICE(id, word, role, ...) YM_CHOICE_##id,
    YM_CHOICES(CHOICE)
#undef CHOICE
        YM_CHOICE_COUNT
};
enum ym_people {
#define COUNT(id, word, role) YM_PEOPLE_##id,
    YM_COUNTS(COUNT)
#undef COUNT
        YM_PEOPLE_COUNT
};
enum ym_record {
#define RECORD(id, word, role) YM_RECORD_##id,
    YM_RECORDS(RECORD)
#undef RECORD
        YM_RECORD_COUNT
};

/* A record opens a gate only while it is live. */
enum ym_record_state {
    YM_RECORD_ABSENT,
    YM_RECORD_EXPIRED,
    YM_RECORD_OUT_OF_SCOPE,
    YM_RECORD_INCOMPLETE, /* something is not entered yet that such a document must have */
    YM_RECORD_STALE,      /* one of the six material facts changed since it was entered */
    YM_RECORD_LIVE,
    YM_RECORD_STATES
};

enum { YM_CHOICE_MOST_VALUES = 8, YM_PEOPLE_UNKNOWN = -1 };

struct ym_facts {
    uint8_t choice[YM_CHOICE_COUNT]; /* 0: unknown */
    int64_t people[YM_PEOPLE_COUNT]; /* below 0: unknown */
    uint8_t record[YM_RECORD_COUNT]; /* enum ym_record_state */
};

void ym_facts_init(struct ym_facts *f); /* nothing is known */

const char *ym_choice_word(enum ym_choice c);
enum ym_office ym_choice_office(enum ym_choice c);
/* "unknown" for 0; NULL beyond the last value. */
const char *ym_choice_value(enum ym_choice c, unsigned value);
const char *ym_people_word(enum ym_people p);
enum ym_office ym_people_office(enum ym_people p);
const char *ym_record_word(enum ym_record r);
enum ym_office ym_record_office(enum ym_record r);
const char *
ym_record_state_word(enum ym_record_state s); /* "absent" "expired" "out_of_scope" "incomplete" "stale" "live" */

/* Index of a word among those of a kind, -1 when there is none such. */
int ym_choice_find(const char *word);
int ym_choice_value_find(enum ym_choice c, const char *word);
int ym_people_find(const char *word);
int ym_record_find(const char *word);

/* Facts as restricted JSON, so that an old decision can be asked again:
 * {choices: {word: value}, people: {word: n}, records: {word: state}}; what is
 * unknown or absent is left out. New reference, NULL when memory is out. */
json_t *ym_facts_json(const struct ym_facts *f);
/* The way back. Unknown words are YM_INVALID: facts of a later program. */
enum ym_code ym_facts_read(const json_t *value, struct ym_facts *out, struct ym_status *st);

#endif
