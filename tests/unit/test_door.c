#include "site_help.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/text.h"
#include "worker/trainer/door.h"

/* The one door over a real ledger and outbox. Crashes are real: a child does the
 * first steps and leaves by _exit; what is on the disk must be enough. */

enum { DIM = 5 };

struct house {
    struct ym_site site;
    struct ym_key *key;
    struct ym_ledger *ledger;
    struct ym_budget *budget;
    struct ym_meter *meter;
    struct ym_door *door;
    struct ym_link *link;
    struct ym_buf sent; /* everything the link emitted */
    struct party self;
};

static struct ym_plan *plan;
static const uint8_t state_hash[32] = {0xaa}, data_hash[32] = {0xdd};

static const struct ym_program program = {"0123456789abcdef0123456789abcdef01234567",
                                          "aa00000000000000000000000000000000000000000000000000000000000000"};

/* Who is counted, and when it is. */
static const uint8_t salt[YM_SITE_SALT] = {7}, exporter[32] = {0xee};
static uint8_t somebody[2][32] = {{1}, {2}};
static const struct ym_cohort cohort = {somebody, 2};
static int64_t door_time = 2000;

static int64_t clock_2000(void)
{
    return door_time;
}

static void keep(void *ctx, const uint8_t *message, size_t len)
{
    ym_buf_append(&((struct house *)ctx)->sent, message, len);
}

static void nothing_up(void *ctx)
{
    (void)ctx;
}

static void nothing_frame(void *ctx, const struct ym_frame *f)
{
    (void)ctx;
    (void)f;
}

/* A link whose peer has said hello. */
static void open_link(struct house *h)
{
    struct ym_frame hello = {.kind = YM_FRAME_HELLO, .from = 2, .to = 1};
    struct ym_buf b = {0};

    h->link =
        ym_link_new(1, &(struct ym_link_events){.ctx = h, .up = nothing_up, .frame = nothing_frame, .emit = keep});
    assert_int_equal(ym_frame_encode(&hello, &b, NULL), YM_OK);
    ym_link_input(h->link, b.data, b.len, 0);
    assert_int_equal(ym_link_room(h->link), YM_LINK_WINDOW);
    ym_buf_release(&b);
    ym_buf_clear(&h->sent);
}

static void house_open(struct house *h, const char *dir)
{
    char path[YM_SITE_PATH];

    memset(h, 0, sizeof *h);
    snprintf(path, sizeof path, "%s/h1", dir);
    assert_int_equal(ym_site_load(path, &h->site, &(struct ym_problems){0}, NULL), YM_OK);
    assert_int_equal(ym_site_key(&h->site, &h->key, NULL), YM_OK);
    assert_int_equal(ym_site_ledger(&h->site, h->key, &h->ledger, NULL), YM_OK);
    assert_int_equal(ym_budget_fold(h->ledger, &h->budget, NULL), YM_OK);
    assert_int_equal(ym_meter_fold(&h->site, salt, h->ledger, &h->meter, NULL), YM_OK);
    h->door = ym_door_new(&(struct ym_door_options){.site = &h->site,
                                                    .key = h->key,
                                                    .ledger = h->ledger,
                                                    .budget = h->budget,
                                                    .sandbox = "test",
                                                    .meter = h->meter,
                                                    .clock = clock_2000,
                                                    .program = &program});
    open_link(h);
    ym_door_attach(h->door, h->link);
    h->self = (struct party){.key = h->key, .name = "h1"};
    ym_key_public(h->key, h->self.pub);
}

static void house_close(struct house *h)
{
    ym_door_free(h->door);
    ym_link_free(h->link);
    ym_budget_free(h->budget);
    ym_meter_free(h->meter);
    ym_ledger_close(&h->ledger);
    ym_key_free(h->key);
    ym_buf_release(&h->sent);
}

static int setup(void **state)
{
    struct ym_site_policy policy = {.min_patients = 20};
    struct ym_buf vkey = {0}, line;
    struct house h;
    char path[YM_SITE_PATH];
    json_t *o;

    if (dir_setup(state) != 0)
        return -1;
    snprintf(path, sizeof path, "%s/h1", (char *)*state);
    assert_int_equal(ym_decimal_parse("3", &policy.epsilon_cap, NULL), YM_OK);
    assert_int_equal(ym_decimal_parse("1e-5", &policy.delta, NULL), YM_OK);
    policy.epsilon_month = policy.epsilon_cap;
    assert_int_equal(ym_site_init(path, "h1", &policy, NULL, 1000, &vkey, NULL), YM_OK);
    ym_buf_release(&vkey);
    house_open(&h, *state);
    o = json_pack("{s:s, s:{s:s, s:s}, s:[s]}", "dataset", "d", "public", "size_class", "100-499", "patient_identifier",
                  "hospital_id", "group", "d");
    line = line_of(&h.self, "dataset_card", hashed(hashed(o, "card", data_hash), "data", data_hash));
    assert_int_equal(ym_door_append(h.door, bytes_in(&line), &(uint64_t){0}, NULL), YM_OK);
    ym_buf_release(&line);
    house_close(&h);
    return 0;
}

static struct ym_door_request request(uint32_t round)
{
    return (struct ym_door_request){.plan = plan,
                                    .dataset = "d",
                                    .data = data_hash,
                                    .state = state_hash,
                                    .round = round,
                                    .attempt = 1,
                                    .dim = DIM,
                                    .now = 2000,
                                    .until = 2100,
                                    .exporter = exporter,
                                    .cohort = &cohort};
}

static int64_t spent(const struct house *h)
{
    int64_t micro, cap, delta;

    assert_int_equal(ym_budget_spent(h->budget, "d", &micro, &cap, &delta, NULL), YM_OK);
    return micro;
}

static void fill(int64_t *update)
{
    for (int i = 0; i < DIM; i++)
        update[i] = 1000 * i - 7;
}

enum step { CHARGED, STORED, SEALED, SENT };

/* The steps of a release up to last. */
static void take_steps(struct house *h, enum step last, struct ym_buf *charge, struct ym_buf *release)
{
    struct ym_door_request r = request(1);
    struct ym_charged *c = NULL;
    struct ym_release *done = NULL;

    assert_int_equal(ym_door_charge(h->door, &r, &c, charge, NULL), YM_OK);
    if (last == CHARGED)
        _exit(0);
    fill(ym_charged_update(c));
    assert_int_equal(ym_door_store(h->door, c, NULL), YM_OK);
    if (last == STORED)
        _exit(0);
    assert_int_equal(ym_door_seal(h->door, &c, 2001, &done, release, NULL), YM_OK);
    assert_null(c);
    if (last == SEALED)
        _exit(0);
    assert_int_equal(ym_door_send(h->door, &done, NULL), YM_OK);
    assert_null(done);
    ym_door_pump(h->door, 0);
}

static void crash_after(const char *dir, enum step last)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct house h;
        struct ym_buf charge = {0}, release = {0};

        house_open(&h, dir);
        take_steps(&h, last, &charge, &release);
        _exit(0);
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

struct last_lines {
    struct ym_buf charge, release;
};

static bool note_line(void *ctx, uint64_t index, struct ym_bytes leaf)
{
    struct last_lines *l = ctx;
    json_t *o = NULL;
    const char *type = "";
    struct ym_buf *to;

    (void)index;
    assert_int_equal(ym_leaf_parse(leaf, &o, NULL), YM_OK);
    ym_json_get_str(o, "type", &type, NULL);
    to = strcmp(type, "charge") == 0 ? &l->charge : strcmp(type, "release") == 0 ? &l->release : NULL;
    if (to) {
        ym_buf_clear(to);
        ym_buf_append(to, leaf.data, leaf.len);
    }
    json_decref(o);
    return true;
}

static struct last_lines lines(struct house *h)
{
    struct last_lines l = {{0}, {0}};

    assert_int_equal(ym_ledger_each(h->ledger, 0, note_line, &l, NULL), YM_OK);
    return l;
}

static void lines_release(struct last_lines *l)
{
    ym_buf_release(&l->charge);
    ym_buf_release(&l->release);
}

static size_t outbox_files(const struct house *h)
{
    char path[YM_SITE_PATH], **name = NULL;
    size_t n = 0;

    ym_site_path(&h->site, "outbox", NULL, path);
    assert_int_equal(ym_fs_list(path, &name, &n, NULL), YM_OK);
    ym_fs_names_free(name, n);
    return n;
}

static void a_crash_at_any_step_never_gives_budget_back(void **state)
{
    int64_t first = 0;

    (void)state;
    for (enum step step = CHARGED; step <= SENT; step++) {
        struct house h;
        void *dir = NULL;

        assert_int_equal(setup(&dir), 0);
        crash_after(dir, step);
        house_open(&h, dir);
        assert_true(spent(&h) > 0);
        assert_true(first == 0 || spent(&h) == first);
        first = spent(&h);
        assert_true(ym_budget_charged(h.budget, plan->study, 1, 1));
        house_close(&h);
        dir_teardown(&dir);
    }
}

static void charge_says_the_route_of_the_plan(void **state)
{
    static const char *const said[] = {"\"route\":\"integer\"", "\"route\":\"bounded\""};
    struct house h;

    house_open(&h, *state);
    for (uint32_t i = 0; i < 2; i++) {
        struct ym_door_request r = request(i + 1);
        struct ym_charged *c = NULL;
        struct ym_buf charge = {0};

        plan->route = (enum ym_route)i;
        assert_int_equal(ym_door_charge(h.door, &r, &c, &charge, NULL), YM_OK); /* and the budget takes it */
        assert_non_null(strstr(ym_buf_str(&charge), said[i]));
        assert_true(ym_budget_charged(h.budget, plan->study, i + 1, 1));
        ym_charged_free(&c);
        ym_buf_release(&charge);
    }
    plan->route = YM_ROUTE_INTEGER;
    house_close(&h);
}

static void a_charge_without_release_leaves_no_bytes_to_send(void **state)
{
    for (enum step step = CHARGED; step <= STORED; step++) {
        struct house h;
        struct last_lines l;
        struct ym_release *r = NULL;
        struct ym_charged *c = NULL;
        struct ym_buf line = {0};
        struct ym_door_request again = request(1);
        void *dir = NULL;

        (void)state;
        assert_int_equal(setup(&dir), 0);
        crash_after(dir, step);
        house_open(&h, dir);
        l = lines(&h);
        assert_true(l.charge.len > 0);
        assert_int_equal(l.release.len, 0);
        assert_int_equal(outbox_files(&h), 1); /* reserved, or stored under its name */
        assert_int_not_equal(ym_door_recover(h.door, bytes_in(&l.charge), bytes_in(&l.charge), &r, NULL), YM_OK);
        assert_int_equal(ym_door_sweep(h.door, NULL, 0, NULL), YM_OK);
        assert_int_equal(outbox_files(&h), 0);
        assert_int_equal(ym_door_charge(h.door, &again, &c, &line, NULL), YM_CONFLICT); /* nor is it charged again */
        assert_null(c);
        lines_release(&l);
        ym_buf_release(&line);
        house_close(&h);
        dir_teardown(&dir);
    }
}

/* Frames past their headers, of the two kinds of a release. */
static void sent_payload(const struct house *h, struct ym_buf *out)
{
    size_t at = 0;

    while (at < h->sent.len) {
        uint32_t room;
        uint8_t kind = h->sent.data[at + 5];

        memcpy(&room, h->sent.data + at + 60, 4);
        if (kind == YM_FRAME_RELEASE || kind == YM_FRAME_RELEASE_DATA)
            ym_buf_append(out, h->sent.data + at + YM_FRAME_HEADER, room);
        at += YM_FRAME_HEADER + room;
    }
}

static void after_the_release_leaf_the_same_bytes_are_sent_again(void **state)
{
    struct ym_buf first = {0}, second = {0}, charge = {0}, release = {0};
    struct ym_release *r = NULL;
    struct last_lines l;
    struct house h;
    int64_t once;

    house_open(&h, *state);
    take_steps(&h, SENT, &charge, &release);
    once = spent(&h);
    sent_payload(&h, &first);
    house_close(&h);
    assert_true(first.len == YM_FRAME_RELEASE_BYTES + DIM * 8);

    house_open(&h, *state); /* another process would see just this */
    assert_int_equal(spent(&h), once);
    l = lines(&h);
    assert_int_equal(ym_door_sweep(h.door, &(struct ym_bytes){l.charge.data, l.charge.len}, 1, NULL), YM_OK);
    assert_int_equal(ym_door_recover(h.door, bytes_in(&l.charge), bytes_in(&l.release), &r, NULL), YM_OK);
    assert_int_equal(ym_door_send(h.door, &r, NULL), YM_OK);
    ym_door_pump(h.door, 0);
    sent_payload(&h, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    assert_int_equal(spent(&h), once);
    ym_door_drop(h.door, bytes_in(&l.charge), false);
    assert_int_equal(outbox_files(&h), 0);
    lines_release(&l);
    house_close(&h);
    ym_buf_release(&first);
    ym_buf_release(&second);
    ym_buf_release(&charge);
    ym_buf_release(&release);
}

static void a_crash_after_the_release_leaf_can_be_sent_from_the_disk(void **state)
{
    struct ym_release *r = NULL;
    struct last_lines l;
    struct house h;

    crash_after(*state, SEALED);
    house_open(&h, *state);
    l = lines(&h);
    assert_int_equal(ym_door_recover(h.door, bytes_in(&l.charge), bytes_in(&l.release), &r, NULL), YM_OK);
    ym_release_free(&r);
    lines_release(&l);
    house_close(&h);
}

/* 1 January 1971 begins in China at 31507200. */
static void an_update_does_not_leave_in_a_year_that_its_charge_does_not_count_for(void **state)
{
    static const int64_t until[] = {2100, 31507200};
    struct house h;

    house_open(&h, *state);
    for (int i = 0; i < 2; i++) {
        struct ym_door_request r = request((uint32_t)i + 1);
        struct ym_charged *c = NULL;
        struct ym_release *done = NULL;
        struct ym_buf line = {0}, sent = {0};

        r.until = until[i];
        assert_int_equal(ym_door_charge(h.door, &r, &c, &line, NULL), YM_OK);
        assert_int_equal(ym_door_store(h.door, c, NULL), YM_OK);
        if (i == 0) /* nor is there a release of it then */
            assert_int_equal(ym_door_seal(h.door, &c, 31507200, &done, &line, NULL), YM_DENIED);
        assert_int_equal(ym_door_seal(h.door, &c, 2001, &done, &line, NULL), YM_OK);
        assert_int_equal(ym_door_send(h.door, &done, NULL), YM_OK);
        door_time = 31507200;
        ym_door_pump(h.door, 0);
        door_time = 2000;
        sent_payload(&h, &sent);
        assert_int_equal(sent.len > 0, i == 1);
        assert_true(ym_door_idle(h.door));
        ym_buf_release(&line);
        ym_buf_release(&sent);
    }
    house_close(&h);
}

static void a_charge_says_whom_it_counts(void **state)
{
    struct ym_door_request r = request(1);
    struct ym_charged *c = NULL;
    struct ym_buf line = {0};
    struct house h;

    house_open(&h, *state);
    r.cohort = NULL;
    assert_int_equal(ym_door_charge(h.door, &r, &c, &line, NULL), YM_DENIED);
    assert_int_equal(spent(&h), 0);
    r.cohort = &cohort;
    assert_int_equal(ym_door_charge(h.door, &r, &c, &line, NULL), YM_OK);
    assert_int_equal(ym_meter_counted(h.meter, exporter, 1970), 2);
    ym_charged_free(&c);
    house_close(&h);
    house_open(&h, *state);
    assert_int_equal(ym_meter_counted(h.meter, exporter, 1970), 2);
    ym_buf_release(&line);
    house_close(&h);
}

static void outbox_bytes_that_changed_do_not_leave(void **state)
{
    struct ym_release *r = NULL;
    struct last_lines l;
    struct house h;
    uint8_t hash[32];
    char path[YM_SITE_PATH];
    int fd;

    crash_after(*state, SEALED);
    house_open(&h, *state);
    l = lines(&h);
    ym_sha256(l.charge.data, l.charge.len, hash);
    assert_int_equal(ym_site_hash_path(&h.site, "outbox", hash, ".update", path), YM_OK);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "x", 1, 3), 1);
    assert_int_equal(ym_door_recover(h.door, bytes_in(&l.charge), bytes_in(&l.release), &r, NULL), YM_CORRUPT);
    assert_int_equal(ftruncate(fd, 8), 0);
    assert_int_equal(ym_door_recover(h.door, bytes_in(&l.charge), bytes_in(&l.release), &r, NULL), YM_CORRUPT);
    close(fd);
    unlink(path);
    assert_int_equal(ym_door_recover(h.door, bytes_in(&l.charge), bytes_in(&l.release), &r, NULL), YM_NOT_FOUND);
    assert_null(r);
    lines_release(&l);
    house_close(&h);
}

static void a_full_outbox_is_refused_before_anything_is_charged(void **state)
{
    struct ym_door_request r = request(1);
    struct ym_charged *c = NULL;
    struct ym_buf line = {0};
    struct house h;
    uint64_t leaves;

    house_open(&h, *state);
    leaves = ym_ledger_size(h.ledger);
    r.dim = (size_t)1 << 55; /* more than a plan may have */
    assert_int_equal(ym_door_charge(h.door, &r, &c, &line, NULL), YM_EXHAUSTED);
    r.dim = DIM;
    snprintf(h.site.dir, sizeof h.site.dir, "/proc/nowhere"); /* no outbox */
    assert_int_equal(ym_door_charge(h.door, &r, &c, &line, NULL), YM_EXHAUSTED);
    assert_null(c);
    assert_int_equal(ym_ledger_size(h.ledger), leaves);
    assert_int_equal(spent(&h), 0);
    house_close(&h);
}

static void the_budget_ends_before_the_cap_is_passed(void **state)
{
    struct house h;
    uint32_t round = 1;
    enum ym_code code = YM_OK;
    uint64_t leaves;

    house_open(&h, *state);
    assert_int_equal(ym_budget_order_milli(h.budget), 7500); /* what init chose for 3 at 1e-5 */
    while (code == YM_OK && round < 10000) {
        struct ym_door_request r = request(round);
        struct ym_charged *c = NULL;
        struct ym_buf line = {0};

        leaves = ym_ledger_size(h.ledger);
        code = ym_door_charge(h.door, &r, &c, &line, NULL);
        ym_charged_free(&c);
        ym_buf_release(&line);
        round += code == YM_OK;
    }
    assert_int_equal(code, YM_EXHAUSTED);
    assert_true(round > 2);
    assert_int_equal(ym_ledger_size(h.ledger), leaves);
    assert_true(spent(&h) <= 3000000);
    house_close(&h);
}

static void put(struct house *h, const char *type, json_t *members)
{
    struct ym_buf line = line_of(&h->self, type, members);

    assert_int_equal(ym_door_append(h->door, bytes_in(&line), &(uint64_t){0}, NULL), YM_OK);
    ym_buf_release(&line);
}

static enum ym_code charge_at(struct house *h, const struct ym_plan *p, uint32_t round, int64_t now,
                              struct ym_status *st)
{
    struct ym_door_request r = request(round);
    struct ym_charged *c = NULL;
    struct ym_buf line = {0};
    uint64_t leaves = ym_ledger_size(h->ledger);
    enum ym_code code;

    r.plan = p;
    r.now = now;
    code = ym_door_charge(h->door, &r, &c, &line, st);
    assert_int_equal(ym_ledger_size(h->ledger), leaves + (code == YM_OK));
    ym_charged_free(&c);
    ym_buf_release(&line);
    return code;
}

static void a_charge_says_how_its_patients_were_identified(void **state)
{
    struct ym_door_request r = request(1);
    struct ym_charged *c = NULL;
    struct ym_buf line = {0};
    struct house h;
    const char *said;
    json_t *o = NULL;

    house_open(&h, *state);
    assert_int_equal(ym_door_charge(h.door, &r, &c, &line, NULL), YM_OK);
    assert_int_equal(ym_leaf_parse(bytes_in(&line), &o, NULL), YM_OK);
    assert_int_equal(ym_json_get_str(o, "identified", &said, NULL), YM_OK);
    assert_string_equal(said, "hospital_id");
    json_decref(o);
    ym_buf_release(&line);
    ym_charged_free(&c);
    house_close(&h);
}

static void an_epsilon_above_twenty_is_charged_only_with_its_override(void **state)
{
    char *text = text_edit(good_plan, "epsilon: 3", "epsilon: 20.000001");
    struct ym_plan *large = plan_from(text);
    struct ym_status st = YM_STATUS_INIT;
    struct ym_buf hash = {0};
    struct house h;

    house_open(&h, *state);
    assert_int_equal(charge_at(&h, large, 1, 2000, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "--override"));
    put(&h, "override", ym_site_override_members("policy", 30000000, "of another thing"));
    assert_int_equal(charge_at(&h, large, 1, 2000, &st), YM_DENIED);
    assert_int_equal(ym_hex_encode(large->hash, sizeof large->hash, &hash), YM_OK);
    put(&h, "override", ym_site_override_members(ym_buf_str(&hash), ym_plan_epsilon_micro(large), "public data"));
    assert_int_equal(charge_at(&h, large, 1, 2000, &st), YM_OK);
    house_close(&h);
    ym_buf_release(&hash);
    ym_plan_free(large);
    free(text);
}

/* The data set's card says 100-499; the plan's nominal_patients would allow 1e-3. */
static void a_plans_delta_is_held_against_the_data_sets_size_class(void **state)
{
    char *text = text_edit(good_plan, "delta: 1e-5", "delta: 0.00020041");
    struct ym_plan *loose = plan_from(text);
    struct ym_status st = YM_STATUS_INIT;
    struct house h;

    house_open(&h, *state);
    assert_int_equal(charge_at(&h, loose, 1, 2000, &st), YM_DENIED);
    assert_non_null(strstr(st.message, "10 x 499"));
    assert_non_null(strstr(st.message, "sponsor"));
    house_close(&h);
    ym_plan_free(loose);
    free(text);
}

static void a_refusal_is_told_in_chinese_too(void **state)
{
    char *text = text_edit(good_plan, "delta: 1e-5", "delta: 0.00020041");
    struct ym_plan *loose = plan_from(text);
    struct ym_status st = YM_STATUS_INIT;
    struct house h;

    house_open(&h, *state);
    ym_text_init("zh");
    assert_int_equal(charge_at(&h, loose, 1, 2000, &st), YM_DENIED);
    ym_text_init("en");
    assert_non_null(strstr(st.message, "规模类别 100-499"));
    assert_non_null(strstr(st.message, "申办方"));
    house_close(&h);
    ym_plan_free(loose);
    free(text);
}

static void a_round_above_the_months_limit_waits_for_the_next_month(void **state)
{
    const int64_t month = 31 * 86400;
    struct ym_budget_policy p;
    struct ym_status st = YM_STATUS_INIT;
    struct house h;
    int64_t one = 0, before;

    house_open(&h, *state);
    assert_true(ym_budget_policy(h.budget, &p));
    assert_int_equal(p.month_micro, p.cap_micro);
    assert_int_equal(charge_at(&h, plan, 1, 2000, &st), YM_OK);
    assert_int_equal(ym_budget_month(h.budget, "d", NULL, 2000, &one, NULL), YM_OK);
    assert_true(one > 0);
    put(&h, "policy",
        ym_site_policy_members(
            &(struct ym_site_policy_leaf){p.cap_micro, p.delta_e18, p.order_milli, 20, one + one / 2}));
    before = spent(&h);
    assert_int_equal(charge_at(&h, plan, 2, 2000, &st), YM_EXHAUSTED);
    assert_non_null(strstr(st.message, "month"));
    assert_int_equal(charge_at(&h, plan, 2, 2000 + month, &st), YM_OK);
    assert_int_equal(charge_at(&h, plan, 3, 2000, &st), YM_EXHAUSTED); /* a clock that was set back */
    assert_true(spent(&h) > before);
    house_close(&h);
}

/* ---- control ---- */

static enum ym_code control(struct house *h, const char *type, json_t *members)
{
    struct ym_buf line = line_of(&h->self, type, members);
    enum ym_code code = ym_door_control(h->door, bytes_in(&line), NULL);

    ym_buf_release(&line);
    return code;
}

static void only_listed_words_with_listed_members_pass(void **state)
{
    struct house h;
    struct party other = {.name = "h1"};
    struct ym_buf line;

    house_open(&h, *state);
    party_make(&other, "h1");
    assert_int_equal(
        control(&h, "say_declined",
                json_pack("{s:s, s:i, s:i, s:s}", "study", "s", "round", 1, "attempt", 1, "reason", "busy")),
        YM_OK);
    assert_int_equal(control(&h, "say_declined",
                             json_pack("{s:s, s:i, s:i, s:s}", "study", "s", "round", 1, "attempt", 1, "reason",
                                       "patient 17 has 0.25")),
                     YM_DENIED);
    assert_int_equal(control(&h, "say_declined",
                             json_pack("{s:s, s:i, s:i, s:s, s:i}", "study", "s", "round", 1, "attempt", 1, "reason",
                                       "busy", "rows", 61)),
                     YM_DENIED);
    assert_int_equal(control(&h, "charge", json_pack("{s:s}", "study", "s")), YM_DENIED);
    assert_int_equal(control(&h, "release", json_pack("{s:s}", "study", "s")), YM_DENIED);
    assert_int_equal(control(&h, "say_anything", json_pack("{s:s}", "study", "s")), YM_DENIED);
    line = line_of(&other, "veto", json_pack("{s:s}", "study", "s"));
    assert_int_not_equal(ym_door_control(h.door, bytes_in(&line), NULL), YM_OK);
    ym_buf_release(&line);
    ym_key_free(other.key);
    house_close(&h);
}

static void control_frames_leave_in_one_size(void **state)
{
    struct house h;

    house_open(&h, *state);
    assert_int_equal(control(&h, "veto", json_pack("{s:s}", "study", "s")), YM_OK);
    assert_int_equal(control(&h, "veto", json_pack("{s:s}", "study", "a-much-longer-name-of-a-study")), YM_OK);
    ym_door_pump(h.door, 0);
    assert_int_equal(h.sent.len, 2 * (YM_FRAME_HEADER + YM_FRAME_CONTROL_BYTES));
    assert_true(ym_door_idle(h.door));
    house_close(&h);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, dir_teardown)

/* ---- a ledger that is gone or older than it was ---- */

static void an_update_that_the_ledger_never_charged_stops_everything(void **state)
{
    struct house h;
    struct ym_bytes bytes = {(const uint8_t *)"12345678", 8};
    char path[YM_SITE_PATH];
    uint8_t charge[32] = {0x77};

    house_open(&h, *state);
    assert_int_equal(ym_site_hash_path(&h.site, "outbox", charge, ".update", path), YM_OK);
    assert_int_equal(ym_fs_write(path, bytes, 0600, NULL), YM_OK);
    assert_int_equal(ym_door_sweep(h.door, NULL, 0, NULL), YM_CORRUPT);
    assert_true(ym_fs_exists(path));
    house_close(&h);
}

static void a_missing_ledger_is_a_full_stop_and_no_new_budget(void **state)
{
    struct ym_site_policy policy = {.min_patients = 20};
    struct ym_site site;
    struct ym_key *key = NULL;
    struct ym_ledger *ledger = NULL;
    struct ym_buf vkey = {0};
    char command[4 * YM_SITE_PATH], path[YM_SITE_PATH];

    snprintf(path, sizeof path, "%s/h1", (char *)*state);
    assert_int_equal(ym_decimal_parse("3", &policy.epsilon_cap, NULL), YM_OK);
    assert_int_equal(ym_decimal_parse("1e-5", &policy.delta, NULL), YM_OK);
    assert_int_equal(ym_site_load(path, &site, &(struct ym_problems){0}, NULL), YM_OK);
    assert_int_equal(ym_site_key(&site, &key, NULL), YM_OK);
    snprintf(command, sizeof command, "rm -r '%s/ledger' && mkdir '%s/ledger' && rm '%s/site.yaml'", path, path, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(ym_site_ledger(&site, key, &ledger, NULL), YM_CORRUPT);
    assert_int_equal(ym_site_init(path, "h1", &policy, NULL, 1000, &vkey, NULL), YM_CORRUPT);
    assert_int_equal(ym_site_ledger(&site, key, &ledger, NULL), YM_CORRUPT); /* neither of them made one */
    ym_key_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_any_step_never_gives_budget_back),
        CASE(charge_says_the_route_of_the_plan),
        cmocka_unit_test(a_charge_without_release_leaves_no_bytes_to_send),
        CASE(after_the_release_leaf_the_same_bytes_are_sent_again),
        CASE(a_crash_after_the_release_leaf_can_be_sent_from_the_disk),
        CASE(an_update_does_not_leave_in_a_year_that_its_charge_does_not_count_for),
        CASE(a_charge_says_whom_it_counts),
        CASE(outbox_bytes_that_changed_do_not_leave),
        CASE(a_full_outbox_is_refused_before_anything_is_charged),
        CASE(the_budget_ends_before_the_cap_is_passed),
        CASE(a_charge_says_how_its_patients_were_identified),
        CASE(an_epsilon_above_twenty_is_charged_only_with_its_override),
        CASE(a_plans_delta_is_held_against_the_data_sets_size_class),
        CASE(a_refusal_is_told_in_chinese_too),
        CASE(a_round_above_the_months_limit_waits_for_the_next_month),
        CASE(an_update_that_the_ledger_never_charged_stops_everything),
        CASE(a_missing_ledger_is_a_full_stop_and_no_new_budget),
        CASE(only_listed_words_with_listed_members_pass),
        CASE(control_frames_leave_in_one_size),
    };

    plan = plan_from(good_plan);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
