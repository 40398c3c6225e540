#ifndef YM_COORDINATOR_ROUND_INTERNAL_H
#define YM_COORDINATOR_ROUND_INTERNAL_H

#include "coordinator/round/round.h"

/* Within round/ only: one call of ym_round_step, its setters and transitions
 * (transitions.c), and the events of sites (sites.c). */

struct step { /* one call of ym_round_step */
    struct ym_round *r;
    const struct ym_round_event *e;
    struct ym_round_time now;
    struct ym_round_actions *out;
};

#define YM_DISK_RETRY_MS 30000
#define YM_PART(x) (1u << YM_ROUND_##x)

/* ---- transitions.c: every change passes one of the setters ---- */
void ym_step_keep_reason(char *to, const char *reason);
void ym_step_set_phase(struct step *s, enum ym_round_phase phase, const char *reason);
void ym_step_set_part(struct step *s, size_t i, enum ym_round_part part, const char *reason);
void ym_step_wake_after(struct step *s, int64_t ms);
struct ym_round_action *ym_step_act(struct step *s, enum ym_round_action_kind kind);
void ym_step_send(struct step *s, size_t site, enum ym_round_task task);
void ym_step_refuse(struct step *s, enum ym_code code, const char *reason);
void ym_step_repeated(struct step *s);
void ym_step_close_all(struct step *s);
void ym_step_abort_study(struct step *s, const char *reason);
void ym_step_pause_study(struct step *s, enum ym_round_phase from, const char *reason);
int64_t ym_step_retry_ms(const struct ym_round *r);
void ym_step_fail_attempt(struct step *s, const char *reason);
void ym_step_settle_attempt(struct step *s, bool over);
void ym_step_try_open(struct step *s);
void ym_step_next_round(struct step *s);
void ym_step_settle_offer(struct step *s, bool over);
bool ym_step_quorum_impossible(const struct ym_round *r);
void ym_step_settle_will(struct step *s);
void ym_step_leave_attempt(struct step *s, size_t i, const char *reason);

/* ---- sites.c ---- */
void ym_step_site(struct step *s);

#endif
