#include "gate/border/words.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const struct {
    enum ym_word_kind kind;
    const char *word;
    enum ym_text_id chinese;
} known[] = {
    {YM_WORD_TRACK, "artefact", YM_TEXT_SITE_TRACK_ARTEFACT},
    {YM_WORD_TRACK, "cac", YM_TEXT_SITE_TRACK_CAC},
    {YM_WORD_TRACK, "hgr", YM_TEXT_SITE_TRACK_HGR},
    {YM_WORD_TRACK, "ethics", YM_TEXT_SITE_TRACK_ETHICS},
    {YM_WORD_TRACK, "consent", YM_TEXT_SITE_TRACK_CONSENT},
    {YM_WORD_TRACK, "ai", YM_TEXT_SITE_TRACK_AI},
    {YM_WORD_TRACK, "us", YM_TEXT_SITE_TRACK_US},
    {YM_WORD_OUTCOME, "proceed", YM_TEXT_SITE_OUTCOME_PROCEED},
    {YM_WORD_OUTCOME, "hold", YM_TEXT_SITE_OUTCOME_HOLD},
    {YM_WORD_OUTCOME, "refuse", YM_TEXT_SITE_OUTCOME_REFUSE},
    {YM_WORD_OFFICE, "it", YM_TEXT_SITE_WORD_IT},
    {YM_WORD_OFFICE, "data_office", YM_TEXT_SITE_WORD_DATA_OFFICE},
    {YM_WORD_OFFICE, "ethics", YM_TEXT_SITE_WORD_ETHICS},
    {YM_WORD_OFFICE, "audit", YM_TEXT_SITE_WORD_AUDIT},
    {YM_WORD_OFFICE, "sponsor", YM_TEXT_SITE_WORD_SPONSOR},
    {YM_WORD_FACT, "artefact", YM_TEXT_BORDER_FACT_ARTEFACT},
    {YM_WORD_FACT, "protection", YM_TEXT_BORDER_FACT_PROTECTION},
    {YM_WORD_FACT, "labels", YM_TEXT_BORDER_FACT_LABELS},
    {YM_WORD_LABEL, "none", YM_TEXT_BORDER_LABEL_NONE},
    {YM_WORD_LABEL, "off_list", YM_TEXT_BORDER_LABEL_OFF_LIST},
    {YM_WORD_LABEL, "exempt_claim", YM_TEXT_BORDER_LABEL_EXEMPT_CLAIM},
    {YM_WORD_LABEL, "record", YM_TEXT_BORDER_LABEL_RECORD},
    {YM_WORD_LABEL, "contract_or_certificate", YM_TEXT_BORDER_LABEL_CONTRACT_OR_CERTIFICATE},
    {YM_WORD_LABEL, "security_assessment", YM_TEXT_BORDER_LABEL_SECURITY_ASSESSMENT},
    {YM_WORD_LABEL, "hgr_review", YM_TEXT_BORDER_LABEL_HGR_REVIEW},
    {YM_WORD_LABEL, "hold", YM_TEXT_BORDER_LABEL_HOLD},
    {YM_WORD_LABEL, "refuse", YM_TEXT_BORDER_LABEL_REFUSE},
    {YM_WORD_STATE, "absent", YM_TEXT_BORDER_STATE_ABSENT},
    {YM_WORD_STATE, "expired", YM_TEXT_SITE_WORD_EXPIRED},
    {YM_WORD_STATE, "out_of_scope", YM_TEXT_SITE_WORD_OUT_OF_SCOPE},
    {YM_WORD_STATE, "incomplete", YM_TEXT_SITE_WORD_INCOMPLETE},
    {YM_WORD_STATE, "stale", YM_TEXT_SITE_WORD_STALE},
    {YM_WORD_STATE, "live", YM_TEXT_SITE_WORD_LIVE},
    {YM_WORD_RECORD, "self_assessment", YM_TEXT_BORDER_RECORD_SELF_ASSESSMENT},
    {YM_WORD_RECORD, "pipia", YM_TEXT_BORDER_RECORD_PIPIA},
    {YM_WORD_RECORD, "standard_contract", YM_TEXT_BORDER_RECORD_STANDARD_CONTRACT},
    {YM_WORD_RECORD, "certificate", YM_TEXT_BORDER_RECORD_CERTIFICATE},
    {YM_WORD_RECORD, "security_assessment", YM_TEXT_BORDER_RECORD_SECURITY_ASSESSMENT},
    {YM_WORD_RECORD, "tier_review", YM_TEXT_BORDER_RECORD_TIER_REVIEW},
    {YM_WORD_RECORD, "aggregation_review", YM_TEXT_BORDER_RECORD_AGGREGATION_REVIEW},
    {YM_WORD_RECORD, "determination", YM_TEXT_BORDER_RECORD_DETERMINATION},
    {YM_WORD_RECORD, "zone_mapping", YM_TEXT_BORDER_RECORD_ZONE_MAPPING},
    {YM_WORD_RECORD, "claim_document", YM_TEXT_BORDER_RECORD_CLAIM_DOCUMENT},
    {YM_WORD_RECORD, "ethics", YM_TEXT_BORDER_RECORD_ETHICS},
    {YM_WORD_RECORD, "hospital", YM_TEXT_BORDER_RECORD_HOSPITAL},
    {YM_WORD_RECORD, "hgr_approval", YM_TEXT_BORDER_RECORD_HGR_APPROVAL},
    {YM_WORD_RECORD, "hgr_filing", YM_TEXT_BORDER_RECORD_HGR_FILING},
    {YM_WORD_RECORD, "hgr_backup", YM_TEXT_BORDER_RECORD_HGR_BACKUP},
    {YM_WORD_RECORD, "hgr_risk", YM_TEXT_BORDER_RECORD_HGR_RISK},
    {YM_WORD_RECORD, "hgr_review", YM_TEXT_BORDER_RECORD_HGR_REVIEW},
    {YM_WORD_RECORD, "collection_permit", YM_TEXT_BORDER_RECORD_COLLECTION_PERMIT},
    {YM_WORD_RECORD, "ai_filing", YM_TEXT_BORDER_RECORD_AI_FILING},
    {YM_WORD_RECORD, "release_approval", YM_TEXT_BORDER_RECORD_RELEASE_APPROVAL},
    {YM_WORD_RECORD, "us_requirements", YM_TEXT_BORDER_RECORD_US_REQUIREMENTS},
    {YM_WORD_RECORD, "us_claim", YM_TEXT_BORDER_RECORD_US_CLAIM},
};

const char *ym_word_text(enum ym_word_kind kind, const char *word)
{
    for (size_t i = 0; ym_text_lang() == YM_LANG_ZH && i < sizeof known / sizeof *known; i++)
        if (known[i].kind == kind && strcmp(known[i].word, word) == 0)
            return ym_text(known[i].chinese);
    return word;
}

const char *ym_word_named(enum ym_word_kind kind, const char *word, char out[YM_WORD_BYTES])
{
    const char *text = ym_word_text(kind, word);

    if (text == word)
        return word;
    snprintf(out, YM_WORD_BYTES, "%s %s", text, word);
    return out;
}
