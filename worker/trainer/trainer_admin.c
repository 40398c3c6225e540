#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "models/model.h"
#include "worker/data/frozen.h"
#include "worker/trainer/trainer_internal.h"

/* What yumen-site asks. Every answer stays in the data zone. */

/* A dry run that somebody waits for; approve: the plan is approved when it went well. */
struct waiting {
    struct ym_ticket ticket;
    bool approve;
    enum ym_lang lang; /* of who asked */
    char dataset[64];
    char override[513]; /* why an epsilon that needs an override is right; "" */
};

const char *ym_trainer_text(const json_t *o, const char *key)
{
    const char *text = "";

    ym_json_get_str(o, key, &text, NULL);
    return text;
}

static void reply_new(struct ym_trainer *t, const struct ym_ticket *ticket, json_t *reply)
{
    ym_admin_reply(t->admin, ticket, reply);
    json_decref(reply);
}

static json_t *hex_json(const uint8_t hash[YM_HASH_BYTES])
{
    struct ym_buf hex = {0};
    json_t *o = NULL;

    if (ym_hex_encode(hash, YM_HASH_BYTES, &hex) == YM_OK)
        o = json_string(ym_buf_str(&hex));
    ym_buf_release(&hex);
    return o;
}

/* ---- showing ---- */

static const char *decision_word(const struct ym_core_study *s)
{
    static const char *const word[] = {"undecided", "approved", "vetoed"};

    return word[s->decision];
}

static const char *phase_word(const struct ym_core_study *s)
{
    static const char *const word[] = {"idle", "preparing", "ready", "training"};

    return s->closed ? "closed" : word[s->phase];
}

static json_t *study_json(const struct ym_core_study *s)
{
    return json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:s}", "study", s->study, "plan",
                     hex_json(s->hash), "sponsor", s->plan->sponsor, "title", s->plan->title, "decision",
                     decision_word(s), "phase", phase_word(s), "paused", s->paused, "round", (json_int_t)s->round,
                     "attempt", (json_int_t)s->attempt, "rounds", (json_int_t)s->plan->rounds, "charged_round",
                     (json_int_t)s->charged_round, "charged_attempt", (json_int_t)s->charged_attempt, "reason",
                     s->last_reason);
}

static json_t *studies_json(struct ym_trainer *t)
{
    json_t *list = json_array(), *row;

    for (size_t i = 0; i < ym_core_study_count(t->core); i++) {
        const struct ym_core_study *s = ym_core_study_at(t->core, i);

        if (!s->plan)
            continue;
        row = study_json(s);
        if (row && s->decision == YM_APPROVED)
            json_object_set_new(row, "dataset", json_string(s->dataset));
        json_object_set_new(row, "epsilon_study_micro", json_integer(ym_trainer_plan_cost(s->plan, s->plan->rounds)));
        json_array_append_new(list, row);
    }
    return list;
}

static void do_status(struct ym_trainer *t, const struct ym_ticket *ticket)
{
    json_t *o = ym_trainer_status_json(t);

    json_object_set_new(o, "studies", studies_json(t));
    reply_new(t, ticket, o);
}

static void do_plans_list(struct ym_trainer *t, const struct ym_ticket *ticket)
{
    reply_new(t, ticket, json_pack("{s:b, s:o}", "ok", 1, "plans", studies_json(t)));
}

static json_t *show_json(struct ym_trainer *t, const struct ym_core_study *s)
{
    json_t *plan = NULL, *o = study_json(s);

    ym_json_parse(s->plan->canonical.data, s->plan->canonical.len, YM_PLAN_MAX_BYTES, &plan, NULL);
    json_object_set_new(o, "ok", json_true());
    json_object_set_new(o, "content", plan);
    json_object_set_new(o, "epsilon_study_micro", json_integer(ym_trainer_plan_cost(s->plan, s->plan->rounds)));
    json_object_set_new(o, "epsilon_round_micro", json_integer(ym_trainer_plan_cost(s->plan, 1)));
    json_object_set_new(o, "epsilon_limit_micro", json_integer(ym_plan_epsilon_micro(s->plan)));
    json_object_set_new(o, "delta_e18", json_integer((json_int_t)s->plan->delta.scaled));
    json_object_set_new(o, "datasets", ym_trainer_rooms_json(t, s));
    json_object_set_new(o, "hospital", json_string(t->site.name));
    json_object_set_new(o, "policy", ym_trainer_policy_view(t, s->plan));
    ym_trainer_policy_terms(t, o);
    return o;
}

static enum ym_code do_plan_show(struct ym_trainer *t, const struct ym_ticket *ticket, const json_t *request,
                                 struct ym_status *st)
{
    struct ym_core_study *s;
    enum ym_code code = ym_core_find(t->core, ym_trainer_text(request, "plan"), &s, st);

    if (code == YM_OK)
        reply_new(t, ticket, show_json(t, s));
    return code;
}

static enum ym_code do_policy(struct ym_trainer *t, const struct ym_ticket *ticket, struct ym_status *st)
{
    json_t *o = ym_trainer_policy_json(t);

    if (!o)
        return ym_status_set(st, YM_DENIED, "the ledger holds no policy");
    reply_new(t, ticket, o);
    return YM_OK;
}

static enum ym_code do_budget(struct ym_trainer *t, const struct ym_ticket *ticket, struct ym_status *st)
{
    json_t *o = ym_show_budget(t->ledger, t->budget);

    if (!o)
        return ym_status_set(st, YM_CORRUPT, "the ledger cannot be read");
    json_object_set_new(o, "name", json_string(t->site.name));
    reply_new(t, ticket, o);
    return YM_OK;
}

/* A page of releases, from a leaf on. */
static enum ym_code do_egress(struct ym_trainer *t, const struct ym_ticket *ticket, const json_t *request,
                              struct ym_status *st)
{
    json_int_t from = json_integer_value(json_object_get(request, "from"));
    json_t *list = ym_show_egress(&t->site, t->ledger, t->enrolled ? t->trust.federation : "",
                                  from > 0 ? (uint64_t)from : 0, YM_SHOW_EGRESS_PAGE);

    if (!list)
        return ym_status_set(st, YM_CORRUPT, "the ledger cannot be read");
    reply_new(t, ticket, json_pack("{s:b, s:s, s:o}", "ok", 1, "name", t->site.name, "releases", list));
    return YM_OK;
}

/* ---- data ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *group_of(const struct ym_card *card)
{
    const char **name = calloc(card->shares_count + 1, sizeof *name);
    json_t *list = json_array();
    size_t n = 0;

    if (name) {
        name[n++] = card->name;
        for (size_t i = 0; i < card->shares_count; i++)
            name[n++] = card->shares_patients_with[i];
        qsort(name, n, sizeof *name, by_name);
    }
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(name[i], name[i - 1]) != 0)
            json_array_append_new(list, json_string(name[i]));
    free(name);
    return list;
}

static enum ym_code card_members(const struct ym_card *card, const uint8_t id[YM_HASH_BYTES],
                                 const uint8_t data[YM_HASH_BYTES], json_t **out, struct ym_status *st)
{
    json_t *public = NULL;
    enum ym_code code =
        ym_json_parse(card->public_json.data, card->public_json.len, card->public_json.len, &public, st);

    if (code != YM_OK)
        return code;
    *out = json_pack("{s:s, s:o, s:o}", "dataset", card->name, "public", public, "group", group_of(card));
    if (!*out)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the card");
    ym_json_set_hash(*out, "card", id);
    ym_json_set_hash(*out, "data", data);
    return YM_OK;
}

static enum ym_code check_frozen(struct ym_trainer *t, const struct ym_card *card, uint8_t data[YM_HASH_BYTES],
                                 struct ym_status *st)
{
    struct ym_frozen *f = NULL;
    char file[80], path[YM_SITE_PATH];
    enum ym_code code;

    snprintf(file, sizeof file, "%s.frozen", card->name);
    code = ym_site_path(&t->site, "data", file, path);
    if (code == YM_OK)
        code = ym_frozen_load(path, &f, st);
    if (code == YM_OK && (strcmp(f->dataset, card->name) != 0 || memcmp(f->card_hash, card->hash, YM_HASH_BYTES) != 0))
        code = ym_status_set(st, YM_CONFLICT, "the frozen data were made from another card: run data add again");
    if (code == YM_OK)
        ym_site_data_id(t->salt, f->hash, data);
    ym_frozen_free(f);
    return code;
}

static enum ym_code do_data_add(struct ym_trainer *t, const struct ym_ticket *ticket, const json_t *request,
                                struct ym_status *st)
{
    const struct ym_core_dataset *known;
    struct ym_card *card = NULL;
    struct ym_buf line = {0};
    json_t *members = NULL;
    uint8_t data[YM_HASH_BYTES], id[YM_HASH_BYTES];
    bool same = false;
    enum ym_code code = ym_name_valid(ym_trainer_text(request, "dataset"))
                            ? ym_site_card(&t->site, ym_trainer_text(request, "dataset"), &card, st)
                            : ym_status_set(st, YM_INVALID, "a data set's name is missing");

    if (code == YM_OK)
        code = check_frozen(t, card, data, st);
    if (code == YM_OK) {
        known = ym_core_dataset_find(t->core, card->name);
        ym_site_card_id(t->salt, card->hash, id);
        same = known && memcmp(known->data, data, sizeof data) == 0 && memcmp(known->card, id, sizeof id) == 0;
    }
    if (code == YM_OK && !same) {
        code = card_members(card, id, data, &members, st);
        if (code == YM_OK)
            code = ym_trainer_sign(t, "dataset_card", members, &line, st);
        if (code == YM_OK)
            code = ym_trainer_record(t, (struct ym_bytes){line.data, line.len}, true, st);
    }
    if (code == YM_OK)
        reply_new(
            t, ticket,
            json_pack("{s:b, s:s, s:o, s:b}", "ok", 1, "dataset", card->name, "data", hex_json(data), "same", same));
    json_decref(members);
    ym_buf_release(&line);
    ym_card_free(card);
    return code;
}

static void do_data_list(struct ym_trainer *t, const struct ym_ticket *ticket)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ym_core_dataset_count(t->core); i++) {
        const struct ym_core_dataset *d = ym_core_dataset_at(t->core, i);
        int64_t spent = 0, cap = 0, delta = 0;

        ym_budget_spent(t->budget, d->name, &spent, &cap, &delta, NULL);
        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:o, s:b, s:I, s:I}", "dataset", d->name, "data", hex_json(d->data),
                                        "card", hex_json(d->card), "known_to_hub", d->delivered, "spent_micro",
                                        (json_int_t)spent, "cap_micro", (json_int_t)cap));
    }
    reply_new(t, ticket, json_pack("{s:b, s:o}", "ok", 1, "datasets", list));
}

/* ---- deciding ---- */

static struct ym_job *check_job(struct ym_trainer *t, struct ym_core_study *s, const struct ym_core_dataset *d,
                                const struct waiting *w)
{
    struct ym_job *j = calloc(1, sizeof *j);

    if (!j)
        return NULL;
    j->kind = YM_JOB_CHECK;
    j->plan = s->plan;
    j->study = s;
    j->min_patients = ym_core_min_patients(t->core);
    j->limits = ym_trainer_policy_limits(t);
    memcpy(j->salt, t->salt, sizeof j->salt);
    memcpy(j->data, d->data, sizeof j->data);
    j->user = malloc(sizeof *w);
    if (!j->user || ym_trainer_consent(t, s->plan, d->name, &j->need, NULL) != YM_OK ||
        ym_cohort_union(ym_withdrawn_of(t->withdrawn, d->name), &(struct ym_cohort){0}, &j->gone, NULL) != YM_OK ||
        ym_trainer_data_path(t, d->name, j->data_path) != YM_OK ||
        ym_trainer_people_path(t, d->name, j->people_path) != YM_OK) {
        free(j->user);
        ym_job_free(&j);
        return NULL;
    }
    memcpy(j->user, w, sizeof *w);
    return j;
}

static enum ym_code do_check(struct ym_trainer *t, const struct ym_ticket *ticket, const json_t *request, bool approve,
                             struct ym_status *st)
{
    struct waiting w = {.ticket = *ticket, .approve = approve, .lang = ym_text_lang()};
    const struct ym_core_dataset *d;
    struct ym_core_study *s;
    struct ym_job *j;
    enum ym_code code = ym_core_find(t->core, ym_trainer_text(request, "plan"), &s, st);

    if (code != YM_OK)
        return code;
    if (ym_core_min_patients(t->core) < 0)
        return ym_status_set(st, YM_DENIED, "the ledger holds no policy");
    d = ym_core_dataset_find(t->core, ym_trainer_text(request, "dataset"));
    if (!d)
        return ym_status_set(st, YM_NOT_FOUND, "no data set \"%s\" is registered; see yumen-site data list",
                             ym_trainer_text(request, "dataset"));
    if (strlen(ym_trainer_text(request, "override")) >= sizeof w.override)
        return ym_status_set(st, YM_INVALID, "%s", T(REFUSE_REASON));
    snprintf(w.override, sizeof w.override, "%s", ym_trainer_text(request, "override"));
    snprintf(w.dataset, sizeof w.dataset, "%s", d->name);
    j = check_job(t, s, d, &w);
    if (!j)
        return ym_status_set(st, YM_EXHAUSTED, "no memory for the dry run");
    code = ym_work_push(t->work, &j, st);
    if (j)
        free(j->user);
    ym_job_free(&j);
    return code;
}

/* All the rounds that are left, and the next one this month. */
static enum ym_code budget_fits(struct ym_trainer *t, const struct ym_job *j, const char *dataset, struct ym_status *st)
{
    int64_t alone, after;
    uint32_t next = ym_trainer_next_round(j->study);
    enum ym_code code = ym_door_fits(t->door, j->plan, dataset, next, j->plan->rounds, &alone, &after, st);

    return code == YM_OK ? ym_door_may_charge(t->door, j->plan, dataset, next, ym_clock_unix(), &alone, &after, st)
                         : code;
}

static json_t *checked_reply(struct ym_trainer *t, const struct ym_job *j, const struct waiting *w)
{
    struct ym_status st = YM_STATUS_INIT, no = YM_STATUS_INIT;
    enum ym_code budget = budget_fits(t, j, w->dataset, &st), policy = ym_trainer_policy_allows(t, j->plan, &no);
    json_t *o = json_pack(
        "{s:b, s:s, s:o, s:s, s:b, s:s, s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I}", "ok", 1, "study", j->study->study,
        "plan", hex_json(j->study->hash), "dataset", w->dataset, "runs", j->reason == NULL, "why",
        j->reason ? j->st.message : "", "report", ym_buf_str(&j->report), "budget_fits", budget == YM_OK, "budget_why",
        budget == YM_OK ? "" : st.message, "step_ms", (json_int_t)j->step_ms, "parameters", (json_int_t)j->dim,
        "epsilon_round_micro", (json_int_t)ym_trainer_plan_cost(j->plan, 1), "epsilon_study_micro",
        (json_int_t)ym_trainer_plan_cost(j->plan, j->plan->rounds), "release_bytes", (json_int_t)(8 * j->update_dim));
    json_t *room = ym_trainer_room_json(t, j->study, w->dataset);

    json_object_update_missing(o, room);
    json_object_set_new(o, "policy_fits", json_boolean(policy == YM_OK));
    json_object_set_new(o, "policy_why", json_string(policy == YM_OK ? "" : no.message));
    json_decref(room);
    return o;
}

/* Before the budget is asked, which looks for it. */
static enum ym_code note_override(struct ym_trainer *t, const struct ym_job *j, const struct waiting *w,
                                  json_t **pending, struct ym_status *st)
{
    struct ym_buf hash = {0};
    enum ym_code code = YM_OK;

    if (!w->approve || j->reason || !w->override[0])
        return YM_OK;
    code = ym_hex_encode(j->study->hash, YM_HASH_BYTES, &hash);
    if (code == YM_OK)
        code = ym_trainer_override(t, ym_buf_str(&hash), ym_plan_epsilon_micro(j->plan), w->override, pending, st);
    ym_buf_release(&hash);
    return code;
}

static enum ym_code approve_checked(struct ym_trainer *t, struct ym_job *j, const struct waiting *w, json_t **pending,
                                    struct ym_status *st)
{
    json_t *members = NULL;
    const struct ym_core_dataset *d = ym_core_dataset_find(t->core, w->dataset);
    enum ym_code code;

    if (!d || memcmp(d->data, j->data, sizeof j->data) != 0)
        return ym_status_set(st, YM_CONFLICT, "the data set changed during the dry run; try again");
    code = ym_core_approval(t->core, j->study, w->dataset, &members, st);
    return code == YM_OK ? ym_trainer_propose(t, "approval", members, pending, st) : code;
}

/* Words are those of who asks, whatever the trainer was started in. The language before. */
static enum ym_lang speak(enum ym_lang lang)
{
    enum ym_lang before = ym_text_lang();

    ym_text_init(lang == YM_LANG_ZH ? "zh" : "en");
    return before;
}

static enum ym_lang asked_in(const json_t *request)
{
    const char *lang = ym_trainer_text(request, "lang");

    return lang[0] == '\0' ? ym_text_lang() : strcmp(lang, "zh") == 0 ? YM_LANG_ZH : YM_LANG_EN;
}

void ym_trainer_checked(struct ym_trainer *t, struct ym_job *j)
{
    struct waiting *w = j->user;
    enum ym_lang own = speak(w->lang);
    struct ym_status st = YM_STATUS_INIT;
    json_t *pending = NULL; /* what people must seal first */
    enum ym_code code = note_override(t, j, w, &pending, &st);
    json_t *reply = checked_reply(t, j, w);
    bool good = j->reason == NULL && json_is_true(json_object_get(reply, "budget_fits")) &&
                json_is_true(json_object_get(reply, "policy_fits"));

    if (code == YM_OK && good && w->approve && !pending)
        code = approve_checked(t, j, w, &pending, &st);
    if (code != YM_OK) {
        ym_admin_fail(t->admin, &w->ticket, &st);
    } else {
        json_object_set_new(reply, "approved", json_boolean(good && w->approve && !pending));
        json_object_update_missing(reply, pending);
        ym_admin_reply(t->admin, &w->ticket, reply);
    }
    speak(own);
    json_decref(pending);
    json_decref(reply);
    free(w);
    j->user = NULL;
}

static enum ym_code do_veto(struct ym_trainer *t, const struct ym_ticket *ticket, const json_t *request,
                            struct ym_status *st)
{
    struct ym_actions a = {0};
    struct ym_core_study *s;
    enum ym_code code = ym_core_find(t->core, ym_trainer_text(request, "plan"), &s, st);

    if (code == YM_OK)
        code = ym_core_veto(t->core, s, &a, st);
    ym_trainer_act(t, &a);
    if (code == YM_OK)
        reply_new(t, ticket, json_pack("{s:b, s:s, s:o}", "ok", 1, "study", s->study, "plan", hex_json(s->hash)));
    return code;
}

static enum ym_code do_pause(struct ym_trainer *t, const struct ym_ticket *ticket, const json_t *request,
                             struct ym_status *st)
{
    struct ym_actions a = {0};
    bool paused = json_is_true(json_object_get(request, "paused"));
    enum ym_code code = ym_core_pause(t->core, ym_trainer_text(request, "study"), paused, &a, st);

    ym_trainer_act(t, &a);
    if (code == YM_OK)
        reply_new(t, ticket,
                  json_pack("{s:b, s:s, s:b}", "ok", 1, "study", ym_trainer_text(request, "study"), "paused", paused));
    return code;
}

static enum ym_code do_enrol(struct ym_trainer *t, const struct ym_ticket *ticket, const json_t *request,
                             struct ym_status *st)
{
    enum ym_code code;

    if (t->enrol_ticket.len != 0) { /* the earlier asker is answered, whoever waits last gets the hub's word */
        ym_status_set(st, YM_CONFLICT, "another enrolment took over");
        ym_admin_fail(t->admin, &t->enrol_ticket, st);
        t->enrol_ticket.len = 0;
    }
    code = ym_trainer_enrol(t, request, st);
    if (code == YM_OK)
        t->enrol_ticket = *ticket;
    return code;
}

static enum ym_code do_recover(struct ym_trainer *t, const struct ym_ticket *ticket, const json_t *request,
                               struct ym_status *st)
{
    const char *reason = ym_trainer_text(request, "reason");
    enum ym_code code = reason[0] ? ym_trainer_recover(t, reason, st) : YM_OK;

    if (code == YM_OK)
        reply_new(t, ticket, ym_trainer_recover_json(t));
    return code;
}

/* What would build on a ledger that lacks entries. Vetoes and pauses are always taken. */
static bool builds(const char *what)
{
    static const char *const words[] = {"data_add",    "plan_approve",  "policy_sign",    "rules_sign",
                                        "dossier_add", "border_switch", "rules_withdraw", "dossier_withdraw",
                                        "seal",        "office_rotate", "infer_record"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], what) == 0)
            return true;
    return false;
}

/* What the gate is asked at the desk. */
static enum ym_code border_request(struct ym_trainer *t, const char *what, const json_t *request, json_t **reply,
                                   struct ym_status *st)
{
    static const struct {
        const char *what;
        enum ym_code (*fn)(struct ym_trainer *t, const json_t *request, json_t **reply, struct ym_status *st);
    } table[] = {{"policy_sign", ym_trainer_policy_sign},
                 {"seal", ym_trainer_seal},
                 {"office_rotate", ym_trainer_rotate},
                 {"border", ym_trainer_border_show},
                 {"people", ym_trainer_people},
                 {"border_again", ym_trainer_border_again},
                 {"border_switch", ym_trainer_border_switch},
                 {"rules_sign", ym_trainer_rules_sign},
                 {"rules_withdraw", ym_trainer_rules_withdraw},
                 {"dossier_add", ym_trainer_dossier_add},
                 {"dossier_withdraw", ym_trainer_dossier_withdraw},
                 {"withdraw", ym_trainer_withdraw},
                 {"infer", ym_trainer_infer},
                 {"infer_who", ym_trainer_infer_who},
                 {"infer_record", ym_trainer_infer_record}};

    if (strcmp(what, "withdraw_list") == 0)
        return (*reply = ym_trainer_withdraw_list(t)) ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (strcmp(what, "rules_list") == 0)
        return (*reply = ym_trainer_rules_list(t)) ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (strcmp(what, "offices") == 0)
        return (*reply = ym_trainer_offices_json(t)) ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (strcmp(what, "pending") == 0)
        return (*reply = ym_trainer_pending_json(t)) ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory");
    if (strcmp(what, "dossier_list") == 0)
        return (*reply = ym_trainer_dossier_list(t)) ? YM_OK : ym_status_set(st, YM_EXHAUSTED, "no memory");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].what, what) == 0)
            return table[i].fn(t, request, reply, st);
    return ym_status_set(st, YM_INVALID, "\"%.40s\" is no request this trainer knows", what);
}

static enum ym_code do_border(struct ym_trainer *t, const struct ym_ticket *ticket, const char *what,
                              const json_t *request, struct ym_status *st)
{
    json_t *reply = NULL;
    enum ym_code code = border_request(t, what, request, &reply, st);

    if (code == YM_OK)
        reply_new(t, ticket, reply);
    return code;
}

void ym_trainer_admin(void *ctx, const struct ym_ticket *ticket, const json_t *request)
{
    struct ym_trainer *t = ctx;
    struct ym_status st = YM_STATUS_INIT;
    const char *what = ym_trainer_text(request, "do");
    enum ym_lang own = speak(asked_in(request));
    enum ym_code code = YM_OK;

    t->asker = ticket->account;
    if (builds(what) && ym_trainer_not_halted(t, &st) != YM_OK)
        code = st.code;
    else if (strcmp(what, "status") == 0)
        do_status(t, ticket);
    else if (strcmp(what, "recover") == 0)
        code = do_recover(t, ticket, request, &st);
    else if (strcmp(what, "enrol") == 0)
        code = do_enrol(t, ticket, request, &st);
    else if (strcmp(what, "data_add") == 0)
        code = do_data_add(t, ticket, request, &st);
    else if (strcmp(what, "data_list") == 0)
        do_data_list(t, ticket);
    else if (strcmp(what, "plans_list") == 0)
        do_plans_list(t, ticket);
    else if (strcmp(what, "plan_show") == 0)
        code = do_plan_show(t, ticket, request, &st);
    else if (strcmp(what, "plan_check") == 0)
        code = do_check(t, ticket, request, false, &st);
    else if (strcmp(what, "plan_approve") == 0)
        code = do_check(t, ticket, request, true, &st);
    else if (strcmp(what, "plan_veto") == 0)
        code = do_veto(t, ticket, request, &st);
    else if (strcmp(what, "pause") == 0)
        code = do_pause(t, ticket, request, &st);
    else if (strcmp(what, "policy") == 0)
        code = do_policy(t, ticket, &st);
    else if (strcmp(what, "budget") == 0)
        code = do_budget(t, ticket, &st);
    else if (strcmp(what, "egress") == 0)
        code = do_egress(t, ticket, request, &st);
    else
        code = do_border(t, ticket, what, request, &st);
    if (code != YM_OK)
        ym_admin_fail(t->admin, ticket, &st);
    speak(own);
}
