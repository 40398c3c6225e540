#include "audit/verify/entry.h"

#include <string.h>

#include "audit/verify/crypto.h"

#define DOMAIN "yumen/leaf/v1"
#define SIG_HEAD ",\"sig\":\""
#define SIG_TEXT 88
#define SIG_TAIL (sizeof(SIG_HEAD) - 1 + SIG_TEXT + 2)
#define LINE_MAX_BYTES 65535
#define DELTA_ONE 1000000000000000000

enum kind {
    NAME,
    NAME_OR_ALL, /* a name, or "_all" */
    NAMES,       /* distinct names */
    HASH,        /* 64 hex digits */
    BUILD,       /* a GNU build id, 40 hex digits */
    KEY,         /* base64 of 32 bytes */
    OPEN_KEY,    /* that, or "": none */
    SEALS,       /* at most 4 of {office, time, signature} */
    SIGNATURE,   /* base64 of 64 bytes */
    TEXT,        /* 1..512 bytes */
    NOTE,        /* 0..512 bytes */
    ROLE,        /* hub, hospital, sponsor, auditor */
    IDENTIFIED,  /* by what records were joined into patients: a card's words */
    INT,         /* low..high */
    DIGITS,      /* a decimal number, at most 38 digits, canonical */
    BOOL,
    OBJECT,
    EVENTS, /* at most low of {for, noise_variance, sampling_k, steps} */
    WORD,   /* the constant text */
    ROUTE,  /* integer, bounded */
    BASIS,  /* consent, treatment */
    LIMITS, /* {fact: [a count, ...]}, at most 16 of 16 */
    PEOPLE, /* of one year or of two that follow each other, {year, people, set}; people in hundreds */
    US      /* {recipient, categories, people, until, set}; may be absent; people in hundreds */
};

struct member {
    const char *name;
    enum kind kind;
    int64_t low, high;
    const char *text;
};

enum { BUILD_HEX = 40, MAY_LACK = 1 /* of an object: low */ };

#define SEALED                                                                                                         \
    {                                                                                                                  \
        "seals", SEALS                                                                                                 \
    }
#define STUDY                                                                                                          \
    {                                                                                                                  \
        "study", NAME                                                                                                  \
    }
#define ROUND(from)                                                                                                    \
    {                                                                                                                  \
        "round", INT, from, UINT32_MAX                                                                                 \
    }
#define ATTEMPT(from)                                                                                                  \
    {                                                                                                                  \
        "attempt", INT, from, UINT32_MAX                                                                               \
    }
#define COUNT(name, from)                                                                                              \
    {                                                                                                                  \
        name, INT, from, INT64_MAX                                                                                     \
    }
#define EPSILON(name)                                                                                                  \
    {                                                                                                                  \
        name, INT, 0, INT64_MAX                                                                                        \
    }
#define DELTA                                                                                                          \
    {                                                                                                                  \
        "delta_e18", INT, 1, DELTA_ONE - 1                                                                             \
    }
#define PROGRAM                                                                                                        \
    {"build", BUILD},                                                                                                  \
    {                                                                                                                  \
        "binary", HASH                                                                                                 \
    }
#define UNIT                                                                                                           \
    {"unit", WORD, 0, 0, "patient"},                                                                                   \
    {                                                                                                                  \
        "relation", WORD, 0, 0, "add-or-remove-one"                                                                    \
    }

static const struct member genesis[] = {
    {"role", ROLE}, {"name", NAME}, {"identity_key", KEY}, {"program", TEXT}, {NULL}};
static const struct member policy[] = {EPSILON("epsilon_cap_micro"),
                                       DELTA,
                                       COUNT("order_milli", 1),
                                       COUNT("min_patients", 0),
                                       EPSILON("epsilon_month_micro"),
                                       UNIT,
                                       {"terms", OBJECT, MAY_LACK},
                                       SEALED,
                                       {NULL}};
static const struct member enrol[] = {{"role", ROLE}, {"name", NAME},        {"identity_key", KEY},
                                      {"spki", HASH}, COUNT("not_after", 0), {"federation", TEXT},
                                      {NULL}};
static const struct member revoke[] = {{"role", ROLE}, {"name", NAME}, {"reason", TEXT}, {NULL}};
static const struct member card[] = {{"dataset", NAME},  {"card", HASH},   {"data", HASH},
                                     {"public", OBJECT}, {"group", NAMES}, {NULL}};
static const struct member plan[] = {STUDY, {"plan", HASH}, {"sponsor", NAME}, {NULL}};
static const struct member approval[] = {
    STUDY, {"plan", HASH}, {"dataset", NAME}, {"data", HASH}, EPSILON("epsilon_micro"), SEALED, {NULL}};
static const struct member override_[] = {
    {"subject", TEXT}, EPSILON("epsilon_micro"), {"reason", TEXT}, SEALED, {NULL}};
static const struct member veto[] = {STUDY, {"plan", HASH}, {NULL}};
static const struct member pause_[] = {STUDY, {"paused", BOOL}, {NULL}};
static const struct member round_open[] = {STUDY,
                                           ROUND(1),
                                           ATTEMPT(1),
                                           {"plan", HASH},
                                           {"state", HASH},
                                           COUNT("state_bytes", 1),
                                           {"roster", NAMES},
                                           COUNT("ready_by", 0),
                                           COUNT("collect_by", 0),
                                           {NULL}};
static const struct member charge[] = {STUDY,
                                       ROUND(1),
                                       ATTEMPT(1),
                                       {"plan", HASH},
                                       {"state", HASH},
                                       {"dataset", NAME},
                                       {"data", HASH},
                                       {"mechanism", WORD, 0, 0, "poisson-sampled rounded gaussian"},
                                       {"route", ROUTE},
                                       {"clip_units", INT, 1 << 24, 1 << 24},
                                       {"noise_variance", DIGITS},
                                       {"sampling_k", DIGITS},
                                       COUNT("steps", 1),
                                       {"also", EVENTS, 4},
                                       UNIT,
                                       {"accountant", WORD, 0, 0, "rdp/1"},
                                       EPSILON("epsilon_round_micro"),
                                       EPSILON("epsilon_spent_micro"),
                                       EPSILON("epsilon_cap_micro"),
                                       DELTA,
                                       {"identified", IDENTIFIED},
                                       {"sandbox", TEXT},
                                       PROGRAM,
                                       {"exporter", HASH},
                                       {"people", PEOPLE},
                                       {"us", US},
                                       {"decision", HASH},
                                       {NULL}};
static const struct member release[] = {STUDY,
                                        ROUND(1),
                                        ATTEMPT(1),
                                        {"plan", HASH},
                                        {"state", HASH},
                                        {"charge", HASH},
                                        {"update", HASH},
                                        COUNT("bytes", 1),
                                        {"scale_bits", INT, 0, 63},
                                        {"width_bits", INT, 1, 63},
                                        {NULL}};
static const struct member round_result[] = {STUDY,
                                             ROUND(1),
                                             ATTEMPT(1),
                                             {"state_before", HASH},
                                             {"state_after", HASH},
                                             {"sum", HASH},
                                             {"survivors", NAMES},
                                             {"left_out", NAMES},
                                             {"last", BOOL},
                                             PROGRAM,
                                             {NULL}};
static const struct member abort_[] = {STUDY, ROUND(0), ATTEMPT(0), {"reason", TEXT}, {"final", BOOL}, {NULL}};
static const struct member seen[] = {{"log", TEXT}, COUNT("size", 1), {"root", HASH}, {"signature", SIGNATURE}, {NULL}};
static const struct member recover[] = {
    COUNT("hub_size", 1), {"hub_root", HASH},   COUNT("known_size", 0), {"count", INT, 0, 4095},
    {"digest", HASH},     {"lost", EVENTS, 64}, {"reason", TEXT},       {NULL}};
static const struct member incident[] = {{"reason", TEXT}, {NULL}};
static const struct member ruleset[] = {
    {"name", NAME},  COUNT("version", 1), {"file", HASH},     {"effective_from", TEXT},
    {"draft", BOOL}, {"withdrawn", BOOL}, {"limits", LIMITS}, SEALED,
    {NULL}};
static const struct member warning[] = {
    {"ruleset", NAME},         {"fact", NAME}, COUNT("from", 2), {"percent", INT, 1, 100}, COUNT("people", 0),
    {"year", INT, 1970, 9999}, {NULL}};
static const struct member dossier[] = {{"record", TEXT},
                                        {"document", HASH},
                                        {"issuer", TEXT},
                                        {"number", NOTE},
                                        STUDY,
                                        {"dataset", NAME},
                                        {"valid_from", TEXT},
                                        {"valid_until", TEXT},
                                        {"material", OBJECT},
                                        {"withdrawn", BOOL},
                                        {"filed", NOTE},
                                        {"province", NOTE},
                                        {"recipients", NOTE},
                                        {"categories", NOTE},
                                        {"committee", NOTE},
                                        {"topics", OBJECT},
                                        {"renews", HASH},
                                        SEALED,
                                        {NULL}};
static const struct member border[] = {{"asked", BOOL}, {"reason", NOTE}, SEALED, {NULL}};
static const struct member rotate[] = {{"office", NAME}, {"public_key", OPEN_KEY}, SEALED, {NULL}};
static const struct member withdrawal[] = {{"dataset", NAME_OR_ALL}, COUNT("people", 100), {"set", HASH}, {NULL}};
static const struct member inference[] = {STUDY,
                                          {"plan", HASH},
                                          {"model", HASH},
                                          {"content_id", TEXT},
                                          {"dataset", NAME},
                                          {"basis", BASIS},
                                          COUNT("rows", 100),
                                          COUNT("left_out", 0),
                                          {NULL}};
static const struct member decision[] = {
    STUDY, {"plan", HASH}, {"dataset", NAME}, {"facts", OBJECT}, {"decision", OBJECT}, {"rules", OBJECT}, {NULL}};
static const struct member envelope[] = {{"type", TEXT}, {"v", INT, 1, 1}, COUNT("time", 0),
                                         {"by", NAME},   {"key", TEXT},    {NULL}};

static const struct {
    const char *name;
    const struct member *members;
    unsigned signers, logs;
} types[YM_ENTRY_TYPES] = {
    [YM_ENTRY_GENESIS] = {"genesis", genesis, YM_BY_OWNER, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_POLICY] = {"policy", policy, YM_BY_OWNER, YM_IN_HOSPITAL},
    [YM_ENTRY_ENROL] = {"enrol", enrol, YM_BY_HUB, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_REVOKE] = {"revoke", revoke, YM_BY_HUB, YM_IN_HUB},
    [YM_ENTRY_CARD] = {"dataset_card", card, YM_BY_HOSPITAL, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_PLAN] = {"plan", plan, YM_BY_SPONSOR, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_APPROVAL] = {"approval", approval, YM_BY_HOSPITAL, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_VETO] = {"veto", veto, YM_BY_HOSPITAL, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_PAUSE] = {"pause", pause_, YM_BY_HOSPITAL, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_ROUND_OPEN] = {"round_open", round_open, YM_BY_HUB, YM_IN_HUB},
    [YM_ENTRY_CHARGE] = {"charge", charge, YM_BY_HOSPITAL, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_RELEASE] = {"release", release, YM_BY_HOSPITAL, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_ROUND_RESULT] = {"round_result", round_result, YM_BY_HUB, YM_IN_HUB},
    [YM_ENTRY_ABORT] = {"abort", abort_, YM_BY_HUB | YM_BY_SPONSOR, YM_IN_HUB},
    [YM_ENTRY_OVERRIDE] = {"override", override_, YM_BY_OWNER, YM_IN_HOSPITAL},
    [YM_ENTRY_SEEN] = {"checkpoint_seen", seen, YM_BY_OWNER, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_RULESET] = {"ruleset", ruleset, YM_BY_OWNER, YM_IN_HOSPITAL},
    [YM_ENTRY_DOSSIER] = {"dossier", dossier, YM_BY_OWNER, YM_IN_HOSPITAL},
    [YM_ENTRY_BORDER] = {"border", border, YM_BY_OWNER, YM_IN_HOSPITAL},
    [YM_ENTRY_WITHDRAWAL] = {"withdrawal", withdrawal, YM_BY_OWNER, YM_IN_HOSPITAL},
    [YM_ENTRY_INFERENCE] = {"inference", inference, YM_BY_OWNER, YM_IN_HOSPITAL},
    [YM_ENTRY_DECISION] = {"decision", decision, YM_BY_OWNER, YM_IN_HOSPITAL},
    [YM_ENTRY_WARNING] = {"warning", warning, YM_BY_OWNER, YM_IN_HOSPITAL},
    [YM_ENTRY_INCIDENT] = {"incident", incident, YM_BY_OWNER, YM_IN_HUB | YM_IN_HOSPITAL},
    [YM_ENTRY_RECOVER] = {"recover", recover, YM_BY_OWNER, YM_IN_HOSPITAL},
    [YM_ENTRY_ROTATE] = {"rotate", rotate, YM_BY_OWNER, YM_IN_HOSPITAL},
};

unsigned ym_entry_signers(enum ym_entry_type type)
{
    return types[type].signers;
}

unsigned ym_entry_logs(enum ym_entry_type type)
{
    return types[type].logs;
}

static bool name_good(const struct ym_vnode *n)
{
    return n->kind == YM_V_TEXT && strlen(n->text) == n->text_len && ym_name_valid(n->text);
}

static bool text_is_all(const struct ym_vnode *n)
{
    return n->kind == YM_V_TEXT && strlen(n->text) == n->text_len && strcmp(n->text, "_all") == 0;
}

static bool names_good(const struct ym_vjson *j, const struct ym_vnode *list)
{
    if (list->kind != YM_V_ARRAY || list->count > 4096)
        return false;
    for (const struct ym_vnode *n = ym_vjson_first(j, list); n; n = ym_vjson_next(j, n)) {
        if (!name_good(n))
            return false;
        for (const struct ym_vnode *m = ym_vjson_first(j, list); m != n; m = ym_vjson_next(j, m))
            if (strcmp(m->text, n->text) == 0)
                return false;
    }
    return true;
}

static bool role_good(const char *text)
{
    return strcmp(text, "hub") == 0 || strcmp(text, "hospital") == 0 || strcmp(text, "sponsor") == 0 ||
           strcmp(text, "auditor") == 0;
}

static bool identified_good(const char *text)
{
    static const char *const words[] = {"unspecified", "national_id", "insurance_id", "hospital_id", "study_id", "row"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], text) == 0)
            return true;
    return false;
}

static bool digits_good(const char *text)
{
    size_t n = strlen(text);

    return n > 0 && n <= 38 && text[0] != '0' && strspn(text, "0123456789") == n;
}

static bool text_good(const struct member *m, const struct ym_vnode *n)
{
    uint8_t raw[64];

    if (n->kind != YM_V_TEXT || strlen(n->text) != n->text_len)
        return false;
    switch (m->kind) {
    case HASH:
        return ym_vhex(n->text, n->text_len, raw, 32);
    case BUILD:
        return n->text_len == BUILD_HEX && strspn(n->text, "0123456789abcdef") == BUILD_HEX;
    case OPEN_KEY:
        return n->text_len == 0 || ym_vbase64(n->text, n->text_len, raw, 32);
    case KEY:
        return ym_vbase64(n->text, n->text_len, raw, 32);
    case SIGNATURE:
        return ym_vbase64(n->text, n->text_len, raw, 64);
    case ROLE:
        return role_good(n->text);
    case IDENTIFIED:
        return identified_good(n->text);
    case DIGITS:
        return digits_good(n->text);
    case WORD:
        return strcmp(n->text, m->text) == 0;
    case ROUTE:
        return strcmp(n->text, "integer") == 0 || strcmp(n->text, "bounded") == 0;
    case BASIS:
        return strcmp(n->text, "consent") == 0 || strcmp(n->text, "treatment") == 0;
    default:
        return n->text_len > 0 && n->text_len <= 512;
    case NOTE:
        return n->text_len <= 512;
    }
}

static const struct member event[] = {
    {"for", TEXT}, {"noise_variance", DIGITS}, {"sampling_k", DIGITS}, COUNT("steps", 1), {NULL}};

static const struct member people_year[] = {
    {"year", INT, 1970, 9999}, {"people", INT, 0, INT32_MAX}, {"set", HASH}, {NULL}};

/* An object of these members, texts and numbers, and no other. */
static bool object_good(const struct ym_vjson *j, const struct member *table, const struct ym_vnode *n)
{
    size_t count = 0;

    for (const struct member *m = table; n->kind == YM_V_OBJECT && m->name; m++, count++) {
        const struct ym_vnode *v = ym_vjson_get(j, n, m->name);

        if (!v || !(m->kind == INT    ? v->kind == YM_V_INT && v->integer >= m->low && v->integer <= m->high
                    : m->kind == NAME ? name_good(v)
                                      : text_good(m, v)))
            return false;
    }
    return count > 0 && n->count == count;
}

static bool events_good(const struct ym_vjson *j, const struct member *m, const struct ym_vnode *list)
{
    bool good = list->kind == YM_V_ARRAY && list->count <= (size_t)m->low;

    for (const struct ym_vnode *n = good ? ym_vjson_first(j, list) : NULL; n && good; n = ym_vjson_next(j, n))
        good = object_good(j, event, n);
    return good;
}

static bool people_good(const struct ym_vjson *j, const struct ym_vnode *list)
{
    bool good = list->kind == YM_V_ARRAY && list->count >= 1 && list->count <= 2;
    int64_t before = 0;

    for (const struct ym_vnode *n = good ? ym_vjson_first(j, list) : NULL; n && good; n = ym_vjson_next(j, n)) {
        good = object_good(j, people_year, n) && ym_vjson_get(j, n, "people")->integer % 100 == 0 &&
               (!before || ym_vjson_get(j, n, "year")->integer == before + 1);
        before = good ? ym_vjson_get(j, n, "year")->integer : 0;
    }
    return good;
}

static const struct member us_persons[] = {{"recipient", HASH},
                                           {"categories", TEXT},
                                           {"people", INT, 0, INT32_MAX},
                                           {"until", INT, 0, INT64_MAX / 2},
                                           {"set", HASH},
                                           {NULL}};

static bool us_good(const struct ym_vjson *j, const struct ym_vnode *n)
{
    return object_good(j, us_persons, n) && ym_vjson_get(j, n, "people")->integer % 100 == 0;
}

static const struct member seal[] = {{"office", NAME}, COUNT("time", 0), {"signature", SIGNATURE}, {NULL}};

static bool seals_good(const struct ym_vjson *j, const struct ym_vnode *list)
{
    bool good = list->kind == YM_V_ARRAY && list->count <= 4;

    for (const struct ym_vnode *n = good ? ym_vjson_first(j, list) : NULL; n && good; n = ym_vjson_next(j, n))
        good = object_good(j, seal, n);
    return good;
}

static bool limits_good(const struct ym_vjson *j, const struct ym_vnode *o)
{
    bool good = o->kind == YM_V_OBJECT && o->count <= 16;

    for (const struct ym_vnode *n = good ? ym_vjson_first(j, o) : NULL; n && good; n = ym_vjson_next(j, n)) {
        good = ym_name_valid(n->key) && n->kind == YM_V_ARRAY && n->count >= 1 && n->count <= 16;
        for (const struct ym_vnode *m = good ? ym_vjson_first(j, n) : NULL; m && good; m = ym_vjson_next(j, m))
            good = m->kind == YM_V_INT && m->integer >= 2;
    }
    return good;
}

static bool member_good(const struct ym_vjson *j, const struct member *m, const struct ym_vnode *n)
{
    switch (m->kind) {
    case NAME_OR_ALL:
        return name_good(n) || text_is_all(n);
    case NAME:
        return name_good(n);
    case NAMES:
        return names_good(j, n);
    case INT:
        return n->kind == YM_V_INT && n->integer >= m->low && n->integer <= m->high;
    case BOOL:
        return n->kind == YM_V_TRUE || n->kind == YM_V_FALSE;
    case OBJECT:
        return n->kind == YM_V_OBJECT;
    case EVENTS:
        return events_good(j, m, n);
    case PEOPLE:
        return people_good(j, n);
    case US:
        return us_good(j, n);
    case SEALS:
        return seals_good(j, n);
    case LIMITS:
        return limits_good(j, n);
    default:
        return text_good(m, n);
    }
}

/* How many of the table's members are there and good; -1 when one is not. */
static int count_members(const struct ym_vjson *j, const struct member *table)
{
    int count = 0;

    for (const struct member *m = table; m->name; m++) {
        const struct ym_vnode *n = ym_vjson_get(j, ym_vjson_root(j), m->name);

        if (!n && (m->kind == US || (m->kind == OBJECT && m->low == MAY_LACK)))
            continue;
        if (!n || !member_good(j, m, n))
            return -1;
        count++;
    }
    return count;
}

static bool find_type(const char *name, enum ym_entry_type *out)
{
    for (int t = 0; t < YM_ENTRY_TYPES; t++)
        if (strcmp(types[t].name, name) == 0) {
            *out = (enum ym_entry_type)t;
            return true;
        }
    return false;
}

/* The line as it was signed: without sig, closed again. */
static bool bare_line(struct ym_bytes line, struct ym_buf *out)
{
    return ym_buf_append(out, line.data, line.len - SIG_TAIL) == YM_OK && ym_buf_puts(out, "}") == YM_OK;
}

static bool split(struct ym_bytes line, struct ym_entry *out, const char **why)
{
    const char *tail;

    if (line.len > LINE_MAX_BYTES || line.len < SIG_TAIL + 2) {
        *why = "its length is out of bounds";
        return false;
    }
    tail = (const char *)line.data + line.len - SIG_TAIL;
    if (memcmp(tail, SIG_HEAD, sizeof(SIG_HEAD) - 1) != 0 || memcmp(tail + SIG_TAIL - 2, "\"}", 2) != 0 ||
        !ym_vbase64(tail + sizeof(SIG_HEAD) - 1, SIG_TEXT, out->sig, sizeof(out->sig))) {
        *why = "it does not end with a signature";
        return false;
    }
    return true;
}

static bool parse_line(struct ym_bytes line, struct ym_entry *out, const char **why)
{
    struct ym_buf bare = {0};
    bool good = split(line, out, why);

    if (good && !bare_line(line, &bare)) {
        *why = "out of memory";
        good = false;
    }
    if (good)
        good = ym_vjson_parse((struct ym_bytes){bare.data, bare.len}, &out->json, why);
    ym_buf_release(&bare);
    return good;
}

static bool envelope_good(const struct ym_entry *e)
{
    size_t type = strlen(e->type_name);

    return type <= 32 && strspn(e->type_name, "abcdefghijklmnopqrstuvwxyz_") == type && strlen(e->key) == 16 &&
           strspn(e->key, "0123456789abcdef") == 16;
}

enum ym_entry_fault ym_entry_parse(struct ym_bytes line, struct ym_entry *out, const char **why)
{
    const struct ym_vnode *root;
    int common, own;

    *out = (struct ym_entry){.line = line};
    if (!parse_line(line, out, why))
        return YM_ENTRY_MALFORMED;
    root = ym_vjson_root(&out->json);
    *why = "its type, v, time, by or key is missing or malformed";
    common = count_members(&out->json, envelope);
    if (common < 0)
        return YM_ENTRY_MALFORMED;
    out->type_name = ym_vjson_get(&out->json, root, "type")->text;
    out->by = ym_vjson_get(&out->json, root, "by")->text;
    out->key = ym_vjson_get(&out->json, root, "key")->text;
    if (!envelope_good(out) || ym_vjson_get(&out->json, root, "sig"))
        return YM_ENTRY_MALFORMED;
    *why = "this program does not know its type";
    if (!find_type(out->type_name, &out->type))
        return YM_ENTRY_BAD_TYPE;
    *why = "its members are not those of its type, or out of range";
    own = count_members(&out->json, types[out->type].members);
    if (own < 0 || (size_t)(own + common) != root->count)
        return YM_ENTRY_BAD_FIELDS;
    *why = NULL;
    return YM_ENTRY_GOOD;
}

void ym_entry_release(struct ym_entry *e)
{
    ym_vjson_release(&e->json);
    ym_buf_release(&e->copy);
}

void ym_entry_hash(struct ym_entry *e)
{
    uint8_t hash[YM_VHASH];

    ym_vhash(e->line.data, e->line.len, hash);
    ym_vhex_text(hash, sizeof(hash), e->hash);
}

bool ym_entry_signed_by(const struct ym_entry *e, const uint8_t pub[32])
{
    struct ym_buf text = {0};
    bool good = ym_buf_append(&text, DOMAIN, sizeof(DOMAIN)) == YM_OK &&
                ym_buf_append(&text, e->type_name, strlen(e->type_name) + 1) == YM_OK && bare_line(e->line, &text) &&
                ym_vsig_good(pub, text.data, text.len, e->sig);

    ym_buf_release(&text);
    return good;
}

void ym_entry_key_id(const uint8_t pub[32], char out[17])
{
    uint8_t hash[YM_VHASH];

    ym_vhash(pub, 32, hash);
    ym_vhex_text(hash, 8, out);
}

static const struct ym_vnode *member_of(const struct ym_entry *e, const char *member, enum ym_vkind kind)
{
    const struct ym_vnode *n = ym_vjson_get(&e->json, ym_vjson_root(&e->json), member);

    YM_ASSERT(n && n->kind == kind);
    return n;
}

const char *ym_entry_text(const struct ym_entry *e, const char *member)
{
    return member_of(e, member, YM_V_TEXT)->text;
}

const char *ym_entry_inner(const struct ym_entry *e, const char *member, const char *inner)
{
    const struct ym_vnode *n = ym_vjson_get(&e->json, member_of(e, member, YM_V_OBJECT), inner);

    return n && n->kind == YM_V_TEXT && strlen(n->text) == n->text_len ? n->text : "";
}

int64_t ym_entry_inner_int(const struct ym_entry *e, const char *member, const char *inner)
{
    const struct ym_vnode *n = ym_vjson_get(&e->json, member_of(e, member, YM_V_OBJECT), inner);

    return n && n->kind == YM_V_INT ? n->integer : -1;
}

int64_t ym_entry_count(const struct ym_entry *e, const char *member, const char *object, const char *inner)
{
    const struct ym_vnode *n = ym_vjson_get(&e->json, member_of(e, member, YM_V_OBJECT), object);

    n = n ? ym_vjson_get(&e->json, n, inner) : NULL;
    return n && n->kind == YM_V_INT && n->integer >= 0 ? n->integer : -1;
}

bool ym_entry_limit_at(const struct ym_entry *e, size_t i, const char **fact, int64_t *from)
{
    const struct ym_vnode *n = ym_vjson_first(&e->json, member_of(e, "limits", YM_V_OBJECT)), *m;

    for (; n && i >= n->count; n = ym_vjson_next(&e->json, n))
        i -= n->count;
    if (!n)
        return false;
    for (m = ym_vjson_first(&e->json, n); i > 0; i--)
        m = ym_vjson_next(&e->json, m);
    *fact = n->key;
    *from = m->integer;
    return true;
}

bool ym_entry_people_at(const struct ym_entry *e, size_t i, struct ym_entry_people *out)
{
    const struct ym_vnode *n = ym_vjson_first(&e->json, member_of(e, "people", YM_V_ARRAY));

    while (n && i-- > 0)
        n = ym_vjson_next(&e->json, n);
    if (!n)
        return false;
    *out = (struct ym_entry_people){ym_vjson_get(&e->json, n, "year")->integer,
                                    ym_vjson_get(&e->json, n, "people")->integer};
    return true;
}

int64_t ym_entry_int(const struct ym_entry *e, const char *member)
{
    return member_of(e, member, YM_V_INT)->integer;
}

bool ym_entry_bool(const struct ym_entry *e, const char *member)
{
    const struct ym_vnode *n = ym_vjson_get(&e->json, ym_vjson_root(&e->json), member);

    YM_ASSERT(n && (n->kind == YM_V_TRUE || n->kind == YM_V_FALSE));
    return n->kind == YM_V_TRUE;
}

const char *ym_entry_nth(const struct ym_entry *e, const char *member, size_t i)
{
    const struct ym_vnode *n = ym_vjson_first(&e->json, member_of(e, member, YM_V_ARRAY));

    while (n && i-- > 0)
        n = ym_vjson_next(&e->json, n);
    return n ? n->text : NULL;
}

bool ym_entry_lists(const struct ym_entry *e, const char *member, const char *name)
{
    const struct ym_vnode *n = ym_vjson_first(&e->json, member_of(e, member, YM_V_ARRAY));

    while (n && strcmp(n->text, name) != 0)
        n = ym_vjson_next(&e->json, n);
    return n != NULL;
}

bool ym_entry_event_at(const struct ym_entry *e, const char *member, size_t i, struct ym_entry_event *out)
{
    const struct ym_vnode *n = ym_vjson_first(&e->json, member_of(e, member, YM_V_ARRAY));

    while (n && i-- > 0)
        n = ym_vjson_next(&e->json, n);
    if (!n)
        return false;
    *out = (struct ym_entry_event){
        ym_vjson_get(&e->json, n, "for")->text, ym_vjson_get(&e->json, n, "noise_variance")->text,
        ym_vjson_get(&e->json, n, "sampling_k")->text, ym_vjson_get(&e->json, n, "steps")->integer};
    return true;
}

bool ym_entry_seal_at(const struct ym_entry *e, size_t i, struct ym_entry_seal *out)
{
    const struct ym_vnode *n = ym_vjson_first(&e->json, member_of(e, "seals", YM_V_ARRAY));

    while (n && i-- > 0)
        n = ym_vjson_next(&e->json, n);
    if (!n)
        return false;
    *out = (struct ym_entry_seal){ym_vjson_get(&e->json, n, "office")->text,
                                  ym_vjson_get(&e->json, n, "signature")->text,
                                  ym_vjson_get(&e->json, n, "time")->integer,
                                  {0}};
    YM_ASSERT(ym_vbase64(out->text, strlen(out->text), out->signature, sizeof out->signature));
    return true;
}

/* Past the value that begins at p: the line was parsed, so this ends. */
static const char *value_end(const char *p)
{
    int depth = 0;

    for (;; p++) {
        if (*p == '"')
            for (p++; *p != '"'; p++)
                p += *p == '\\';
        depth += *p == '{' || *p == '[';
        if (depth == 0 && (*p == ',' || *p == '}'))
            return p;
        depth -= *p == '}' || *p == ']';
    }
}

static bool sealed_member(const char *name, size_t len)
{
    static const char *const out[] = {"by", "key", "seals", "sig", "time", "type", "v"};

    for (size_t i = 0; i < sizeof out / sizeof *out; i++)
        if (strlen(out[i]) == len && memcmp(out[i], name, len) == 0)
            return false;
    return true;
}

bool ym_entry_spelled(const struct ym_entry *e, const char *member, struct ym_bytes *out)
{
    const char *p = (const char *)e->line.data, *end = p + e->line.len - 1;

    while (p < end) { /* p: at the '{' or ',' before a member */
        const char *name = p + 2, *close = strchr(name, '"'), *next = value_end(close + 2);

        if ((size_t)(close - name) == strlen(member) && memcmp(name, member, strlen(member)) == 0) {
            *out = (struct ym_bytes){(const uint8_t *)close + 2, (size_t)(next - close - 2)};
            return true;
        }
        p = next;
    }
    return false;
}

bool ym_entry_own_members(const struct ym_entry *e, struct ym_buf *out)
{
    const char *p = (const char *)e->line.data, *end = p + e->line.len - 1;
    bool good = true;
    char before = '{';

    while (good && p < end) { /* p: at the '{' or ',' before a member */
        const char *name = p + 2, *close = strchr(name, '"'), *next = value_end(close + 2);

        if (sealed_member(name, (size_t)(close - name))) {
            good =
                ym_buf_append(out, &before, 1) == YM_OK && ym_buf_append(out, p + 1, (size_t)(next - p - 1)) == YM_OK;
            before = ',';
        }
        p = next;
    }
    return good && (before == ',' || ym_buf_puts(out, "{") == YM_OK) && ym_buf_puts(out, "}") == YM_OK;
}

void ym_entry_pub(const struct ym_entry *e, const char *member, uint8_t out[32])
{
    const struct ym_vnode *n = member_of(e, member, YM_V_TEXT);

    YM_ASSERT(ym_vbase64(n->text, n->text_len, out, 32));
}
