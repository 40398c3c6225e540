#include "cmd/audit/epsilon.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/listing.h"
#include "gate/schema.h"
#include "privacy/clip.h"
#include "privacy/inverse.h"

#define PROGRAM "yumen-audit"
#define EVENTS_MAX 10000
#define PLACES 1000000 /* a noise that is found has six decimals */

enum unknown { NOTHING, NOISE, STEPS };

static const char *const accountants[] = {"pld", "contour", "rdp", NULL};
static const enum ym_accountant accountant_of[] = {YM_ACCOUNTANT_PLD, YM_ACCOUNTANT_CONTOUR, YM_ACCOUNTANT_RDP};
static const struct ym_decimal_range noise_range = {"0", "65536", true};
static const struct ym_decimal_range sampling_range = {"0", "1", true};
static const struct ym_decimal_range delta_range = {"0", "0.999999999999999", true};
static const struct ym_decimal_range target_range = {"0", "1000000", true};

struct request {
    struct ym_event *event; /* the first is the one asked about */
    size_t count;
    struct ym_decimal delta, target;
    enum unknown unknown;
    size_t accountant; /* index of accountants */
};

struct charge_keys {
    const char *noise, *sampling, *steps;
};

static const struct charge_keys of_file = {"noise_multiplier", "sampling_probability", "steps"};
static const struct charge_keys of_line = {"--noise-multiplier", "--sampling-probability", "--steps"};

/* ---- reading ---- */

/* To the lattice as a plan does (docs/plan.md): the noise up, the probability down to 2^-64. */
static uint64_t sigma_from(__int128 scaled, __int128 one)
{
    return (uint64_t)((scaled * YM_CLIP_UNITS + one - 1) / one);
}

static void read_charge(struct ym_schema *s, const struct ym_at *at, const struct charge_keys *key,
                        enum unknown unknown, struct ym_event *e)
{
    struct ym_decimal noise = {0}, sampling = {0};
    int64_t steps = 1;

    if (unknown != NOISE)
        ym_schema_decimal(s, at, key->noise, NULL, &noise_range, &noise);
    if (ym_schema_decimal(s, at, key->sampling, NULL, &sampling_range, &sampling))
        YM_ASSERT(ym_decimal_k64(sampling, &e->sampling_k, NULL) == YM_OK);
    if (unknown != STEPS)
        ym_schema_int(s, at, key->steps, NULL, 1, YM_STEPS_MAX, &steps);
    e->sigma_units = sigma_from(noise.scaled, (__int128)1000000000000000000);
    e->steps = (uint64_t)steps;
}

/* The options as a document, so that they are read, and refused, like a file. A word of digits is a whole number. */
static struct ym_doc *options_doc(const struct ym_cli_args *a)
{
    json_t *o = json_object();
    struct ym_doc *doc;

    for (size_t i = 0; i < a->option_count; i++) {
        const char *text = a->option[i].value;
        char key[64];

        snprintf(key, sizeof key, "--%s", a->option[i].name);
        if (text && strspn(text, "0123456789") == strlen(text) && strlen(text) - 1 < 18)
            json_object_set_new(o, key, json_integer(strtoll(text, NULL, 10)));
        else if (text)
            json_object_set_new(o, key, json_string(text));
    }
    doc = ym_doc_wrap(PROGRAM " epsilon", o);
    json_decref(o);
    return doc;
}

static bool has_charge(const struct ym_cli_args *a)
{
    return ym_cli_has(a, "noise-multiplier") || ym_cli_has(a, "sampling-probability") || ym_cli_has(a, "steps");
}

static void read_options(struct ym_schema *s, const struct ym_cli_args *a, struct request *r)
{
    struct ym_at root = ym_schema_root(s);
    bool noise = ym_cli_has(a, "noise-multiplier"), steps = ym_cli_has(a, "steps");

    ym_schema_decimal(s, &root, "--delta", NULL, &delta_range, &r->delta);
    ym_schema_choice(s, &root, "--accountant", accountants[0], accountants, &r->accountant);
    if (ym_cli_has(a, "target-epsilon")) {
        ym_schema_decimal(s, &root, "--target-epsilon", NULL, &target_range, &r->target);
        r->unknown = noise ? STEPS : NOISE;
        if (noise == steps)
            ym_schema_say(s, &root, NULL, "%s", T(AUDIT_EPSILON_ASKED));
    }
    if (r->unknown != NOTHING || has_charge(a) || !ym_cli_has(a, "events"))
        read_charge(s, &root, &of_line, r->unknown, &r->event[r->count++]);
}

static void read_events(struct ym_schema *s, struct request *r)
{
    static const char *const keys[] = {"noise_multiplier", "sampling_probability", "steps", NULL};
    struct ym_at root = ym_schema_root(s), list = ym_schema_list(s, &root, "events", 1, EVENTS_MAX);
    size_t count = ym_schema_count(&list);

    for (size_t i = 0; i < count && i < EVENTS_MAX; i++) {
        struct ym_at at = ym_schema_item(s, &list, i);

        ym_schema_keys(s, &at, keys);
        read_charge(s, &at, &of_file, NOTHING, &r->event[r->count++]);
    }
}

/* A list has no root of its own to report at: it becomes the member "events". */
static enum ym_code load_events(const char *path, struct ym_doc **out, struct ym_problems *p, struct ym_status *st)
{
    struct ym_doc *file = NULL;
    enum ym_code code = ym_doc_load(path, &file, p, st);

    if (code == YM_OK) {
        json_t *o = json_pack("{s:O}", "events", ym_doc_root(file));

        *out = ym_doc_wrap(path, o);
        json_decref(o);
        if (!*out)
            code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    }
    ym_doc_free(file);
    return code;
}

typedef void read_fn(struct ym_schema *s, const struct ym_cli_args *a, struct request *r);

static void read_events_too(struct ym_schema *s, const struct ym_cli_args *a, struct request *r)
{
    (void)a;
    read_events(s, r);
}

static enum ym_code read_doc(const struct ym_doc *doc, read_fn *read, const struct ym_cli_args *a, struct request *r,
                             struct ym_problems *p, struct ym_status *st)
{
    struct ym_schema s;
    struct ym_buf ignored = {0};
    enum ym_code code;

    ym_schema_begin(&s, doc, p);
    read(&s, a, r);
    code = ym_schema_end(&s, SIZE_MAX, &ignored, st);
    ym_schema_release(&s);
    ym_buf_release(&ignored);
    return code;
}

static enum ym_code read_request(const struct ym_cli_args *a, struct request *r, struct ym_problems *p,
                                 struct ym_status *st)
{
    struct ym_doc *line = options_doc(a), *file = NULL;
    const char *path = ym_cli_get(a, "events");
    enum ym_code code = YM_OK;

    r->event = calloc(EVENTS_MAX + 1, sizeof *r->event);
    if (!line || !r->event)
        code = ym_status_set(st, YM_EXHAUSTED, "out of memory");
    if (code == YM_OK)
        code = read_doc(line, read_options, a, r, p, st);
    if (code == YM_OK && path)
        code = load_events(path, &file, p, st);
    if (code == YM_OK && path)
        code = read_doc(file, read_events_too, a, r, p, st);
    ym_doc_free(line);
    ym_doc_free(file);
    return code;
}

/* ---- answering ---- */

/* The noise is rounded up to what people write, and what they write to the lattice: what is charged is what is said. */
static struct ym_decimal rounded_noise(struct ym_event *e)
{
    __int128 places = ((__int128)e->sigma_units * PLACES + YM_CLIP_UNITS - 1) / YM_CLIP_UNITS;

    e->sigma_units = sigma_from(places, PLACES);
    return (struct ym_decimal){places * (1000000000000000000 / PLACES)};
}

static enum ym_code find_unknown(struct request *r, struct ym_decimal *noise, struct ym_status *st)
{
    enum ym_accountant a = accountant_of[r->accountant];
    double target = ym_decimal_double(r->target), delta = ym_decimal_double(r->delta);
    enum ym_code code = YM_OK;

    if (r->unknown == STEPS)
        code = ym_accountant_steps(a, target, delta, r->event, r->count, st);
    if (r->unknown == NOISE)
        code = ym_accountant_noise(a, target, delta, r->event, r->count, st);
    if (r->unknown == NOISE && code == YM_OK)
        *noise = rounded_noise(r->event);
    return code;
}

/* The certified figure is never given alone: the three must not contradict one another. */
static enum ym_code compute(const struct request *r, struct ym_figures *f, double *epsilon, struct ym_status *st)
{
    double delta = ym_decimal_double(r->delta);
    enum ym_code code;

    if (accountant_of[r->accountant] != YM_ACCOUNTANT_PLD)
        return ym_accountant_epsilon(accountant_of[r->accountant], r->event, r->count, delta, epsilon, st);
    code = ym_accountants_agree(r->event, r->count, delta, f, st);
    if (code == YM_OK)
        *epsilon = f->certified;
    return code;
}

/* ---- printing ---- */

static const char *decimal_text(struct ym_decimal d, struct ym_buf *b)
{
    b->len = 0;
    ym_decimal_format(d, b);
    return ym_buf_str(b);
}

/* Bounds round up, to millionths. */
static void epsilon_text(double epsilon, char out[40])
{
    int64_t micro = ym_epsilon_micro(epsilon);

    if (micro == INT64_MAX)
        snprintf(out, 40, "%g", epsilon);
    else
        snprintf(out, 40, "%" PRId64 ".%06" PRId64, micro / 1000000, micro % 1000000);
}

static void print_three(const struct ym_figures *f)
{
    struct ym_listing t = {.columns = 3, .right = 2, .indent = "  "};
    char certified[40], rdp[40];

    epsilon_text(f->certified, certified);
    epsilon_text(f->rdp, rdp);
    ym_listing_add(&t, "pld");
    ym_listing_add(&t, "%s", certified);
    ym_listing_add(&t, "%s", T(AUDIT_EPSILON_CERTIFIED));
    ym_listing_add(&t, "contour");
    ym_listing_add(&t, "%.6f", f->estimate);
    ym_listing_add(&t, "%s", T(AUDIT_EPSILON_ESTIMATE));
    ym_listing_add(&t, "rdp");
    ym_listing_add(&t, "%s", rdp);
    ym_listing_add(&t, "%s", T(AUDIT_EPSILON_RDP));
    ym_listing_print(&t);
}

static const enum ym_text_id meaning[] = {YM_TEXT_AUDIT_EPSILON_CERTIFIED, YM_TEXT_AUDIT_EPSILON_ESTIMATE,
                                          YM_TEXT_AUDIT_EPSILON_RDP};

static void print_text(const struct request *r, struct ym_decimal noise, const struct ym_figures *f, double epsilon)
{
    struct ym_buf a = {0}, b = {0};
    char figure[40];

    if (r->unknown == NOISE) {
        printf(T(AUDIT_EPSILON_NOISE), decimal_text(noise, &a), decimal_text(r->target, &b));
        putchar('\n');
    }
    if (r->unknown == STEPS) {
        printf(T(AUDIT_EPSILON_STEPS), r->event[0].steps, decimal_text(r->target, &b));
        putchar('\n');
    }
    epsilon_text(epsilon, figure);
    printf(T(AUDIT_EPSILON_LINE), figure, decimal_text(r->delta, &a), accountants[r->accountant]);
    putchar('\n');
    if (accountant_of[r->accountant] == YM_ACCOUNTANT_PLD)
        print_three(f);
    else
        printf("  %s\n", ym_text(meaning[r->accountant]));
    puts(T(AUDIT_EPSILON_UNIT));
    ym_buf_release(&a);
    ym_buf_release(&b);
}

static int print_json(const struct request *r, struct ym_decimal noise, const struct ym_figures *f, double epsilon)
{
    json_t *o = json_pack("{s:s,s:f,s:s,s:s}", "accountant", accountants[r->accountant], "delta",
                          ym_decimal_double(r->delta), "unit", "patient", "relation", "add-or-remove-one");
    int failed;

    json_object_set_new(o, "epsilon", json_real(epsilon)); /* an infinite one is left out, and fails */
    if (accountant_of[r->accountant] == YM_ACCOUNTANT_PLD) {
        json_object_set_new(o, "estimate", json_real(f->estimate));
        json_object_set_new(o, "rdp", json_real(f->rdp));
    }
    if (r->unknown == NOISE)
        json_object_set_new(o, "noise_multiplier", json_real(ym_decimal_double(noise)));
    if (r->unknown == STEPS)
        json_object_set_new(o, "steps", json_integer((json_int_t)r->event[0].steps));
    failed = !json_object_get(o, "epsilon") ||
             json_dumpf(o, stdout, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) != 0;
    putchar('\n');
    json_decref(o);
    return failed;
}

static int say_no(enum ym_text_id why, const struct request *r)
{
    struct ym_buf b = {0};

    fprintf(stderr, PROGRAM ": ");
    fprintf(stderr, ym_text(why), decimal_text(r->target, &b));
    fputc('\n', stderr);
    ym_buf_release(&b);
    return YM_EXIT_NO;
}

static int fail(const struct ym_status *st)
{
    int rc = ym_cli_fail(PROGRAM, st);

    if (st->code == YM_EXHAUSTED)
        fprintf(stderr, "%s\n", T(AUDIT_EPSILON_TRY_RDP));
    return rc;
}

static int answer(const struct ym_cli_args *a, struct request *r)
{
    struct ym_status st = YM_STATUS_INIT;
    struct ym_decimal noise = {0};
    struct ym_figures f = {0};
    double epsilon;

    if (find_unknown(r, &noise, &st) != YM_OK)
        return say_no(YM_TEXT_AUDIT_EPSILON_NEVER, r);
    if (r->unknown == STEPS && r->event[0].steps == 0)
        return say_no(YM_TEXT_AUDIT_EPSILON_NO_STEP, r);
    if (compute(r, &f, &epsilon, &st) != YM_OK)
        return fail(&st);
    if (ym_cli_has(a, "json"))
        return print_json(r, noise, &f, epsilon) ? YM_EXIT_NO : YM_EXIT_DONE;
    print_text(r, noise, &f, epsilon);
    return YM_EXIT_DONE;
}

int audit_epsilon(const struct ym_cli_args *a)
{
    struct ym_problems problems = {0};
    struct ym_status st = YM_STATUS_INIT;
    struct request r = {0};
    struct ym_buf said = {0};
    enum ym_code code = read_request(a, &r, &problems, &st);
    int rc;

    if (code == YM_OK) {
        rc = answer(a, &r);
    } else if (problems.count > 0) {
        ym_problems_format(&problems, &said);
        fputs(ym_buf_str(&said), stderr);
        rc = YM_EXIT_USAGE;
    } else {
        rc = ym_cli_fail(PROGRAM, &st);
    }
    free(r.event);
    ym_buf_release(&said);
    ym_problems_release(&problems);
    return rc;
}
