#ifndef YM_VERIFY_FOLDER_H
#define YM_VERIFY_FOLDER_H

#include "audit/verify/note.h"
#include "audit/verify/verify.h"

/* A ledger folder as it lies on disk: every entry up to the checkpoint's size,
 * and whether bundles, tiles and root fit each other. */
struct ym_folder {
    struct ym_buf note_bytes;
    struct ym_vnote note;
    struct ym_buf *bundle; /* bytes of every bundle read */
    size_t bundle_count;
    struct ym_bytes *entry;
    uint8_t (*hash)[32]; /* leaf hashes */
    size_t count, cap;
    bool faulty; /* the first fault found; the rest was not looked at */
    enum ym_reason fault;
    char detail[256];
};

/* YM_OK whatever was found in the files; else the folder cannot be read. A
 * program may be writing meanwhile: a checkpoint that changed starts it again. */
enum ym_code ym_folder_load(const char *dir, struct ym_folder *out, struct ym_status *st);
void ym_folder_release(struct ym_folder *f);
/* Root and tiles; sets the fault. */
void ym_folder_check_tree(const char *dir, struct ym_folder *f);
/* Entries of one bundle's bytes: false when it ends inside one. fn false stops. */
bool ym_bundle_read(struct ym_bytes bytes, bool (*fn)(void *ctx, struct ym_bytes entry), void *ctx);

#endif
