#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/leaf.h"
#include "audit/ledger/tree.h"
#include "base/cert.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/rng.h"
#include "models/state.h"
#include "worker/link.h"

/* A gateway with a hub behind it, for test_trainer.py: connects to a real
 * trainer's socket and keeps every frame that comes through its door.
 *   trainer_peer SOCKET CAPTURE SITE
 * Commands, a line each on stdin:
 *   plan FILE               offer this YAML plan
 *   round N A | collect N A | closed N A [last]
 *   next                    fold the last release into the next state
 *   forge N A               a round signed by somebody else
 *   quit
 * Events, a line each on stdout: token T, up, <type of leaf> <reason>, release
 * <round> <attempt> <sha-256 of bytes>, enrolled. */

enum { LINE = 4096 };

struct peer {
    struct ym_link *link;
    FILE *capture;
    const char *site;
    struct ym_key *hub, *sponsor, *stranger;
    uint8_t sponsor_pub[YM_PUBKEY_BYTES], hub_pub[YM_PUBKEY_BYTES];
    struct ym_buf ca_key, ca, hub_identity, log;
    struct ym_token token;
    struct ym_plan *plan;
    struct ym_buf state, update;
    uint64_t update_total;
    struct ym_buf queue[512]; /* frames to send: kind byte, offset, total, payload */
    struct ym_frame head[512];
    size_t first, count;
    struct ym_buf entries; /* the hub's log, as in a bundle */
    struct ym_tree tree;
};

static void must(enum ym_code code, const char *what)
{
    if (code == YM_OK)
        return;
    fprintf(stderr, "trainer_peer: %s: %s\n", what, ym_code_name(code));
    exit(1);
}

static void push(struct peer *p, struct ym_frame head, struct ym_buf *payload)
{
    size_t at = (p->first + p->count) % 512;

    must(p->count < 512 ? YM_OK : YM_EXHAUSTED, "queue");
    p->queue[at] = *payload;
    p->head[at] = head;
    p->count++;
    memset(payload, 0, sizeof *payload);
}

static void pump(struct peer *p)
{
    while (p->count > 0) {
        struct ym_frame f = p->head[p->first];

        f.payload = ym_buf_bytes(&p->queue[p->first]);
        if (ym_link_send(p->link, &f, ym_clock_mono_ms(), NULL) != YM_OK)
            return;
        ym_buf_release(&p->queue[p->first]);
        p->first = (p->first + 1) % 512;
        p->count--;
    }
}

/* ---- what the hub would sign ---- */

static struct ym_buf signed_line(const struct ym_key *key, const char *by, const char *type, json_t *members)
{
    struct ym_buf b = {0};

    must(members ? ym_leaf_sign(type, members, by, ym_clock_unix(), key, &b, NULL) : YM_EXHAUSTED, type);
    json_decref(members);
    return b;
}

static json_t *hashed(json_t *o, const char *key, const uint8_t hash[YM_HASH_BYTES])
{
    ym_json_set_hash(o, key, hash);
    return o;
}

static json_t *enrol_members(const char *role, const char *name, const char *key64, const uint8_t spki[YM_HASH_BYTES])
{
    return hashed(json_pack("{s:s, s:s, s:s, s:s, s:I}", "role", role, "name", name, "federation", "test",
                            "identity_key", key64, "not_after", (json_int_t)(ym_clock_unix() + 86400)),
                  "spki", spki);
}

static void make_keys(struct peer *p)
{
    struct ym_party hub = {.federation = "test", .name = "hub", .role = YM_ROLE_HUB};
    int64_t now = ym_clock_unix();
    uint8_t spki[YM_HASH_BYTES];
    struct ym_buf text = {0};

    must(ym_key_generate(&p->hub, NULL), "key");
    must(ym_key_generate(&p->sponsor, NULL), "key");
    must(ym_key_generate(&p->stranger, NULL), "key");
    ym_key_public(p->hub, p->hub_pub);
    ym_key_public(p->sponsor, p->sponsor_pub);
    must(ym_tls_key_generate(&p->ca_key, NULL), "ca key");
    must(ym_ca_create("test", ym_buf_bytes(&p->ca_key), now, 10, &p->ca, NULL), "ca");
    must(ym_cert_identity(ym_buf_bytes(&p->ca_key), ym_buf_bytes(&p->ca), p->hub_pub, &hub, now, now + 86400,
                          &p->hub_identity, NULL),
         "identity");
    must(ym_vkey_format("yumen/test/hub", YM_NOTE_LOG, p->hub_pub, &p->log), "vkey");
    must(ym_cert_spki_hash(ym_buf_bytes(&p->ca), spki, NULL), "spki");
    memcpy(p->token.pin, spki, sizeof p->token.pin);
    ym_random(p->token.id, sizeof p->token.id);
    ym_random(p->token.secret, sizeof p->token.secret);
    must(ym_token_format(&p->token, &text), "token");
    printf("token %s\n", ym_buf_str(&text));
    ym_buf_release(&text);
}

/* ---- the hub's log ---- */

static void log_line(struct peer *p, const struct ym_buf *line)
{
    uint8_t head[2] = {(uint8_t)(line->len >> 8), (uint8_t)line->len}, hash[YM_HASH_BYTES];

    must(ym_buf_append(&p->entries, head, 2), "log");
    must(ym_buf_append(&p->entries, line->data, line->len), "log");
    ym_tree_leaf_hash((struct ym_bytes){line->data, line->len}, hash);
    ym_tree_push(&p->tree, hash, NULL, NULL);
}

/* All of it, every time: what was seen is skipped. */
static void send_log(struct peer *p)
{
    struct ym_frame f = {.kind = YM_FRAME_LOG, .total = p->tree.size};
    struct ym_buf all = {0}, note = {0};
    uint8_t root[YM_HASH_BYTES];

    ym_tree_root(&p->tree, root);
    must(ym_buf_append(&all, p->entries.data, p->entries.len), "log");
    must(ym_checkpoint_format("yumen/test/hub", p->tree.size, root, p->hub, &note), "checkpoint");
    if (p->tree.size > 0)
        push(p, f, &all);
    push(p, (struct ym_frame){.kind = YM_FRAME_CHECKPOINT}, &note);
    ym_buf_release(&all);
}

/* ---- frames from the trainer ---- */

static const uint8_t gateway_spki[YM_HASH_BYTES] = {7};

static void answer_enrol(struct peer *p, const json_t *o)
{
    const char *key64 = "";
    struct ym_buf leaf, text = {0};
    json_t *reply;

    must(ym_json_get_str(o, "identity_key", &key64, NULL), "identity_key");
    leaf = signed_line(p->hub, "hub", "enrol", enrol_members("hospital", p->site, key64, gateway_spki));
    reply = json_pack("{s:b, s:s, s:s, s:s, s:s, s:s, s:s}", "ok", 1, "hub", "h:1", "ca", ym_buf_str(&p->ca),
                      "hub_identity", ym_buf_str(&p->hub_identity), "log", ym_buf_str(&p->log), "enrol_leaf",
                      ym_buf_str(&leaf), "federation", "test");
    must(ym_json_canonical(reply, &text, NULL), "enrolled");
    push(p, (struct ym_frame){.kind = YM_FRAME_ENROLLED}, &text);
    json_decref(reply);
    ym_buf_release(&leaf);
}

static void take_line(struct peer *p, struct ym_bytes line)
{
    json_t *o = NULL;
    const char *type = "", *reason = "";
    struct ym_frame_answer answer = {.answer = YM_OK};
    struct ym_buf payload = {0};

    must(ym_leaf_parse(line, &o, NULL), "leaf");
    must(ym_json_get_str(o, "type", &type, NULL), "type");
    ym_json_get_str(o, "reason", &reason, NULL);
    if (strcmp(type, "say_enrol") == 0)
        answer_enrol(p, o);
    if (strcmp(type, "say_session") == 0) {
        send_log(p);
        json_decref(o);
        return; /* not posted, so not answered */
    }
    printf("%s %s\n", type, reason);
    ym_sha256(line.data, line.len, answer.leaf);
    must(ym_frame_answer_encode(&answer, &payload), "answer");
    push(p, (struct ym_frame){.kind = YM_FRAME_ANSWER}, &payload);
    json_decref(o);
}

static void end_release(struct peer *p)
{
    uint8_t hash[YM_HASH_BYTES];
    struct ym_buf hex = {0};

    ym_sha256(p->update.data, p->update.len, hash);
    ym_hex_encode(hash, sizeof hash, &hex);
    printf("release %s\n", ym_buf_str(&hex));
    ym_buf_release(&hex);
}

static void on_frame(void *ctx, const struct ym_frame *f)
{
    struct peer *p = ctx;

    fwrite(f->payload.data, 1, f->room, p->capture); /* padding too */
    fflush(p->capture);
    switch (f->kind) {
    case YM_FRAME_CONTROL:
    case YM_FRAME_CARD:
        if (f->room != (f->kind == YM_FRAME_CARD ? YM_FRAME_CARD_BYTES : YM_FRAME_CONTROL_BYTES))
            printf("wrong-size\n");
        take_line(p, f->payload);
        break;
    case YM_FRAME_RELEASE:
        ym_buf_clear(&p->update);
        break;
    case YM_FRAME_RELEASE_DATA:
        must(ym_buf_append(&p->update, f->payload.data, f->payload.len), "update");
        if (p->update.len == f->total)
            end_release(p);
        break;
    default:
        printf("unexpected-kind-%d\n", (int)f->kind);
    }
}

static void on_up(void *ctx)
{
    struct peer *p = ctx;
    struct ym_buf text = {0};
    json_t *o = hashed(json_pack("{s:b, s:b, s:s, s:i}", "connected", 1, "enrolled", 0, "hub", "h:1", "not_after", 0),
                       "spki", gateway_spki);

    must(ym_json_canonical(o, &text, NULL), "gateway");
    push(p, (struct ym_frame){.kind = YM_FRAME_GATEWAY}, &text);
    json_decref(o);
    printf("up\n");
}

/* ---- commands ---- */

static void offer_plan(struct peer *p, const char *path)
{
    struct ym_problems problems = {0};
    struct ym_doc *doc = NULL;
    struct ym_buf leaf, enrol, parts = {0}, key64 = {0};

    must(ym_doc_load(path, &doc, &problems, NULL), path);
    must(ym_plan_read(doc, &p->plan, &problems, NULL), path);
    ym_doc_free(doc);
    ym_base64_encode(p->sponsor_pub, sizeof p->sponsor_pub, &key64);
    leaf = signed_line(
        p->sponsor, p->plan->sponsor, "plan",
        hashed(json_pack("{s:s, s:s}", "study", p->plan->study, "sponsor", p->plan->sponsor), "plan", p->plan->hash));
    enrol = signed_line(p->hub, "hub", "enrol",
                        enrol_members("sponsor", p->plan->sponsor, ym_buf_str(&key64), gateway_spki));
    must(ym_parts_append(&parts, ym_buf_bytes(&p->plan->canonical)), "parts");
    must(ym_parts_append(&parts, ym_buf_bytes(&leaf)), "parts");
    must(ym_parts_append(&parts, ym_buf_bytes(&enrol)), "parts");
    push(p, (struct ym_frame){.kind = YM_FRAME_PLAN}, &parts);
    must(ym_state_initial(p->plan, &p->state, NULL), "state");
    ym_buf_release(&leaf);
    ym_buf_release(&enrol);
    ym_buf_release(&key64);
}

static json_t *attempt_members(struct peer *p, int round, int attempt)
{
    uint8_t hash[YM_HASH_BYTES];
    int64_t now = ym_clock_unix();

    ym_sha256(p->state.data, p->state.len, hash);
    return hashed(json_pack("{s:s, s:i, s:i, s:[s], s:I, s:I}", "study", p->plan->study, "round", round, "attempt",
                            attempt, "roster", p->site, "ready_by", (json_int_t)now + 60, "collect_by",
                            (json_int_t)now + 60),
                  "state", hash);
}

static void send_state(struct peer *p)
{
    uint8_t hash[YM_HASH_BYTES];

    ym_sha256(p->state.data, p->state.len, hash);
    for (size_t at = 0; at < p->state.len;) {
        size_t n = p->state.len - at < 1000 ? p->state.len - at : 1000; /* several frames */
        struct ym_buf payload = {0};

        ym_buf_append(&payload, hash, sizeof hash);
        ym_buf_append(&payload, p->state.data + at, n);
        push(p, (struct ym_frame){.kind = YM_FRAME_OBJECT, .offset = at, .total = p->state.len}, &payload);
        at += n;
    }
}

static void open_round(struct peer *p, int round, int attempt, const struct ym_key *key)
{
    json_t *o = hashed(attempt_members(p, round, attempt), "plan", p->plan->hash);
    struct ym_buf line;

    json_object_set_new(o, "state_bytes", json_integer((json_int_t)p->state.len));
    line = signed_line(key, "hub", "round_open", o);
    send_state(p);
    if (key == p->hub) {
        log_line(p, &line);
        send_log(p);
    }
    push(p, (struct ym_frame){.kind = YM_FRAME_ROUND}, &line);
}

static void collect(struct peer *p, int round, int attempt)
{
    json_t *o = attempt_members(p, round, attempt);
    struct ym_buf line;

    json_object_del(o, "ready_by");
    line = signed_line(p->hub, "hub", "say_collect", o);
    push(p, (struct ym_frame){.kind = YM_FRAME_COLLECT}, &line);
}

static void close_round(struct peer *p, int round, int attempt, bool last)
{
    struct ym_buf line = signed_line(
        p->hub, "hub", "round_result",
        json_pack("{s:s, s:i, s:i, s:b}", "study", p->plan->study, "round", round, "attempt", attempt, "last", last));

    push(p, (struct ym_frame){.kind = YM_FRAME_CLOSED}, &line);
}

static void next_state(struct peer *p, int round)
{
    struct ym_buf next = {0};
    const char *survivor[] = {p->site};
    struct ym_round_sum sum = {.round = (uint32_t)round,
                               .sum = (const int64_t *)(const void *)p->update.data,
                               .survivor = survivor,
                               .survivor_count = 1};

    must(ym_state_next(p->plan, ym_buf_bytes(&p->state), &sum, &next, NULL), "next state");
    ym_buf_release(&p->state);
    p->state = next;
}

static bool obey(struct peer *p, char *line)
{
    char word[16] = "", text[LINE] = "", flag[16] = "";
    int round = 0, attempt = 0;

    if (sscanf(line, "plan %4000s", text) == 1)
        offer_plan(p, text);
    else if (sscanf(line, "%15s %d %d %15s", word, &round, &attempt, flag) < 1 || strcmp(word, "quit") == 0)
        return false;
    else if (strcmp(word, "round") == 0)
        open_round(p, round, attempt, p->hub);
    else if (strcmp(word, "forge") == 0)
        open_round(p, round, attempt, p->stranger);
    else if (strcmp(word, "collect") == 0)
        collect(p, round, attempt);
    else if (strcmp(word, "closed") == 0)
        close_round(p, round, attempt, strcmp(flag, "last") == 0);
    else if (strcmp(word, "next") == 0)
        next_state(p, round);
    return true;
}

int main(int argc, char **argv)
{
    static struct peer p;
    const struct ym_link_events events = {.ctx = &p, .up = on_up, .frame = on_frame};
    void *zmq = zmq_ctx_new();
    char endpoint[256], line[LINE];
    size_t len = 0;

    if (argc != 4)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    p.site = argv[3];
    p.capture = fopen(argv[2], "wb");
    make_keys(&p);
    snprintf(endpoint, sizeof endpoint, "ipc://%s", argv[1]);
    must(ym_link_open(zmq, endpoint, false, &events, &p.link, NULL), "link");
    for (;;) {
        zmq_pollitem_t item[] = {{.socket = ym_link_socket(p.link), .events = ZMQ_POLLIN},
                                 {.fd = STDIN_FILENO, .events = ZMQ_POLLIN}};

        zmq_poll(item, 2, 100);
        ym_link_step(p.link, ym_clock_mono_ms());
        if (item[1].revents && len + 1 < sizeof line) {
            ssize_t n = read(STDIN_FILENO, line + len, 1);

            if (n <= 0)
                break;
            len += (size_t)n;
            if (line[len - 1] == '\n') {
                line[len - 1] = 0;
                len = 0;
                if (!obey(&p, line))
                    break;
            }
        }
        pump(&p);
    }
    ym_link_free(p.link);
    zmq_ctx_term(zmq);
    return 0;
}
