#ifndef YM_VERIFY_FOLDER_H
#define YM_VERIFY_FOLDER_H

#include "audit/verify/bundle.h"
#include "audit/verify/note.h"
#include "audit/verify/verify.h"
#include "base/pool.h"

/* A ledger folder as it lies on disk. What it keeps in memory is a hash an entry; the
 * entries themselves are read again when they are asked for, and must still be what
 * was hashed. */
#define YM_FOLDER_LEVELS 8
#define YM_FOLDER_HELD 4

struct ym_folder {
    char *dir;
    struct ym_buf note_bytes;
    struct ym_vnote note;
    uint8_t (*hash)[32];                   /* leaf hashes; count of them */
    size_t count, cap, widest;             /* widest: bytes of the largest bundle */
    uint8_t (*node[YM_FOLDER_LEVELS])[32]; /* [1..]: roots of the full tiles below; [0] is hash. After check_tree */
    size_t *enrol;                         /* entries that may be enrol leaves, ascending */
    size_t enrol_count;
    struct ym_vbundle *tail; /* the last bundle where it is partial: its file goes when it grows */
    struct ym_vbundle *held[YM_FOLDER_HELD];
    uint64_t held_index[YM_FOLDER_HELD];
    size_t held_next;
    bool faulty; /* the first fault found; the rest was not looked at */
    enum ym_reason fault;
    char detail[256];
};

/* YM_OK whatever was found in the files; else the folder cannot be read. A program may
 * be writing meanwhile: a checkpoint that changed starts it again. pool may be NULL. */
enum ym_code ym_folder_load(const char *dir, struct ym_pool *pool, struct ym_folder *out, struct ym_status *st);
void ym_folder_release(struct ym_folder *f);
/* Root and tiles; sets the fault. */
void ym_folder_check_tree(struct ym_folder *f);
/* Root of the first `size` entries; false: there are fewer. Only after check_tree found no fault. */
bool ym_folder_root_at(const struct ym_folder *f, uint64_t size, uint8_t root[32]);
/* Entries of bundle index again, as many as were loaded of it. YM_UNAVAILABLE: no longer what was hashed. Any thread.
 */
enum ym_code ym_folder_bundle(const struct ym_folder *f, uint64_t index, struct ym_vbundle *b);
/* Entry i < count; valid until the next call. False: no longer what was hashed. */
bool ym_folder_entry(struct ym_folder *f, size_t i, struct ym_bytes *out);

#endif
