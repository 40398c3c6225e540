#ifndef YM_TESTS_UNIT_SITE_HELP_H
#define YM_TESTS_UNIT_SITE_HELP_H

#include "audit/ledger/leaf.h"
#include "base/json.h"
#include "gate_help.h"
#include "worker/trainer/core.h"

/* A hub, a sponsor and a hospital h1 that signs with real keys. */
struct party {
    struct ym_key *key;
    uint8_t pub[YM_PUBKEY_BYTES];
    const char *name;
};

static inline void party_make(struct party *p, const char *name)
{
    p->name = name;
    assert_int_equal(ym_key_generate(&p->key, NULL), YM_OK);
    ym_key_public(p->key, p->pub);
}

/* Signs; takes members. */
static inline struct ym_buf line_of(const struct party *by, const char *type, json_t *members)
{
    struct ym_buf b = {0};

    assert_non_null(members);
    assert_int_equal(ym_leaf_sign(type, members, by->name, 1000, by->key, &b, NULL), YM_OK);
    json_decref(members);
    return b;
}

static inline json_t *hashed(json_t *o, const char *key, const uint8_t hash[YM_HASH_BYTES])
{
    ym_json_set_hash(o, key, hash);
    return o;
}

static inline struct ym_plan *plan_from(const char *text)
{
    struct ym_doc *doc = NULL;
    struct ym_problems problems = {0};
    struct ym_plan *plan = NULL;

    assert_int_equal(ym_doc_parse("plan", text, strlen(text), &doc, &problems, NULL), YM_OK);
    assert_int_equal(ym_plan_read(doc, &plan, &problems, NULL), YM_OK);
    ym_doc_free(doc);
    ym_problems_release(&problems);
    return plan;
}

static inline json_t *enrol_members(const struct party *who, const char *role, const char *federation)
{
    struct ym_buf key = {0};
    json_t *o;

    ym_base64_encode(who->pub, sizeof who->pub, &key);
    o = json_pack("{s:s, s:s, s:s, s:s, s:I}", "role", role, "name", who->name, "federation", federation,
                  "identity_key", ym_buf_str(&key), "not_after", (json_int_t)9999999999);
    ym_buf_release(&key);
    return hashed(o, "spki", (const uint8_t[32]){1});
}

/* Payload of a PLAN frame. */
static inline struct ym_buf plan_parts(const struct ym_plan *plan, const struct party *sponsor, const struct party *hub,
                                       const char *federation)
{
    struct ym_buf out = {0};
    json_t *o = json_pack("{s:s, s:s}", "study", plan->study, "sponsor", plan->sponsor);
    struct ym_buf leaf = line_of(sponsor, "plan", hashed(o, "plan", plan->hash));
    struct ym_buf enrol = line_of(hub, "enrol", enrol_members(sponsor, "sponsor", federation));

    assert_int_equal(ym_parts_append(&out, bytes_in(&plan->canonical)), YM_OK);
    assert_int_equal(ym_parts_append(&out, bytes_in(&leaf)), YM_OK);
    assert_int_equal(ym_parts_append(&out, bytes_in(&enrol)), YM_OK);
    ym_buf_release(&leaf);
    ym_buf_release(&enrol);
    return out;
}

static inline json_t *round_members(const struct ym_plan *plan, uint32_t round, uint32_t attempt,
                                    const uint8_t state[YM_HASH_BYTES], const char *site)
{
    json_t *o = json_pack("{s:s, s:I, s:I, s:[s], s:I, s:I, s:I}", "study", plan->study, "round", (json_int_t)round,
                          "attempt", (json_int_t)attempt, "roster", site, "ready_by", (json_int_t)2000, "collect_by",
                          (json_int_t)3000, "state_bytes", (json_int_t)100);

    hashed(o, "plan", plan->hash);
    return hashed(o, "state", state);
}

#endif
