#ifndef YM_VERIFY_BUNDLE_H
#define YM_VERIFY_BUNDLE_H

#include <stdbool.h>

#include "base/buf.h"

/* Files of a log as C2SP tlog-tiles names them, and what an entry bundle holds. */
#define YM_VTILE_WIDTH 256

/* tile/<level>/x001/x234/067[.p/<width>]; level "entries" for bundles. */
void ym_vtile_name(char out[160], const char *level, uint64_t index, size_t width);

/* One bundle as read: at most as many entries as its name promises, inside its bytes. */
struct ym_vbundle {
    struct ym_buf bytes;
    size_t promised;  /* 0: there is no such file */
    size_t count;     /* entries found, the name's number at most */
    bool torn, extra; /* ends inside an entry; holds more than the name says */
    struct ym_bytes entry[YM_VTILE_WIDTH];
};

/* The full file, else the widest partial one. NOT_FOUND is no error: promised is 0 then. What
 * `b` held goes; release it in either case. */
enum ym_code ym_vbundle_read(const char *dir, uint64_t index, struct ym_vbundle *b);
void ym_vbundle_release(struct ym_vbundle *b);
/* Entries of one bundle's bytes: false when it ends inside one. fn false stops. */
bool ym_bundle_read(struct ym_bytes bytes, bool (*fn)(void *ctx, struct ym_bytes entry), void *ctx);

#endif
