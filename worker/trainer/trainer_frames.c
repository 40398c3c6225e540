#include "worker/trainer/trainer_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

static void take_gateway(struct ym_trainer *t, struct ym_bytes payload)
{
    struct ym_gateway_info g = {.known = true};
    json_t *o = NULL;
    const char *hub = "";

    if (ym_json_parse(payload.data, payload.len, YM_FRAME_CONTROL_BYTES, &o, NULL) == YM_OK &&
        ym_json_get_hash(o, "spki", g.spki, NULL) == YM_OK && ym_json_get_str(o, "hub", &hub, NULL) == YM_OK &&
        ym_json_get_int(o, "not_after", 0, INT64_MAX, &g.not_after, NULL) == YM_OK) {
        g.connected = json_is_true(json_object_get(o, "connected"));
        g.enrolled = json_is_true(json_object_get(o, "enrolled"));
        g.other_worker = json_is_true(json_object_get(o, "other_worker"));
        if (g.other_worker && !t->gateway.other_worker)
            ym_log(YM_LOG_ERROR, "trainer.other_worker", "%s", T(SITE_OTHER_WORKER));
        snprintf(g.hub, sizeof g.hub, "%s", hub);
        t->gateway = g;
    }
    json_decref(o);
}

static void take_answer(struct ym_trainer *t, struct ym_bytes payload, struct ym_actions *a)
{
    struct ym_frame_answer answer;

    if (ym_frame_answer_decode(payload, &answer, NULL) != YM_OK)
        return;
    if (answer.answer != YM_OK)
        ym_log(YM_LOG_WARN, "trainer.answer", "code=%s reason=%s", ym_code_name(answer.answer), answer.reason);
    ym_core_answer(t->core, &answer, a);
}

void ym_trainer_frame(void *ctx, const struct ym_frame *f)
{
    struct ym_trainer *t = ctx;
    struct ym_actions a = {0};
    struct ym_status st = YM_STATUS_INIT;
    enum ym_code code = YM_OK;

    switch (f->kind) {
    case YM_FRAME_GATEWAY:
        take_gateway(t, f->payload);
        break;
    case YM_FRAME_ENROLLED:
        ym_trainer_enrolled(t, f->payload);
        break;
    case YM_FRAME_PLAN:
        code = ym_core_plan(t->core, f->payload, false, &a, &st);
        break;
    case YM_FRAME_OBJECT:
        ym_trainer_object(t, f);
        break;
    case YM_FRAME_ROUND:
        code = ym_core_round(t->core, f->payload, &a, &st);
        break;
    case YM_FRAME_COLLECT:
        code = ym_core_collect(t->core, f->payload, &a, &st);
        break;
    case YM_FRAME_CLOSED:
        code = ym_core_closed(t->core, f->payload, &a, &st);
        break;
    case YM_FRAME_ANSWER:
        take_answer(t, f->payload, &a);
        break;
    case YM_FRAME_LOG:
        ym_trainer_log(t, f, &a);
        break;
    case YM_FRAME_CHECKPOINT:
        ym_trainer_checkpoint(t, f->payload, &a);
        break;
    case YM_FRAME_NOTICE:
        ym_trainer_notice(t, f->payload);
        break;
    default:
        ym_log(YM_LOG_WARN, "trainer.frame", "kind=%d is not for a trainer", (int)f->kind);
    }
    if (code != YM_OK)
        ym_log(YM_LOG_WARN, "trainer.task", "kind=%d code=%s why=\"%s\"", (int)f->kind, ym_code_name(code), st.message);
    ym_trainer_act(t, &a);
}

void ym_trainer_link_up(void *ctx)
{
    struct ym_trainer *t = ctx;
    struct ym_actions a = {0};

    ym_log(YM_LOG_INFO, "trainer.link", "gateway=up");
    ym_door_reset(t->door);
    t->cosigned = false;   /* what waited in the door or in the other end is lost: it is said again */
    ym_trainer_session(t); /* first: the gateway needs it to be let in */
    ym_core_link_up(t->core, &a);
    ym_trainer_act(t, &a);
}
