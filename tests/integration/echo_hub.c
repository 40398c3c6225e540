#include <signal.h>
#include <unistd.h>

#include "proto/message.h"
#include "tests/integration/rpc_kit.h"

/* A hub with canned answers, for clients in other languages: real rpc/ and
 * proto/, no rounds. `echo_hub DIR` writes ca.pem, sponsor.pem, sponsor.key
 * there, prints "ready PORT" and serves until SIGTERM. */

static struct kit_ca ca;
static struct kit_id hub, sponsor;
static uint8_t state_hash[32] = {0xfe, 0xed};

struct canned {
    Yumen__V1__SiteStatus site[2], *sites[2];
    Yumen__V1__Study study;
};

static void canned_init(struct canned *c, const char *name, uint32_t round, Yumen__V1__StudyPhase phase)
{
    yumen__v1__study__init(&c->study);
    for (int i = 0; i < 2; i++) {
        yumen__v1__site_status__init(&c->site[i]);
        c->site[i].hospital = (char *)(uintptr_t)(i ? "h2" : "h1");
        c->site[i].since = 1800000000;
        c->site[i].connected = 1;
        c->site[i].phase = i ? YUMEN__V1__SITE_PHASE__SITE_PHASE_READY : YUMEN__V1__SITE_PHASE__SITE_PHASE_COUNTED;
        c->sites[i] = &c->site[i];
    }
    c->study.study = (char *)(uintptr_t)name;
    c->study.sponsor = (char *)"acme";
    c->study.phase = phase;
    c->study.round = round;
    c->study.rounds = 3;
    c->study.attempt = 1;
    c->study.state_sha256 = ym_message_bytes(state_hash, sizeof state_hash);
    c->study.n_site = 2;
    c->study.site = c->sites;
}

static void fail_status(struct ym_rpc_call *call, const struct ym_status *st)
{
    ym_rpc_call_fail(call, st->code, st->message);
}

static void list_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    Yumen__V1__ListStudiesRequest *m = NULL;
    Yumen__V1__ListStudiesReply reply = YUMEN__V1__LIST_STUDIES_REPLY__INIT;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf wire = {0};
    struct canned one, two;
    Yumen__V1__Study *studies[2] = {&one.study, &two.study};

    (void)ctx;
    if (ym_message_unpack(&yumen__v1__list_studies_request__descriptor, request, &m, &st) != YM_OK) {
        fail_status(call, &st);
        return;
    }
    canned_init(&one, "wdbc", 2, YUMEN__V1__STUDY_PHASE__STUDY_PHASE_COLLECT);
    canned_init(&two, "stroke", 0, YUMEN__V1__STUDY_PHASE__STUDY_PHASE_OFFERED);
    reply.n_study = 2;
    reply.study = studies;
    KIT_OK(ym_message_pack(&reply, &wire, NULL));
    ym_rpc_call_reply(call, kit_bytes(&wire));
    ym_buf_release(&wire);
    ym_message_free(m);
}

static void send_event(struct ym_rpc_call *call, uint32_t round, Yumen__V1__StudyPhase phase)
{
    Yumen__V1__StudyEvent event = YUMEN__V1__STUDY_EVENT__INIT;
    struct ym_buf wire = {0};
    struct canned c;

    canned_init(&c, "wdbc", round, phase);
    event.time = 1800000000 + round;
    event.study = &c.study;
    KIT_OK(ym_message_pack(&event, &wire, NULL));
    KIT_OK(ym_rpc_call_send(call, kit_bytes(&wire)));
    ym_buf_release(&wire);
}

static void watch_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    Yumen__V1__WatchStudyRequest *m = NULL;
    struct ym_status st = YM_STATUS_INIT;

    (void)ctx;
    if (ym_message_unpack(&yumen__v1__watch_study_request__descriptor, request, &m, &st) != YM_OK) {
        fail_status(call, &st);
        return;
    }
    if (strcmp(m->study, "wdbc") != 0) {
        ym_rpc_call_fail(call, YM_NOT_FOUND, "no such study");
    } else {
        for (uint32_t round = 1; round <= 3; round++)
            send_event(call, round, YUMEN__V1__STUDY_PHASE__STUDY_PHASE_COLLECT);
        send_event(call, 3, YUMEN__V1__STUDY_PHASE__STUDY_PHASE_DONE);
        ym_rpc_call_finish(call);
    }
    ym_message_free(m);
}

static void upload_message(struct ym_rpc_call *call, struct ym_bytes message, void *ctx)
{
    Yumen__V1__UploadChunk *m = NULL;
    Yumen__V1__UploadReply reply = YUMEN__V1__UPLOAD_REPLY__INIT;
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf wire = {0};
    uint64_t *bytes = ym_rpc_call_user(call);

    (void)ctx;
    if (ym_message_unpack(&yumen__v1__upload_chunk__descriptor, message, &m, &st) != YM_OK) {
        fail_status(call, &st);
        return;
    }
    *bytes += m->data.len;
    if (m->commit) {
        reply.offset = *bytes;
        KIT_OK(ym_message_pack(&reply, &wire, NULL));
        ym_rpc_call_reply(call, kit_bytes(&wire));
    }
    ym_buf_release(&wire);
    ym_message_free(m);
}

static void upload_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)request;
    (void)ctx;
    ym_rpc_call_set_user(call, calloc(1, sizeof(uint64_t)));
}

static void upload_half_close(struct ym_rpc_call *call, void *ctx)
{
    (void)ctx;
    ym_rpc_call_fail(call, YM_INVALID, "closed without commit");
}

static void upload_end(struct ym_rpc_call *call, bool cancelled, void *ctx)
{
    (void)cancelled;
    (void)ctx;
    free(ym_rpc_call_user(call));
}

/* Held for ever: for deadlines. */
static void hold_start(struct ym_rpc_call *call, struct ym_bytes request, void *ctx)
{
    (void)call;
    (void)request;
    (void)ctx;
}

static bool fetch(void *ctx, uint64_t *generation, struct ym_rpc_tls *tls)
{
    (void)ctx;
    if (*generation == 1)
        return false;
    *generation = 1;
    *tls = kit_tls(&ca, &hub);
    return true;
}

static enum ym_code authenticate(void *ctx, const char *method, struct ym_bytes pem, struct ym_party *who,
                                 struct ym_status *st)
{
    enum ym_code code = ym_cert_party(pem, who, st);
    (void)ctx;
    if (code == YM_OK && who->role != YM_ROLE_SPONSOR)
        code = ym_status_set(st, YM_DENIED, "%s is for sponsors", method);
    return code;
}

int main(int argc, char **argv)
{
    static const struct ym_rpc_method methods[] = {
        {.path = "/yumen.v1.Sponsor/ListStudies", .kind = YM_RPC_UNARY, .on_start = list_start},
        {.path = "/yumen.v1.Sponsor/WatchStudy", .kind = YM_RPC_SERVER_STREAM, .on_start = watch_start},
        {.path = "/yumen.v1.Sponsor/ListData", .kind = YM_RPC_UNARY, .on_start = hold_start},
        {.path = "/yumen.v1.Worker/Upload",
         .kind = YM_RPC_CLIENT_STREAM,
         .on_start = upload_start,
         .on_message = upload_message,
         .on_half_close = upload_half_close,
         .on_end = upload_end},
        {0},
    };
    struct ym_rpc_server_options o = {
        .listen = "127.0.0.1:0", .fetch_tls = fetch, .authenticate = authenticate, .methods = methods};
    struct ym_rpc_server *server = NULL;
    struct ym_status st = YM_STATUS_INIT;
    sigset_t set;
    int signo;

    if (argc != 2)
        return 2;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    kit_ca_init(&ca, "demo");
    kit_id_init(&hub, &ca, YM_ROLE_HUB, "hub");
    kit_id_init(&sponsor, &ca, YM_ROLE_SPONSOR, "acme");
    kit_save(argv[1], "ca.pem", &ca.cert);
    kit_save(argv[1], "sponsor.pem", &sponsor.cert);
    kit_save(argv[1], "sponsor.key", &sponsor.key);
    if (ym_rpc_server_start(&o, &server, &st) != YM_OK) {
        fprintf(stderr, "%s\n", st.message);
        return 3;
    }
    printf("ready %d\n", ym_rpc_server_port(server));
    fflush(stdout);
    sigwait(&set, &signo);
    ym_rpc_server_stop(&server, 1000);
    kit_ca_release(&ca);
    kit_id_release(&hub);
    kit_id_release(&sponsor);
    return 0;
}
