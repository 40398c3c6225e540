#include <inttypes.h>

#include "tests/integration/hub_kit.h"

/* What the hub costs besides training: the time of a round with four hospitals
 * that answer at once, and its memory with 2, 8 and 32 hospitals of 10 M
 * parameters against 64 MiB + 16 bytes x parameters + 256 KiB x hospitals.
 * Real processes over TLS on loopback; hospitals are threads of this one.
 * YM_BUILD_ROOT names the build folder. Arguments: rounds [largest]. */

#define HOSPITALS_MAX 32

struct hospital {
    struct kit_party party;
    const struct ym_plan *plan;
    const int64_t *update;
    size_t dim;
    unsigned rounds;
    pthread_t thread;
};

static void answer_ready(struct hospital *h)
{
    struct kit_task *t = kit_task(&h->party, 2);

    MUST(kit_post(&h->party, "say_ready", kit_members(h->plan, t)).code == YM_OK);
    kit_task_free(t);
}

static void answer_collect(struct hospital *h)
{
    struct kit_task *t = kit_task(&h->party, 3);
    struct ym_bytes data = {(const uint8_t *)h->update, h->dim * 8};
    json_t *charge = kit_charge_members(h->plan, t), *release = kit_members(h->plan, t);
    struct ym_buf leaf = {0};
    uint8_t hash[YM_HASH_BYTES];

    kit_sign(&h->party, "charge", charge, &leaf);
    MUST(kit_post_leaf(&h->party, kit_view(&leaf)).code == YM_OK);
    ym_sha256(leaf.data, leaf.len, hash);
    ym_json_set_hash(release, "charge", hash);
    ym_sha256(h->update, data.len, hash);
    ym_json_set_hash(release, "update", hash);
    json_object_set_new(release, "bytes", json_integer((json_int_t)data.len));
    json_object_set_new(release, "scale_bits", json_integer(h->plan->update_scale_bits));
    json_object_set_new(release, "width_bits", json_integer(h->plan->update_width_bits));
    kit_sign(&h->party, "release", release, &leaf);
    MUST(kit_upload_status(&h->party, kit_view(&leaf)).code == YM_OK);
    MUST(kit_upload(&h->party, kit_view(&leaf), data, 0, data.len, true).code == YM_OK);
    ym_buf_release(&leaf);
    kit_task_free(t);
}

static void *hospital_main(void *arg)
{
    struct hospital *h = arg;

    for (unsigned i = 0; i < h->rounds; i++) {
        answer_ready(h);
        answer_collect(h);
    }
    return NULL;
}

static struct ym_plan *plan_of(const char *const *name, size_t hospitals, bool large, unsigned rounds)
{
    struct ym_plan *plan = kit_plan("bench", "acme", name, hospitals, large ? 1000 : 30, rounds, (unsigned)hospitals);
    struct ym_buf y = {0};
    json_t *o = NULL;

    if (!large)
        return plan;
    MUST_OK(ym_json_parse(plan->canonical.data, plan->canonical.len, YM_PLAN_MAX_BYTES, &o, ks));
    ym_plan_free(plan);
    json_object_set_new(json_object_get(o, "model"), "family", json_string("mlp"));
    json_object_set_new(json_object_get(o, "model"), "hidden", json_pack("[i]", 9980)); /* 10.0 M parameters */
    json_object_set_new(json_object_get(o, "model"), "activation", json_string("tanh"));
    MUST_OK(ym_json_canonical(o, &y, ks));
    json_decref(o);
    MUST_OK(ym_plan_decode(y.data, y.len, &plan, ks));
    ym_buf_release(&y);
    return plan;
}

static double memory_mib(pid_t pid, const char *field)
{
    char path[64], line[256];
    double kib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    f = fopen(path, "r");
    MUST(f);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, field, strlen(field)) == 0)
            kib = strtod(line + strlen(field) + 1, NULL);
    fclose(f);
    return kib / 1024;
}

static void run(size_t hospitals, bool large, unsigned rounds)
{
    struct kit_hub hub;
    struct kit_party sponsor;
    struct hospital *h = calloc(hospitals, sizeof *h);
    char text[HOSPITALS_MAX][8];
    const char *name[HOSPITALS_MAX];
    struct ym_plan *plan;
    struct ym_model model;
    int64_t *update, began;
    double idle, seconds;

    kit_hub_make(&hub);
    MUST(kit_serve(&hub));
    kit_join(&hub, &sponsor, YM_ROLE_SPONSOR, "acme");
    idle = memory_mib(hub.pid, "VmRSS");
    for (size_t i = 0; i < hospitals; i++) {
        snprintf(text[i], sizeof text[i], "h%zu", i);
        name[i] = text[i];
        kit_join(&hub, &h[i].party, YM_ROLE_HOSPITAL, name[i]);
        kit_subscribe(&hub, &h[i].party);
    }
    plan = plan_of(name, hospitals, large, rounds);
    MUST_OK(ym_model_from_plan(plan, &model, ks));
    update = calloc(model.dim, sizeof *update);
    MUST(update);
    for (size_t i = 0; i < model.dim; i++)
        update[i] = (int64_t)(i % 1000) - 500;
    MUST_OK(kit_submit(&sponsor, plan, ks));
    for (size_t i = 0; i < hospitals; i++) {
        h[i].plan = plan;
        h[i].update = update;
        h[i].dim = model.dim;
        h[i].rounds = rounds;
    }
    began = ym_clock_mono_ms();
    for (size_t i = 0; i < hospitals; i++)
        MUST(kit_approve(&h[i].party, plan).code == YM_OK);
    for (size_t i = 0; i < hospitals; i++)
        MUST(pthread_create(&h[i].thread, NULL, hospital_main, &h[i]) == 0);
    for (size_t i = 0; i < hospitals; i++)
        pthread_join(h[i].thread, NULL);
    kit_await(&sponsor, "bench", 8);
    seconds = (double)(ym_clock_mono_ms() - began) / 1000;
    if (large) {
        double peak = memory_mib(hub.pid, "VmHWM");
        double bound = 64 + 16.0 * (double)model.dim / 1048576 + 0.25 * (double)hospitals;

        printf("memory: %2zu hospitals, %.1f M parameters: peak %.0f MiB, bound %.0f MiB, ratio %.2f; round %.1f s\n",
               hospitals, (double)model.dim / 1e6, peak, bound, peak / bound, seconds);
    } else {
        printf("round: %zu hospitals, %u rounds: %.1f ms a round (target 50), idle %.1f MiB (target 30)\n", hospitals,
               rounds, 1000 * seconds / rounds, idle);
    }
    fflush(stdout);
    for (size_t i = 0; i < hospitals; i++)
        kit_party_end(&h[i].party);
    kit_party_end(&sponsor);
    kit_hub_remove(&hub);
    ym_plan_free(plan);
    free(update);
    free(h);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 50;
    size_t largest = argc > 2 ? strtoul(argv[2], NULL, 10) : HOSPITALS_MAX;

    ym_rpc_init();
    run(4, false, rounds);
    for (size_t n = 2; n <= largest && n <= HOSPITALS_MAX; n *= 4)
        run(n, true, 1);
    fflush(stdout);
    _exit(0);
}
