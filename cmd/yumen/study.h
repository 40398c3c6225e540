#ifndef YM_CMD_YUMEN_STUDY_H
#define YM_CMD_YUMEN_STUDY_H

#include <jansson.h>

#include "cmd/yumen/party.h"
#include "proto/message.h"

/* How studies are named and shown. Words are stable; texts follow the language. */
const char *ym_study_phase_word(Yumen__V1__StudyPhase phase); /* "collect" */
const char *ym_study_phase_text(Yumen__V1__StudyPhase phase);
const char *ym_site_phase_word(Yumen__V1__SitePhase phase); /* "left_out" */
const char *ym_site_phase_text(Yumen__V1__SitePhase phase);
bool ym_study_over(Yumen__V1__StudyPhase phase);  /* done or aborted */
json_t *ym_study_json(const Yumen__V1__Study *s); /* new reference */

/* ListStudies; *reply is new (ym_message_free). */
enum ym_code ym_study_list(struct ym_party_home *h, Yumen__V1__ListStudiesReply **reply, struct ym_status *st);
/* One of them, borrowed from reply. YM_NOT_FOUND. */
enum ym_code ym_study_find(const Yumen__V1__ListStudiesReply *reply, const char *study, const Yumen__V1__Study **out,
                           struct ym_status *st);

#endif
