#include "audit/witness/witness.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/ledger/checkpoint.h"
#include "audit/ledger/cosign.h"
#include "audit/ledger/proof.h"
#include "base/fs.h"

#define DASH "\xe2\x80\x94 "
#define PROOF_LINES_MAX 63
#define HASH_HEX (2 * YM_HASH_BYTES)
#define STATE_MAX (2 * YM_CHECKPOINT_MAX)

struct known { /* a log */
    char origin[256];
    uint8_t pub[YM_PUBKEY_BYTES];
    char hash[HASH_HEX + 1]; /* of the origin */
    uint64_t size, time;     /* of what was cosigned last; 0: nothing */
    uint8_t root[YM_HASH_BYTES];
    struct ym_buf note;
};

struct ym_witness {
    char dir[3072], name[256];
    int lock_fd;
    struct ym_key *key;
    uint8_t pub[YM_PUBKEY_BYTES];
    pthread_mutex_t lock; /* a log's state, from look to answer */
    struct known *log;
    size_t count;
};

/* ---- the folder ---- */

static void origin_hash(const char *origin, char out[HASH_HEX + 1])
{
    uint8_t hash[YM_HASH_BYTES];

    ym_sha256(origin, strlen(origin), hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static enum ym_code path_of(const char *dir, const char *name, char out[4096], struct ym_status *st)
{
    enum ym_code code = ym_fs_join(out, 4096, dir, name);

    return code == YM_OK ? code : ym_status_set(st, code, "the folder's path is too long");
}

static enum ym_code log_path(const char *dir, const char *hash, const char *suffix, char out[4096],
                             struct ym_status *st)
{
    char name[128];

    snprintf(name, sizeof name, "logs/%s.%s", hash, suffix);
    return path_of(dir, name, out, st);
}

static bool name_good(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len < 200 && ym_utf8_valid(name, len) && !strpbrk(name, " +\n\r\t");
}

static enum ym_code make_key(const char *dir, const char *name, struct ym_buf *vkey, struct ym_status *st)
{
    struct ym_buf secret = {0};
    struct ym_key *key = NULL;
    uint8_t pub[YM_PUBKEY_BYTES];
    char path[4096];
    enum ym_code code = path_of(dir, "identity.key", path, st);

    if (code == YM_OK && ym_fs_exists(path))
        code = ym_status_set(st, YM_CONFLICT, "'%s' holds a witness already", dir);
    if (code == YM_OK)
        code = ym_secret_load(dir, true, &secret, st);
    if (code == YM_OK)
        code = ym_key_generate(&key, st);
    if (code == YM_OK)
        code = ym_key_save(key, path, ym_buf_bytes(&secret), st);
    if (code == YM_OK) {
        ym_key_public(key, pub);
        code = ym_vkey_format(name, YM_NOTE_COSIGNER, pub, vkey);
    }
    ym_key_free(key);
    ym_buf_wipe(&secret);
    return code;
}

enum ym_code ym_witness_create(const char *dir, const char *name, struct ym_buf *vkey, struct ym_status *st)
{
    char path[4096];
    enum ym_code code = path_of(dir, "logs", path, st);

    if (!name_good(name))
        return ym_status_set(st, YM_INVALID,
                             "'%.100s' cannot be a witness's name; take something like auditor.example/witness", name);
    if (code == YM_OK)
        code = ym_fs_mkdirs(dir, 0700, st);
    if (code == YM_OK)
        code = ym_fs_mkdirs(path, 0700, st);
    return code == YM_OK ? make_key(dir, name, vkey, st) : code;
}

enum ym_code ym_witness_add(const char *dir, const char *log_vkey, struct ym_status *st)
{
    char origin[256], hash[HASH_HEX + 1], note[4096], vkey[4096];
    uint8_t pub[YM_PUBKEY_BYTES];
    int lock = -1;
    enum ym_code code = ym_vkey_parse(log_vkey, YM_NOTE_LOG, origin, pub, st);

    if (code != YM_OK)
        return code;
    origin_hash(origin, hash);
    code = ym_fs_lock(dir, &lock, st);
    if (code != YM_OK)
        return code;
    code = log_path(dir, hash, "checkpoint", note, st);
    if (code == YM_OK)
        code = log_path(dir, hash, "vkey", vkey, st);
    if (code == YM_OK && (ym_fs_exists(vkey) || ym_fs_exists(note)))
        code = ym_status_set(st, YM_CONFLICT, "the log '%.200s' is known already", origin);
    if (code == YM_OK) /* the state first: a log without one is never served */
        code = ym_fs_write(note, (struct ym_bytes){(const uint8_t *)"", 0}, 0600, st);
    if (code == YM_OK)
        code = ym_fs_write(vkey, (struct ym_bytes){(const uint8_t *)log_vkey, strlen(log_vkey)}, 0600, st);
    ym_fs_unlock(&lock);
    return code;
}

/* ---- opening ---- */

static enum ym_code load_note(struct ym_witness *w, struct known *l, struct ym_status *st)
{
    char path[4096];
    enum ym_code code = log_path(w->dir, l->hash, "checkpoint", path, st);

    if (code == YM_OK)
        code = ym_fs_read(path, STATE_MAX, &l->note, st);
    if (code != YM_OK || l->note.len == 0)
        return code == YM_NOT_FOUND ? YM_CORRUPT : code;
    code = ym_checkpoint_open(ym_buf_bytes(&l->note), l->origin, l->pub, &l->size, l->root, st);
    if (code == YM_OK)
        code = ym_cosign_open(ym_buf_bytes(&l->note), w->name, w->pub, &l->time, st);
    return code == YM_OK ? YM_OK : YM_CORRUPT;
}

static enum ym_code load_log(struct ym_witness *w, const char *file, struct ym_status *st)
{
    struct known *grown, *l;
    struct ym_buf text = {0};
    char path[4096], name[300];
    enum ym_code code;

    if (w->count == YM_WITNESS_LOGS_MAX)
        return ym_status_set(st, YM_EXHAUSTED, "more than %d logs", YM_WITNESS_LOGS_MAX);
    grown = realloc(w->log, (w->count + 1) * sizeof *grown);
    if (!grown)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    w->log = grown;
    l = &w->log[w->count];
    memset(l, 0, sizeof *l);
    w->count++;
    snprintf(name, sizeof name, "logs/%.250s", file);
    code = path_of(w->dir, name, path, st);
    if (code == YM_OK)
        code = ym_fs_read(path, 1024, &text, st);
    if (code == YM_OK)
        code = ym_vkey_parse(ym_buf_str(&text), YM_NOTE_LOG, l->origin, l->pub, st);
    ym_buf_release(&text);
    if (code != YM_OK)
        return code;
    origin_hash(l->origin, l->hash);
    code = strncmp(file, l->hash, HASH_HEX) == 0 ? load_note(w, l, st)
                                                 : ym_status_set(st, YM_CORRUPT, "'%s' is of another log", name);
    return code == YM_OK ? code
                         : ym_status_wrap(st, code,
                                          "what was cosigned last of '%.100s' cannot be read, and without it a second "
                                          "history could be cosigned",
                                          l->origin);
}

static enum ym_code load_logs(struct ym_witness *w, struct ym_status *st)
{
    char path[4096], **names = NULL;
    size_t count = 0;
    enum ym_code code = path_of(w->dir, "logs", path, st);

    if (code == YM_OK)
        code = ym_fs_list(path, &names, &count, st);
    for (size_t i = 0; code == YM_OK && i < count; i++) {
        const char *dot = strrchr(names[i], '.');

        if (dot && strcmp(dot, ".vkey") == 0)
            code = load_log(w, names[i], st);
    }
    ym_fs_names_free(names, count);
    return code;
}

static enum ym_code load_key(struct ym_witness *w, struct ym_status *st)
{
    struct ym_buf secret = {0};
    char path[4096];
    enum ym_code code = path_of(w->dir, "identity.key", path, st);

    if (code == YM_OK)
        code = ym_secret_load(w->dir, false, &secret, st);
    if (code == YM_OK)
        code = ym_key_load(path, ym_buf_bytes(&secret), &w->key, st);
    if (code == YM_OK)
        ym_key_public(w->key, w->pub);
    ym_buf_wipe(&secret);
    return code;
}

enum ym_code ym_witness_open(const char *dir, const char *name, struct ym_witness **out, struct ym_status *st)
{
    struct ym_witness *w = calloc(1, sizeof *w);
    enum ym_code code;

    if (!w)
        return ym_status_set(st, YM_EXHAUSTED, "out of memory");
    w->lock_fd = -1;
    pthread_mutex_init(&w->lock, NULL);
    if (!name_good(name) || (size_t)snprintf(w->dir, sizeof w->dir, "%s", dir) >= sizeof w->dir)
        code = ym_status_set(st, YM_INVALID, "the witness's name or folder cannot be used");
    else
        code = ym_fs_lock(dir, &w->lock_fd, st);
    snprintf(w->name, sizeof w->name, "%s", name);
    if (code == YM_OK)
        code = load_key(w, st);
    if (code == YM_OK)
        code = load_logs(w, st);
    if (code != YM_OK) {
        ym_witness_close(&w);
        return code;
    }
    *out = w;
    return YM_OK;
}

void ym_witness_close(struct ym_witness **witness)
{
    struct ym_witness *w = *witness;

    if (!w)
        return;
    *witness = NULL;
    for (size_t i = 0; i < w->count; i++)
        ym_buf_release(&w->log[i].note);
    free(w->log);
    ym_key_free(w->key);
    if (w->lock_fd >= 0)
        ym_fs_unlock(&w->lock_fd);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

size_t ym_witness_logs(const struct ym_witness *w)
{
    return w->count;
}

enum ym_code ym_witness_vkey(const struct ym_witness *w, struct ym_buf *out)
{
    return ym_vkey_format(w->name, YM_NOTE_COSIGNER, w->pub, out);
}

/* ---- a request ---- */

struct request {
    uint64_t old, size;
    uint8_t root[YM_HASH_BYTES];
    uint8_t proof[PROOF_LINES_MAX][YM_HASH_BYTES];
    size_t proof_count;
    char origin[256];
    struct ym_bytes note, text; /* the checkpoint, and what its signatures cover */
    struct ym_bytes log_line;   /* the log's own signature line, with its newline */
};

static bool read_base64(struct ym_bytes text, uint8_t *out, size_t len)
{
    struct ym_buf raw = {0};
    bool good = ym_base64_decode((const char *)text.data, text.len, &raw) == YM_OK && raw.len == len;

    if (good)
        memcpy(out, raw.data, len);
    ym_buf_release(&raw);
    return good;
}

/* "— name base64(at least five bytes)" */
static bool signature_formed(struct ym_bytes line)
{
    struct ym_buf raw = {0};
    const uint8_t *space = line.len > 4 ? memchr(line.data + 4, ' ', line.len - 4) : NULL;
    bool good = space && memcmp(line.data, DASH, 4) == 0 && space > line.data + 4;
    size_t head = good ? (size_t)(space - line.data) + 1 : 0;

    good = good && ym_base64_decode((const char *)line.data + head, line.len - head, &raw) == YM_OK && raw.len >= 5;
    ym_buf_release(&raw);
    return good;
}

static bool read_note(struct request *q)
{
    struct ym_bytes rest = q->note, origin, size, root, line = {NULL, 1};
    size_t signatures = 0;

    if (q->note.len > YM_CHECKPOINT_MAX || !ym_utf8_valid((const char *)q->note.data, q->note.len) ||
        !ym_note_line(&rest, &origin) || !ym_note_line(&rest, &size) || !ym_note_line(&rest, &root))
        return false;
    if (origin.len == 0 || origin.len >= sizeof q->origin || !ym_note_number(size, &q->size) ||
        !read_base64(root, q->root, YM_HASH_BYTES))
        return false;
    memcpy(q->origin, origin.data, origin.len);
    q->origin[origin.len] = 0;
    while (line.len > 0) { /* extension lines, to the blank one */
        q->text = (struct ym_bytes){q->note.data, (size_t)(rest.data - q->note.data)};
        if (!ym_note_line(&rest, &line))
            return false;
    }
    while (ym_note_line(&rest, &line)) {
        if (!signature_formed(line))
            return false;
        signatures++;
    }
    return rest.len == 0 && signatures > 0;
}

static bool read_request(struct ym_bytes body, struct request *q)
{
    struct ym_bytes rest = body, line;

    if (!ym_note_line(&rest, &line) || line.len < 5 || memcmp(line.data, "old ", 4) != 0 ||
        !ym_note_number((struct ym_bytes){line.data + 4, line.len - 4}, &q->old))
        return false;
    for (;;) {
        if (!ym_note_line(&rest, &line))
            return false;
        if (line.len == 0)
            break;
        if (q->proof_count == PROOF_LINES_MAX || !read_base64(line, q->proof[q->proof_count], YM_HASH_BYTES))
            return false;
        q->proof_count++;
    }
    q->note = rest;
    return read_note(q);
}

/* A line of the log's key; a bad one beside a good one is a malformed note, as signed-note says. */
static bool signed_by_log(struct request *q, const struct known *l)
{
    struct ym_bytes rest = {q->text.data + q->text.len + 1, 0}, line;
    size_t name = strlen(l->origin), head = 4 + name + 1;
    uint8_t id[4], blob[4 + YM_SIG_BYTES];

    rest.len = (size_t)(q->note.data + q->note.len - rest.data);
    ym_note_key_id(l->origin, YM_NOTE_LOG, l->pub, id);
    while (ym_note_line(&rest, &line)) {
        if (line.len <= head || memcmp(line.data + 4, l->origin, name) != 0 || line.data[head - 1] != ' ' ||
            !read_base64((struct ym_bytes){line.data + head, line.len - head}, blob, sizeof blob) ||
            memcmp(blob, id, 4) != 0)
            continue;
        if (!ym_sig_verify(l->pub, q->text.data, q->text.len, blob + 4))
            return false;
        q->log_line = (struct ym_bytes){line.data, line.len + 1};
    }
    return q->log_line.data != NULL;
}

static bool consistent(const struct request *q, const struct known *l)
{
    uint8_t empty[YM_HASH_BYTES];

    ym_sha256("", 0, empty);
    if (q->size == 0)
        return q->proof_count == 0 && memcmp(q->root, empty, sizeof empty) == 0;
    if (q->old == 0)
        return q->proof_count == 0;
    if (q->old == q->size)
        return q->proof_count == 0 && memcmp(q->root, l->root, sizeof q->root) == 0;
    return ym_proof_check_consistency(q->old, l->root, q->size, q->root, (const uint8_t(*)[YM_HASH_BYTES])q->proof,
                                      q->proof_count, NULL) == YM_OK;
}

/* ---- the answer ---- */

static unsigned say(struct ym_buf *body, unsigned status, const char *text)
{
    ym_buf_clear(body);
    ym_buf_printf(body, "%s\n", text);
    return status;
}

static struct known *find_log(struct ym_witness *w, const char *origin)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->log[i].origin, origin) == 0)
            return &w->log[i];
    return NULL;
}

/* The state on disk, then in memory, then the line: in this order. */
static unsigned keep_and_sign(struct ym_witness *w, struct known *l, const struct request *q, uint64_t time,
                              struct ym_buf *body)
{
    struct ym_buf note = {0}, line = {0};
    char path[4096];
    enum ym_code code = ym_cosign_append(q->text, w->name, w->key, time, &line);

    if (code == YM_OK)
        code = ym_buf_append(&note, q->text.data, q->text.len);
    if (code == YM_OK)
        code = ym_buf_append(&note, "\n", 1);
    if (code == YM_OK)
        code = ym_buf_append(&note, q->log_line.data, q->log_line.len);
    if (code == YM_OK)
        code = ym_buf_append(&note, line.data, line.len);
    if (code == YM_OK)
        code = log_path(w->dir, l->hash, "checkpoint", path, NULL);
    if (code == YM_OK)
        code = ym_fs_write(path, ym_buf_bytes(&note), 0600, NULL);
    if (code == YM_OK) {
        struct ym_buf old = l->note;

        l->note = note;
        note = old;
        l->size = q->size;
        l->time = time;
        memcpy(l->root, q->root, sizeof l->root);
        ym_buf_clear(body);
        code = ym_buf_append(body, line.data, line.len);
    }
    ym_buf_release(&note);
    ym_buf_release(&line);
    return code == YM_OK ? 200 : say(body, 500, "the state cannot be kept, so nothing is cosigned");
}

static unsigned judge(struct ym_witness *w, struct known *l, struct request *q, int64_t now, struct ym_buf *body)
{
    if (!signed_by_log(q, l))
        return say(body, 403, "not signed by the key that this witness knows for the log");
    if (q->old > q->size)
        return say(body, 400, "the old size is above the checkpoint's");
    if (q->old != l->size) {
        ym_buf_clear(body);
        ym_buf_printf(body, "%" PRIu64 "\n", l->size);
        return 409;
    }
    if (!consistent(q, l))
        return say(body, 422, "the checkpoint does not continue the one that was cosigned last");
    if (now < 1)
        return say(body, 500, "the clock of this witness is not set");
    return keep_and_sign(w, l, q, (uint64_t)now > l->time ? (uint64_t)now : l->time, body);
}

unsigned ym_witness_take(struct ym_witness *w, struct ym_bytes request, int64_t now, struct ym_buf *body)
{
    struct request *q = calloc(1, sizeof *q);
    struct known *l;
    unsigned status;

    if (!q)
        return say(body, 500, "out of memory");
    if (request.len > YM_WITNESS_BODY_MAX || !read_request(request, q)) {
        free(q);
        return say(body, 400, "not an add-checkpoint request (c2sp.org/tlog-witness)");
    }
    pthread_mutex_lock(&w->lock);
    l = find_log(w, q->origin);
    status = l ? judge(w, l, q, now, body) : say(body, 404, "this witness does not know the log");
    pthread_mutex_unlock(&w->lock);
    free(q);
    return status;
}

unsigned ym_witness_latest(struct ym_witness *w, const char *hash, struct ym_buf *body)
{
    unsigned status = 404;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->log[i].hash, hash) == 0 && w->log[i].note.len > 0) {
            ym_buf_clear(body);
            status = ym_buf_append(body, w->log[i].note.data, w->log[i].note.len) == YM_OK ? 200 : 500;
        }
    pthread_mutex_unlock(&w->lock);
    return status == 404 ? say(body, 404, "no checkpoint of such a log was cosigned here") : status;
}
