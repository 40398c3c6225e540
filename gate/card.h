#ifndef YM_GATE_CARD_H
#define YM_GATE_CARD_H

#include "base/crypto.h"
#include "base/doc.h"
#include "gate/border/consent.h"
#include "gate/border/declare.h"

/* A data card: how one registered data set of a hospital maps to study
 * variables. YAML by hospital IT (docs/data.md). The public part (name, title,
 * variables with unit and range, size class, tier) is what sponsors see; file
 * paths, local column names and codes stay at the site. */

#define YM_IMAGE_MAX_CHANNELS 4
#define YM_IMAGE_MAX_SIDE 512

struct ym_card_map {
    char from[128];
    double to;
    char level[64];
}; /* local code -> number or level */

struct ym_card_var {
    char name[64];    /* study variable */
    char column[256]; /* local column, UTF-8 */
    char unit[32];
    bool category;
    double factor, offset; /* value = cell * factor + offset, then clamped to [low, high] when scaled */
    double low, high;
    uint32_t channels, height, width; /* image of bytes: channels last, row by row; 0 0 0: no image */
    struct ym_card_map *map;          /* sorted by from; a number is in the unit of the cells */
    size_t map_count;                 /* e.g. 男 -> 1; date: see date_format */
    char (*level)[64];
    size_t level_count;
    char date_format[32]; /* "" or strptime-like %Y-%m-%d; %Y年%m月%d日; value = days since 1970-01-01 */
    char (*missing)[32];
    size_t missing_count; /* codes besides the empty cell */
};

struct ym_card {
    char name[64]; /* data set */
    char title[256];
    char file[1024];   /* CSV or NPZ, relative to the card's folder */
    char encoding[16]; /* utf-8 | gb18030 */
    char separator;    /* , ; or tab */
    char patient_column[256];
    char size_class[16]; /* "<100" "100-499" "500-1999" "2000-9999" ">=10000": declared by the site */
    char identifier[16]; /* what kind of identifier patient_column holds; "row": each row is a patient */
    char tier[16];       /* general | important | core | unknown */
    char (*shares_patients_with)[64];
    size_t shares_count; /* budget is shared with these */
    struct ym_card_var *var;
    size_t var_count;
    struct ym_card_border border;   /* what the data office declares; not public */
    struct ym_card_consent consent; /* which columns say what patients agreed to; not public */
    uint8_t hash[YM_HASH_BYTES];    /* SHA-256 of the whole canonical card */
    struct ym_buf canonical;        /* whole card: stays at the site */
    struct ym_buf public_json;      /* canonical JSON of the public part, <= 32 KiB */
};

enum ym_code ym_card_read(const struct ym_doc *doc, struct ym_card **out, struct ym_problems *p, struct ym_status *st);
void ym_card_free(struct ym_card *card);

/* Is it an NPZ, whose arrays the card's columns name? By the ending of its file. */
bool ym_card_is_npz(const struct ym_card *card);
/* A relative path without "..". */
bool ym_card_path_inside(const char *file);

/* Which variables of the plan the card (public JSON suffices) cannot give:
 * appends one line each to why; returns true when the plan can run on it. */
struct ym_plan;
bool ym_card_fits(const struct ym_plan *plan, const json_t *public_card, struct ym_buf *why);

#endif
