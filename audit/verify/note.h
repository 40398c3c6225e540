#ifndef YM_VERIFY_NOTE_H
#define YM_VERIFY_NOTE_H

#include <stdbool.h>

#include "base/buf.h"

/* C2SP signed notes, checkpoints and verifier keys, as an outsider reads them. */
#define YM_VNOTE_MAX (64 * 1024)

struct ym_vnote {
    char origin[256];
    uint64_t size;
    uint8_t root[32];
    struct ym_bytes text, signatures; /* borrowed from the note */
};

enum ym_vkey_type { YM_VKEY_LOG = 1, YM_VKEY_COSIGNER = 4 }; /* signature types of signed-note */
struct ym_vkey {
    char name[256];
    enum ym_vkey_type type;
    uint8_t pub[32];
};

/* Form only: origin, size, root and at least a blank line. */
bool ym_vnote_parse(struct ym_bytes note, struct ym_vnote *out);

enum ym_vnote_answer { YM_VNOTE_SIGNED, YM_VNOTE_UNSIGNED, YM_VNOTE_FORGED };
/* UNSIGNED: no line of this key; FORGED: a line of this key whose signature does not fit. A
 * cosigner's line (tlog-cosignature, "cosignature/v1") says its own unix time, above 0. */
enum ym_vnote_answer ym_vnote_check(const struct ym_vnote *n, const struct ym_vkey *key);

/* "name+keyid+base64(type pk)", Ed25519 only. */
bool ym_vkey_read(const char *text, size_t len, struct ym_vkey *out);

#endif
