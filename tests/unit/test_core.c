#include "site_help.h"

/* The trainer's decisions, one by one, with real signatures and no machine. */

static json_t *none_sealed(void)
{
    static json_t *none;

    return none ? none : (none = json_array());
}

static struct party hub = {.name = "hub"}, sponsor = {.name = "acme"}, site = {.name = "h1"}, stranger = {.name = "x"};
static struct ym_plan *plan;
static uint8_t state_a[32] = {0xaa}, state_b[32] = {0xbb}, data_hash[32] = {0xdd};

struct facts {
    bool sandboxed, state, data, disk;
    enum ym_core_log log;
    enum ym_code budget;
    int64_t now;
    enum ym_code border;
    enum ym_code policy;
    bool sealed; /* what comes back */
};

static int64_t fact_now(void *ctx)
{
    return ((struct facts *)ctx)->now;
}

static bool fact_sealed(void *ctx, const json_t *leaf)
{
    (void)leaf;
    return ((struct facts *)ctx)->sealed;
}

static bool fact_sandboxed(void *ctx)
{
    return ((struct facts *)ctx)->sandboxed;
}

static bool fact_state(void *ctx, const uint8_t hash[YM_HASH_BYTES])
{
    (void)hash;
    return ((struct facts *)ctx)->state;
}

static bool fact_data(void *ctx, const char *dataset)
{
    (void)dataset;
    return ((struct facts *)ctx)->data;
}

static bool fact_disk(void *ctx, const struct ym_plan *p)
{
    (void)p;
    return ((struct facts *)ctx)->disk;
}

static enum ym_core_log fact_log(void *ctx, const char *study, uint32_t round, uint32_t attempt)
{
    (void)study;
    (void)round;
    (void)attempt;
    return ((struct facts *)ctx)->log;
}

static enum ym_code fact_budget(void *ctx, const struct ym_plan *p, const char *dataset, uint32_t round,
                                struct ym_status *st)
{
    enum ym_code code = ((struct facts *)ctx)->budget;

    (void)p;
    (void)dataset;
    (void)round;
    return code == YM_OK ? code : ym_status_set(st, code, "no");
}

static enum ym_code fact_policy(void *ctx, const struct ym_plan *p, uint32_t round, struct ym_status *st)
{
    enum ym_code code = ((struct facts *)ctx)->policy;

    (void)p;
    (void)round;
    return code == YM_OK ? YM_OK : ym_status_set(st, code, "the policy says no");
}

static enum ym_code fact_border(void *ctx, const struct ym_plan *p, const char *dataset, struct ym_status *st)
{
    enum ym_code code = ((struct facts *)ctx)->border;

    (void)p;
    (void)dataset;
    return code == YM_OK ? code : ym_status_set(st, code, "a record is missing");
}

struct kit {
    struct facts facts;
    struct ym_core *core;
    struct ym_actions did;
    uint64_t leaves;
};

static void clear(struct kit *k)
{
    ym_actions_release(&k->did);
}

static void take(struct kit *k, const char *type, json_t *members)
{
    struct ym_buf line = line_of(&site, type, members);

    assert_int_equal(ym_core_take(k->core, k->leaves++, bytes_in(&line), NULL), YM_OK);
    ym_buf_release(&line);
}

static void take_policy(struct kit *k)
{
    take(k, "policy", json_pack("{s:I}", "min_patients", (json_int_t)20));
}

static void take_dataset(struct kit *k, const uint8_t data[32])
{
    json_t *o = json_pack("{s:s}", "dataset", "d");

    take(k, "dataset_card", hashed(hashed(o, "data", data), "card", data_hash));
}

static void give_plan(struct kit *k)
{
    struct ym_buf parts = plan_parts(plan, &sponsor, &hub, "fed");

    assert_int_equal(ym_core_plan(k->core, bytes_in(&parts), false, &k->did, NULL), YM_OK);
    ym_buf_release(&parts);
    clear(k);
}

static void take_approval(struct kit *k)
{
    json_t *o = json_pack("{s:s, s:s}", "study", plan->study, "dataset", "d");

    take(k, "approval", hashed(hashed(o, "plan", plan->hash), "data", data_hash));
}

static void take_charge(struct kit *k, uint32_t round, uint32_t attempt, const uint8_t state[32])
{
    json_t *o =
        json_pack("{s:s, s:I, s:I}", "study", plan->study, "round", (json_int_t)round, "attempt", (json_int_t)attempt);

    take(k, "charge", hashed(hashed(o, "plan", plan->hash), "state", state));
}

static void take_release(struct kit *k, uint32_t round, uint32_t attempt)
{
    json_t *o =
        json_pack("{s:s, s:I, s:I}", "study", plan->study, "round", (json_int_t)round, "attempt", (json_int_t)attempt);

    take(k, "release", hashed(hashed(o, "plan", plan->hash), "update", state_a));
}

static struct ym_core *new_core(struct facts *facts)
{
    struct ym_trust trust = {.federation = "fed"};
    struct ym_core_world world = {.ctx = facts,
                                  .now = fact_now,
                                  .sandboxed = fact_sandboxed,
                                  .sealed = fact_sealed,
                                  .state = fact_state,
                                  .data = fact_data,
                                  .disk = fact_disk,
                                  .log = fact_log,
                                  .budget = fact_budget,
                                  .border = fact_border,
                                  .policy = fact_policy};
    struct ym_core *c;

    memcpy(trust.hub_key, hub.pub, sizeof hub.pub);
    c = ym_core_new("h1", &world);
    ym_core_trust(c, &trust);
    return c;
}

static int open_kit(void **state)
{
    struct kit *k = calloc(1, sizeof *k);

    k->facts = (struct facts){true, true, true, true, YM_CORE_LOG_SEEN, YM_OK, 2500};
    k->core = new_core(&k->facts);
    take_policy(k);
    take_dataset(k, data_hash);
    give_plan(k);
    take_approval(k);
    *state = k;
    return 0;
}

static int close_kit(void **state)
{
    struct kit *k = *state;

    clear(k);
    ym_core_free(k->core);
    free(k);
    return 0;
}

static enum ym_code round_by(struct kit *k, const struct party *by, uint32_t round, uint32_t attempt,
                             const uint8_t state[32], const char *who)
{
    struct ym_buf line = line_of(by, "round_open", round_members(plan, round, attempt, state, who));
    enum ym_code code = ym_core_round(k->core, bytes_in(&line), &k->did, NULL);

    ym_buf_release(&line);
    return code;
}

static void open_round(struct kit *k, uint32_t round, uint32_t attempt)
{
    assert_int_equal(round_by(k, &hub, round, attempt, state_a, "h1"), YM_OK);
}

static void collect(struct kit *k, uint32_t round, uint32_t attempt, const uint8_t state[32])
{
    json_t *o = round_members(plan, round, attempt, state, "h1");
    struct ym_buf line;

    json_object_del(o, "plan");
    line = line_of(&hub, "say_collect", o);
    assert_int_equal(ym_core_collect(k->core, bytes_in(&line), &k->did, NULL), YM_OK);
    ym_buf_release(&line);
}

static enum ym_code closed_by(struct kit *k, const struct party *by, const char *type, json_t *members)
{
    struct ym_buf line = line_of(by, type, members);
    enum ym_code code = ym_core_closed(k->core, bytes_in(&line), &k->did, NULL);

    ym_buf_release(&line);
    return code;
}

static json_t *ended(uint32_t round, uint32_t attempt, const char *flag, bool value)
{
    return json_pack("{s:s, s:I, s:I, s:b}", "study", plan->study, "round", (json_int_t)round, "attempt",
                     (json_int_t)attempt, flag, value);
}

static struct ym_core_study *study(struct kit *k)
{
    struct ym_core_study *s = NULL;

    assert_int_equal(ym_core_find(k->core, plan->study, &s, NULL), YM_OK);
    return s;
}

static size_t count(const struct kit *k, enum ym_action_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < k->did.count; i++)
        n += k->did.item[i].kind == kind;
    return n;
}

static const struct ym_action *said(const struct kit *k, const char *type)
{
    for (size_t i = 0; i < k->did.count; i++)
        if (k->did.item[i].type && strcmp(k->did.item[i].type, type) == 0)
            return &k->did.item[i];
    return NULL;
}

static void expect_declined(const struct kit *k, const char *reason)
{
    const struct ym_action *a = said(k, "say_declined");
    const char *got = "";

    assert_non_null(a);
    assert_int_equal(ym_json_get_str(a->members, "reason", &got, NULL), YM_OK);
    assert_string_equal(got, reason);
    assert_true(ym_decline_reason_known(got));
    assert_int_equal(count(k, YM_ACTION_CHARGE), 0);
}

/* Up to where the worker thread trains. */
static void to_training(struct kit *k)
{
    open_round(k, 1, 1);
    ym_core_prepared(k->core, study(k), 1, 1, NULL, &k->did);
    collect(k, 1, 1, state_a);
    assert_int_equal(count(k, YM_ACTION_CHARGE), 1);
    clear(k);
    take_charge(k, 1, 1, state_a);
}

static void to_released(struct kit *k)
{
    to_training(k);
    ym_core_trained(k->core, study(k), 1, 1, NULL, &k->did);
    assert_int_equal(count(k, YM_ACTION_RELEASE), 1);
    clear(k);
    take_release(k, 1, 1);
    ym_core_released(k->core, study(k), NULL, &k->did);
    assert_int_equal(k->did.count, 0);
}

/* ---- declining ---- */

static void no_sandbox(struct kit *k)
{
    k->facts.sandboxed = false;
}

static void no_state(struct kit *k)
{
    k->facts.state = false;
}

static void no_file(struct kit *k)
{
    k->facts.data = false;
}

static void no_policy(struct kit *k)
{
    k->facts.policy = YM_DENIED;
}

static void closed_hours(struct kit *k)
{
    k->facts.policy = YM_UNAVAILABLE;
}

static void study_spent(struct kit *k)
{
    k->facts.policy = YM_EXHAUSTED;
}

static void no_border(struct kit *k)
{
    k->facts.border = YM_DENIED;
}

static void no_disk(struct kit *k)
{
    k->facts.disk = false;
}

static void disagreeing(struct kit *k)
{
    k->facts.log = YM_CORE_LOG_HALTED;
}

static void no_budget(struct kit *k)
{
    k->facts.budget = YM_EXHAUSTED;
}

static void other_data(struct kit *k)
{
    take_dataset(k, state_b);
}

static void vetoed(struct kit *k)
{
    take(k, "veto", hashed(json_pack("{s:s}", "study", plan->study), "plan", plan->hash));
}

static void paused(struct kit *k)
{
    take(k, "pause", json_pack("{s:s, s:b}", "study", plan->study, "paused", 1));
}

static void newer_charge(struct kit *k)
{
    take_charge(k, 2, 1, state_a);
}

static void this_charge(struct kit *k)
{
    take_charge(k, 1, 1, state_a);
}

static void this_charge_other_state(struct kit *k)
{
    take_charge(k, 1, 1, state_b);
}

static void study_over(struct kit *k)
{
    assert_int_equal(closed_by(k, &hub, "round_result", ended(15, 1, "last", true)), YM_OK);
    clear(k);
}

static void every_reason_to_decline_has_its_word_and_charges_nothing(void **state)
{
    static const struct {
        void (*when)(struct kit *);
        const char *reason;
    } table[] = {
        {no_sandbox, "sandbox"},  {no_state, "state_mismatch"},
        {no_file, "no_data"},     {no_disk, "disk"},
        {no_border, "border"},    {no_policy, "policy"},
        {closed_hours, "hours"},  {study_spent, "budget"},
        {disagreeing, "recover"}, {no_budget, "budget"},
        {other_data, "no_data"},  {vetoed, "vetoed"},
        {paused, "paused"},       {newer_charge, "stale"},
        {this_charge, "crashed"}, {this_charge_other_state, "state_mismatch"},
        {study_over, "stale"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct kit *k;

        open_kit((void **)&k);
        table[i].when(k);
        open_round(k, 1, 1);
        expect_declined(k, table[i].reason);
        assert_int_equal(count(k, YM_ACTION_PREPARE), 0);
        close_kit((void **)&k);
    }
}

/* The same facts may turn between ready and collect. */
static void what_changed_since_ready_still_stops_the_charge(void **state)
{
    static const struct {
        void (*when)(struct kit *);
        const char *reason;
    } table[] = {{no_sandbox, "sandbox"}, {no_state, "state_mismatch"}, {no_file, "no_data"},    {no_disk, "disk"},
                 {no_border, "border"},   {no_policy, "policy"},        {closed_hours, "hours"}, {no_budget, "budget"},
                 {other_data, "no_data"}, {vetoed, "vetoed"},           {paused, "paused"}};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct kit *k;

        open_kit((void **)&k);
        open_round(k, 1, 1);
        ym_core_prepared(k->core, study(k), 1, 1, NULL, &k->did);
        assert_non_null(said(k, "say_ready"));
        clear(k);
        table[i].when(k);
        collect(k, 1, 1, state_a);
        expect_declined(k, table[i].reason);
        close_kit((void **)&k);
    }
}

static void an_undecided_plan_means_no(void **state)
{
    struct kit k = {.facts = {true, true, true, true, YM_CORE_LOG_SEEN, YM_OK, 2500}};
    struct kit *open;

    (void)state;
    open_kit((void **)&open);
    k.core = new_core(&k.facts);
    open_round(&k, 1, 1); /* no plan at all */
    expect_declined(&k, "not_approved");
    clear(&k);
    take_dataset(&k, data_hash);
    give_plan(&k);
    open_round(&k, 1, 1); /* undecided */
    expect_declined(&k, "not_approved");
    clear(&k);
    take_approval(&k);
    open_round(&k, 1, 1); /* approved, but the ledger holds no policy */
    expect_declined(&k, "not_approved");
    clear(&k);
    take_policy(&k);
    open_round(&k, 1, 1);
    assert_int_equal(count(&k, YM_ACTION_PREPARE), 1);
    clear(&k);
    ym_core_free(k.core);
    close_kit((void **)&open);
}

static void a_round_that_the_hub_did_not_sign_is_declined(void **state)
{
    struct kit *k = *state;

    assert_int_not_equal(round_by(k, &stranger, 1, 1, state_a, "h1"), YM_OK);
    expect_declined(k, "bad_signature");
    assert_int_equal(count(k, YM_ACTION_PREPARE), 0);
}

static void a_round_without_us_in_the_roster_is_not_ours(void **state)
{
    struct kit *k = *state;

    assert_int_equal(round_by(k, &hub, 1, 1, state_a, "h2"), YM_OK);
    assert_int_equal(k->did.count, 0);
}

/* ---- the round ---- */

static void ready_is_said_only_after_preparing_and_nothing_is_charged(void **state)
{
    struct kit *k = *state;

    open_round(k, 1, 1);
    assert_int_equal(count(k, YM_ACTION_PREPARE), 1);
    assert_null(said(k, "say_ready"));
    clear(k);
    ym_core_prepared(k->core, study(k), 1, 1, NULL, &k->did);
    assert_non_null(said(k, "say_ready"));
    assert_int_equal(count(k, YM_ACTION_CHARGE), 0);
    clear(k);
    open_round(k, 1, 1); /* told again after a reconnect */
    assert_non_null(said(k, "say_ready"));
    assert_int_equal(count(k, YM_ACTION_PREPARE), 0);
}

/* Ready means: the hub's log was compared up to the round_open of this attempt. */
static void ready_waits_for_the_hubs_log(void **state)
{
    struct kit *k = *state;

    k->facts.log = YM_CORE_LOG_WAIT;
    open_round(k, 1, 1);
    ym_core_prepared(k->core, study(k), 1, 1, NULL, &k->did);
    assert_null(said(k, "say_ready"));
    collect(k, 1, 1, state_a);
    ym_core_log_seen(k->core, &k->did);
    assert_int_equal(count(k, YM_ACTION_CHARGE), 0);
    k->facts.log = YM_CORE_LOG_SEEN;
    ym_core_log_seen(k->core, &k->did);
    assert_int_equal(count(k, YM_ACTION_CHARGE), 1);
}

static void a_ledger_that_turns_out_too_old_is_not_ready_and_not_charged(void **state)
{
    struct kit *k = *state;

    k->facts.log = YM_CORE_LOG_WAIT;
    open_round(k, 1, 1);
    ym_core_prepared(k->core, study(k), 1, 1, NULL, &k->did);
    k->facts.log = YM_CORE_LOG_HALTED;
    ym_core_log_seen(k->core, &k->did);
    expect_declined(k, "recover");
    clear(k);
    k->facts.log = YM_CORE_LOG_SEEN;
    open_round(k, 1, 2);
    ym_core_prepared(k->core, study(k), 1, 2, NULL, &k->did);
    clear(k);
    k->facts.log = YM_CORE_LOG_WAIT; /* as after a hub that was set back between ready and collect */
    collect(k, 1, 2, state_a);
    expect_declined(k, "recover");
}

static void an_approval_that_comes_back_counts_only_when_it_is_sealed(void **state)
{
    for (int sealed = 0; sealed < 2; sealed++) {
        struct kit *k = NULL;

        (void)state;
        open_kit((void **)&k);
        k->facts.sealed = sealed;
        ym_core_free(k->core); /* a ledger without the approval */
        k->core = new_core(&k->facts);
        take_policy(k);
        take_dataset(k, data_hash);
        give_plan(k);
        take(k, "recover", json_pack("{s:i}", "count", 1));
        take_approval(k);
        open_round(k, 1, 1);
        if (sealed)
            assert_int_equal(count(k, YM_ACTION_PREPARE), 1);
        else
            expect_declined(k, "not_approved");
        clear(k);
        take_approval(k); /* people approved anew */
        open_round(k, 1, 2);
        assert_int_equal(count(k, YM_ACTION_PREPARE), 1);
        close_kit((void **)&k);
    }
}

static void what_cannot_be_prepared_is_declined_and_may_be_tried_again(void **state)
{
    struct kit *k = *state;

    open_round(k, 1, 1);
    clear(k);
    ym_core_prepared(k->core, study(k), 1, 1, "busy", &k->did);
    expect_declined(k, "busy");
    clear(k);
    open_round(k, 1, 1);
    assert_int_equal(count(k, YM_ACTION_PREPARE), 1);
}

static void a_collect_that_comes_while_preparing_waits(void **state)
{
    struct kit *k = *state;

    open_round(k, 1, 1);
    collect(k, 1, 1, state_a);
    assert_int_equal(count(k, YM_ACTION_CHARGE), 0);
    ym_core_prepared(k->core, study(k), 1, 1, NULL, &k->did);
    assert_int_equal(count(k, YM_ACTION_CHARGE), 1);
}

static void a_trainer_that_restarted_after_ready_follows_the_collect_alone(void **state)
{
    struct kit *k = *state;

    collect(k, 1, 1, state_a);
    assert_int_equal(count(k, YM_ACTION_PREPARE), 1);
    assert_int_equal(count(k, YM_ACTION_CHARGE), 0);
    ym_core_prepared(k->core, study(k), 1, 1, NULL, &k->did);
    assert_int_equal(count(k, YM_ACTION_CHARGE), 1);
}

static void a_collect_for_another_state_or_long_past_is_declined(void **state)
{
    struct kit *k = *state;

    open_round(k, 1, 1);
    ym_core_prepared(k->core, study(k), 1, 1, NULL, &k->did);
    clear(k);
    collect(k, 1, 1, state_b);
    expect_declined(k, "state_mismatch");
    clear(k);
    k->facts.now = 3000 + YM_CORE_CLOCK_SKEW_S + 1;
    collect(k, 1, 1, state_a);
    expect_declined(k, "stale");
}

static void one_attempt_is_charged_once_however_often_it_is_asked(void **state)
{
    struct kit *k = *state;

    to_training(k);
    collect(k, 1, 1, state_a);
    open_round(k, 1, 1);
    assert_int_equal(k->did.count, 0);
    ym_core_trained(k->core, study(k), 1, 1, NULL, &k->did);
    take_release(k, 1, 1);
    ym_core_released(k->core, study(k), NULL, &k->did);
    clear(k);
    collect(k, 1, 1, state_a);
    open_round(k, 1, 1);
    assert_int_equal(count(k, YM_ACTION_RESEND), 2);
    assert_int_equal(count(k, YM_ACTION_CHARGE), 0);
    assert_int_equal(count(k, YM_ACTION_PREPARE), 0);
}

static void a_crash_between_charge_and_release_declines_the_attempt(void **state)
{
    struct kit *k = *state; /* as folded after the restart */

    take_charge(k, 1, 1, state_a);
    collect(k, 1, 1, state_a);
    expect_declined(k, "crashed");
    clear(k);
    open_round(k, 1, 2); /* a new attempt is a new charge */
    assert_int_equal(count(k, YM_ACTION_PREPARE), 1);
}

static void a_newer_attempt_ends_the_older_release(void **state)
{
    struct kit *k = *state;

    to_released(k);
    open_round(k, 2, 1);
    assert_int_equal(count(k, YM_ACTION_DROP), 1);
    assert_int_equal(count(k, YM_ACTION_PREPARE), 1);
    clear(k);
    open_round(k, 1, 1);
    expect_declined(k, "stale");
}

static void rounds_past_the_plan_are_stale(void **state)
{
    struct kit *k = *state;

    open_round(k, plan->rounds + 1, 1);
    expect_declined(k, "stale");
}

/* ---- decisions while it trains ---- */

static void a_veto_during_training_stops_the_release(void **state)
{
    struct kit *k = *state;

    to_training(k);
    assert_int_equal(ym_core_veto(k->core, study(k), &k->did, NULL), YM_OK);
    assert_non_null(said(k, "veto"));
    clear(k);
    vetoed(k);
    ym_core_trained(k->core, study(k), 1, 1, NULL, &k->did);
    assert_int_equal(count(k, YM_ACTION_DISCARD), 1);
    assert_int_equal(count(k, YM_ACTION_RELEASE), 0);
    expect_declined(k, "vetoed");
}

static void a_pause_during_training_stops_the_release(void **state)
{
    struct kit *k = *state;

    to_training(k);
    assert_int_equal(ym_core_pause(k->core, plan->study, true, &k->did, NULL), YM_OK);
    clear(k);
    paused(k);
    ym_core_trained(k->core, study(k), 1, 1, NULL, &k->did);
    assert_int_equal(count(k, YM_ACTION_RELEASE), 0);
    expect_declined(k, "paused");
}

static void an_attempt_that_ended_during_training_is_discarded(void **state)
{
    struct kit *k = *state;

    to_training(k);
    assert_int_equal(closed_by(k, &hub, "abort", ended(1, 1, "final", false)), YM_OK);
    ym_core_trained(k->core, study(k), 1, 1, NULL, &k->did);
    assert_int_equal(count(k, YM_ACTION_DISCARD), 1);
    assert_int_equal(count(k, YM_ACTION_RELEASE), 0);
    assert_null(said(k, "say_declined"));
}

static void a_veto_drops_what_waits_in_the_outbox(void **state)
{
    struct kit *k = *state;

    to_released(k);
    assert_int_equal(ym_core_veto(k->core, study(k), &k->did, NULL), YM_OK);
    assert_int_equal(count(k, YM_ACTION_DROP), 1);
    clear(k);
    vetoed(k);
    ym_core_link_up(k->core, &k->did);
    assert_int_equal(count(k, YM_ACTION_RESEND), 0);
    assert_int_equal(ym_core_veto(k->core, study(k), &k->did, NULL), YM_CONFLICT);
    assert_int_equal(ym_core_approve(k->core, study(k), "d", none_sealed(), &k->did, NULL), YM_CONFLICT);
}

/* ---- endings ---- */

static void a_result_drops_the_release_and_the_last_one_closes_the_study(void **state)
{
    struct kit *k = *state;

    to_released(k);
    assert_int_equal(closed_by(k, &hub, "round_result", ended(1, 1, "last", false)), YM_OK);
    assert_int_equal(count(k, YM_ACTION_DROP), 1);
    assert_int_equal(count(k, YM_ACTION_CLOSE), 0);
    clear(k);
    assert_int_equal(closed_by(k, &hub, "round_result", ended(2, 1, "last", true)), YM_OK);
    assert_int_equal(count(k, YM_ACTION_CLOSE), 1);
    assert_true(study(k)->closed);
}

static void the_sponsor_may_cancel_but_nobody_else(void **state)
{
    struct kit *k = *state;

    assert_int_not_equal(closed_by(k, &stranger, "abort", ended(1, 1, "final", true)), YM_OK);
    assert_int_not_equal(closed_by(k, &sponsor, "round_result", ended(1, 1, "last", true)), YM_OK);
    assert_int_equal(k->did.count, 0);
    assert_false(study(k)->closed);
    assert_int_equal(closed_by(k, &sponsor, "abort", ended(1, 1, "final", true)), YM_OK);
    assert_true(study(k)->closed);
}

/* ---- the gateway comes and goes ---- */

static void a_new_pair_hears_what_was_not_delivered_and_only_that(void **state)
{
    struct kit *k = *state;
    struct ym_frame_answer answer = {.answer = YM_OK};

    to_released(k);
    ym_core_link_up(k->core, &k->did);
    assert_int_equal(count(k, YM_ACTION_REPOST), 2); /* card, approval */
    assert_int_equal(count(k, YM_ACTION_RESEND), 1);
    assert_non_null(said(k, "say_checked"));
    clear(k);
    memcpy(answer.leaf, study(k)->decision_hash, sizeof answer.leaf);
    ym_core_answer(k->core, &answer, &k->did);
    memcpy(answer.leaf, ym_core_dataset_at(k->core, 0)->leaf_hash, sizeof answer.leaf);
    answer.answer = YM_CONFLICT; /* it has it already */
    ym_core_answer(k->core, &answer, &k->did);
    ym_core_link_up(k->core, &k->did);
    assert_int_equal(count(k, YM_ACTION_REPOST), 0);
    assert_int_equal(count(k, YM_ACTION_RESEND), 1);
}

static void a_release_that_came_too_late_is_dropped_and_one_that_was_taken_stays(void **state)
{
    struct kit *k = *state;
    struct ym_frame_answer answer = {.answer = YM_OK};

    to_released(k);
    memcpy(answer.leaf, study(k)->release_hash, sizeof answer.leaf);
    ym_core_answer(k->core, &answer, &k->did);
    assert_int_equal(count(k, YM_ACTION_DROP), 0);
    answer.answer = YM_DEADLINE;
    ym_core_answer(k->core, &answer, &k->did);
    assert_int_equal(count(k, YM_ACTION_DROP), 1);
    clear(k);
    ym_core_link_up(k->core, &k->did);
    assert_int_equal(count(k, YM_ACTION_RESEND), 0);
}

/* ---- plans ---- */

static enum ym_code offer(struct kit *k, const struct ym_plan *p, const struct party *by, const struct party *vouched,
                          const struct party *by_hub, const char *federation)
{
    struct ym_buf parts = plan_parts(p, by, by_hub, federation), other = plan_parts(p, vouched, by_hub, federation);
    struct ym_bytes a[3], b[3];
    struct ym_buf mixed = {0};
    enum ym_code code;

    assert_int_equal(ym_parts_split(bytes_in(&parts), a, 3, NULL), YM_OK);
    assert_int_equal(ym_parts_split(bytes_in(&other), b, 3, NULL), YM_OK);
    ym_parts_append(&mixed, a[0]);
    ym_parts_append(&mixed, a[1]);
    ym_parts_append(&mixed, b[2]);
    code = ym_core_plan(k->core, bytes_in(&mixed), false, &k->did, NULL);
    ym_buf_release(&parts);
    ym_buf_release(&other);
    ym_buf_release(&mixed);
    return code;
}

static void a_plan_needs_the_sponsors_hand_the_hubs_word_and_our_name(void **state)
{
    struct kit *k = *state;
    char *text = text_edit(good_plan, "study: s1", "study: s2"), *without = text_edit(text, "name: h1", "name: h7");
    struct ym_plan *second = plan_from(text), *foreign = plan_from(without);
    struct party other_acme = {.key = stranger.key, .name = "acme"};

    memcpy(other_acme.pub, stranger.pub, sizeof other_acme.pub);
    assert_int_not_equal(offer(k, second, &other_acme, &sponsor, &hub, "fed"), YM_OK);
    assert_int_not_equal(offer(k, second, &sponsor, &sponsor, &stranger, "fed"), YM_OK);
    assert_int_not_equal(offer(k, second, &sponsor, &sponsor, &hub, "other"), YM_OK);
    assert_int_equal(offer(k, foreign, &sponsor, &sponsor, &hub, "fed"), YM_DENIED);
    assert_int_equal(k->did.count, 0);
    assert_int_equal(offer(k, second, &sponsor, &sponsor, &hub, "fed"), YM_OK);
    assert_int_equal(count(k, YM_ACTION_KEEP_PLAN), 1);
    clear(k);
    assert_int_equal(offer(k, second, &sponsor, &sponsor, &hub, "fed"), YM_OK); /* told again */
    assert_int_equal(k->did.count, 0);
    ym_plan_free(second);
    ym_plan_free(foreign);
    free(text);
    free(without);
}

static void a_second_plan_under_an_open_studys_name_is_refused(void **state)
{
    struct kit *k = *state;
    char *text = text_edit(good_plan, "rounds: 15", "rounds: 16");
    struct ym_plan *second = plan_from(text);

    assert_int_equal(offer(k, second, &sponsor, &sponsor, &hub, "fed"), YM_CONFLICT);
    study_over(k);
    assert_int_equal(offer(k, second, &sponsor, &sponsor, &hub, "fed"), YM_OK);
    ym_plan_free(second);
    free(text);
}

static void a_plan_is_found_by_name_or_by_enough_of_its_hash(void **state)
{
    struct kit *k = *state;
    struct ym_core_study *s = NULL;
    struct ym_buf hex = {0};

    ym_hex_encode(plan->hash, 32, &hex);
    assert_int_equal(ym_core_find(k->core, ym_buf_str(&hex), &s, NULL), YM_OK);
    hex.data[8] = 0;
    assert_int_equal(ym_core_find(k->core, ym_buf_str(&hex), &s, NULL), YM_OK);
    hex.data[7] = 0;
    assert_int_equal(ym_core_find(k->core, ym_buf_str(&hex), &s, NULL), YM_NOT_FOUND);
    assert_int_equal(ym_core_find(k->core, "nothing", &s, NULL), YM_NOT_FOUND);
    ym_buf_release(&hex);
}

static void an_approval_names_hash_data_set_and_content(void **state)
{
    struct kit *k = *state;
    const struct ym_action *a;
    uint8_t got[32];

    assert_int_equal(ym_core_approve(k->core, study(k), "d", none_sealed(), &k->did, NULL), YM_CONFLICT);
    assert_int_equal(ym_core_approve(k->core, study(k), "none", none_sealed(), &k->did, NULL), YM_NOT_FOUND);
    other_data(k);
    assert_int_equal(ym_core_approve(k->core, study(k), "d", none_sealed(), &k->did, NULL), YM_OK);
    a = said(k, "approval");
    assert_non_null(a);
    assert_int_equal(ym_json_get_hash(a->members, "plan", got, NULL), YM_OK);
    assert_memory_equal(got, plan->hash, 32);
    assert_int_equal(ym_json_get_hash(a->members, "data", got, NULL), YM_OK);
    assert_memory_equal(got, state_b, 32);
    assert_int_equal(count(k, YM_ACTION_LOG), 1); /* the sponsor's leaf goes into our ledger first */
    assert_int_equal(k->did.item[0].kind, YM_ACTION_LOG);
}

static void a_hospital_that_is_not_enrolled_follows_nobody(void **state)
{
    struct kit *k = *state;

    ym_core_trust(k->core, NULL);
    assert_int_equal(round_by(k, &hub, 1, 1, state_a, "h1"), YM_DENIED);
    assert_int_equal(closed_by(k, &hub, "round_result", ended(1, 1, "last", true)), YM_DENIED);
    assert_int_equal(k->did.count, 0);
}

/* ---- what a hub may ask for at most ---- */

/* The trainer makes one update at a time: a charge may have to wait. */
static void what_changed_while_a_charge_waited_stops_it(void **state)
{
    static const struct {
        void (*when)(struct kit *);
        const char *reason;
    } table[] = {{no_sandbox, "sandbox"}, {no_state, "state_mismatch"}, {no_file, "no_data"},    {no_disk, "disk"},
                 {no_border, "border"},   {no_policy, "policy"},        {closed_hours, "hours"}, {no_budget, "budget"},
                 {other_data, "no_data"}, {vetoed, "vetoed"},           {paused, "paused"}};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct kit *k;

        open_kit((void **)&k);
        open_round(k, 1, 1);
        ym_core_prepared(k->core, study(k), 1, 1, NULL, &k->did);
        collect(k, 1, 1, state_a);
        assert_int_equal(count(k, YM_ACTION_CHARGE), 1);
        assert_true(ym_core_still_charges(k->core, study(k), 1, 1, &k->did));
        clear(k);
        table[i].when(k);
        assert_false(ym_core_still_charges(k->core, study(k), 1, 1, &k->did));
        expect_declined(k, table[i].reason);
        clear(k);
        assert_false(ym_core_still_charges(k->core, study(k), 1, 1, &k->did)); /* nobody waits any more */
        assert_int_equal(k->did.count, 0);
        close_kit((void **)&k);
    }
}

static void a_charge_that_waited_past_its_collect_is_stale(void **state)
{
    struct kit *k = *state;

    open_round(k, 1, 1);
    ym_core_prepared(k->core, study(k), 1, 1, NULL, &k->did);
    collect(k, 1, 1, state_a);
    clear(k);
    k->facts.now = 3000 + YM_CORE_CLOCK_SKEW_S + 1;
    assert_false(ym_core_still_charges(k->core, study(k), 1, 1, &k->did));
    expect_declined(k, "stale");
}

static void a_round_is_charged_no_more_often_than_the_plan_allows_attempts(void **state)
{
    struct kit *k = *state;

    assert_int_equal(plan->max_attempts, 3);
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        open_round(k, 1, 10 * attempt);
        assert_int_equal(count(k, YM_ACTION_PREPARE), 1);
        clear(k);
        take_charge(k, 1, 10 * attempt, state_a);
    }
    open_round(k, 1, 40);
    expect_declined(k, "budget");
    clear(k);
    collect(k, 1, 41, state_a);
    expect_declined(k, "budget");
    assert_int_equal(count(k, YM_ACTION_PREPARE), 0);
    clear(k);
    open_round(k, 2, 1); /* the next round has attempts of its own */
    assert_int_equal(count(k, YM_ACTION_PREPARE), 1);
}

static void a_collect_of_an_older_attempt_does_not_move_the_deadline(void **state)
{
    struct kit *k = *state;
    json_t *o = round_members(plan, 1, 1, state_a, "h1");
    struct ym_buf old;

    json_object_del(o, "plan");
    json_object_set_new(o, "collect_by", json_integer(1));
    old = line_of(&hub, "say_collect", o);
    open_round(k, 1, 2);
    collect(k, 1, 2, state_a);
    clear(k);
    assert_int_equal(ym_core_collect(k->core, bytes_in(&old), &k->did, NULL), YM_OK);
    expect_declined(k, "stale");
    clear(k);
    ym_core_prepared(k->core, study(k), 1, 2, NULL, &k->did);
    assert_int_equal(count(k, YM_ACTION_CHARGE), 1);
    ym_buf_release(&old);
}

static void offer_many(struct kit *k, size_t from, size_t to, enum ym_code last)
{
    for (size_t i = from; i < to; i++) {
        char name[40], *text;
        struct ym_plan *p;

        snprintf(name, sizeof name, "study: n%zu", i);
        text = text_edit(good_plan, "study: s1", name);
        p = plan_from(text);
        assert_int_equal(offer(k, p, &sponsor, &sponsor, &hub, "fed"), i + 1 < to ? YM_OK : last);
        ym_plan_free(p);
        free(text);
        clear(k);
    }
}

static void open_plans_are_bounded_and_a_veto_makes_room(void **state)
{
    struct kit *k = *state;

    offer_many(k, 1, YM_CORE_OPEN_PLANS + 1, YM_EXHAUSTED); /* one is open already */
    vetoed(k);
    offer_many(k, 1000, 1001, YM_OK);
}

/* What a hospital logs of others stays in its ledger for good; an auditor refuses
 * a ledger with members that no such leaf has. */
static void a_plan_leaf_with_more_members_is_not_taken(void **state)
{
    struct kit *k = *state;
    struct ym_buf parts = {0}, leaf, enrol;
    char *text = text_edit(good_plan, "study: s1", "study: s2");
    struct ym_plan *other = plan_from(text);
    json_t *o = json_pack("{s:s, s:s, s:s}", "study", other->study, "sponsor", other->sponsor, "zz", "poison");

    leaf = line_of(&sponsor, "plan", hashed(o, "plan", other->hash));
    enrol = line_of(&hub, "enrol", enrol_members(&sponsor, "sponsor", "fed"));
    assert_int_equal(ym_parts_append(&parts, bytes_in(&other->canonical)), YM_OK);
    assert_int_equal(ym_parts_append(&parts, bytes_in(&leaf)), YM_OK);
    assert_int_equal(ym_parts_append(&parts, bytes_in(&enrol)), YM_OK);
    assert_int_equal(ym_core_plan(k->core, bytes_in(&parts), false, &k->did, NULL), YM_INVALID);
    assert_int_equal(count(k, YM_ACTION_KEEP_PLAN), 0);
    ym_buf_release(&parts);
    ym_buf_release(&leaf);
    ym_buf_release(&enrol);
    ym_plan_free(other);
    free(text);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, open_kit, close_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_reason_to_decline_has_its_word_and_charges_nothing),
        CASE(what_changed_since_ready_still_stops_the_charge),
        CASE(an_undecided_plan_means_no),
        CASE(a_round_that_the_hub_did_not_sign_is_declined),
        CASE(a_round_without_us_in_the_roster_is_not_ours),
        CASE(ready_is_said_only_after_preparing_and_nothing_is_charged),
        CASE(ready_waits_for_the_hubs_log),
        CASE(a_ledger_that_turns_out_too_old_is_not_ready_and_not_charged),
        cmocka_unit_test(an_approval_that_comes_back_counts_only_when_it_is_sealed),
        CASE(what_cannot_be_prepared_is_declined_and_may_be_tried_again),
        CASE(a_collect_that_comes_while_preparing_waits),
        CASE(a_trainer_that_restarted_after_ready_follows_the_collect_alone),
        CASE(a_collect_for_another_state_or_long_past_is_declined),
        CASE(one_attempt_is_charged_once_however_often_it_is_asked),
        CASE(a_crash_between_charge_and_release_declines_the_attempt),
        CASE(a_newer_attempt_ends_the_older_release),
        CASE(rounds_past_the_plan_are_stale),
        CASE(a_veto_during_training_stops_the_release),
        CASE(a_pause_during_training_stops_the_release),
        CASE(an_attempt_that_ended_during_training_is_discarded),
        CASE(a_veto_drops_what_waits_in_the_outbox),
        CASE(a_result_drops_the_release_and_the_last_one_closes_the_study),
        CASE(the_sponsor_may_cancel_but_nobody_else),
        CASE(a_new_pair_hears_what_was_not_delivered_and_only_that),
        CASE(a_release_that_came_too_late_is_dropped_and_one_that_was_taken_stays),
        CASE(a_plan_needs_the_sponsors_hand_the_hubs_word_and_our_name),
        CASE(a_second_plan_under_an_open_studys_name_is_refused),
        CASE(a_plan_is_found_by_name_or_by_enough_of_its_hash),
        CASE(an_approval_names_hash_data_set_and_content),
        CASE(a_hospital_that_is_not_enrolled_follows_nobody),
        CASE(what_changed_while_a_charge_waited_stops_it),
        CASE(a_charge_that_waited_past_its_collect_is_stale),
        CASE(a_round_is_charged_no_more_often_than_the_plan_allows_attempts),
        CASE(a_collect_of_an_older_attempt_does_not_move_the_deadline),
        CASE(a_plan_leaf_with_more_members_is_not_taken),
        CASE(open_plans_are_bounded_and_a_veto_makes_room),
    };

    party_make(&hub, "hub");
    party_make(&sponsor, "acme");
    party_make(&site, "h1");
    party_make(&stranger, "x");
    plan = plan_from(good_plan);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
