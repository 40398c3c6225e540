#ifndef YM_GATE_BORDER_ZONE_H
#define YM_GATE_BORDER_ZONE_H

#include "gate/border/facts.h"

/* Negative lists of free-trade zones, as data. A rule set's section "zone" says of
 * kinds of data items whether they are on the list; a card's section "border: zone"
 * says which kind each of its variables is, under which list and version
 * (docs/border.md, "Zones"). The fact "zone" follows from both and is declared by
 * nobody, but for "none". Pure.
 * Rules: FZ-01 to FZ-09 of the requirements. */

enum { YM_ZONE_MOST_ROWS = 1024, YM_ZONE_MOST_AREAS = 40 };

/* From so many people on, items of this kind are: a value of YM_CHOICE_ZONE, never "none". */
struct ym_zone_row {
    char item[64];
    int64_t from;
    uint8_t zone;
    char text[2][256]; /* English, Chinese: the list's own words */
    char source[128];  /* which line of the published list */
};

struct ym_zone_list {
    char (*area)[64]; /* provinces whose exporters may use it */
    size_t area_count;
    char until[16]; /* last day, "" none */
    struct ym_zone_row *row;
    size_t row_count; /* rows of one item ascend in from, begin at 0 and never get milder */
};
void ym_zone_list_free(struct ym_zone_list *z);

struct ym_schema;
struct ym_at;
/* Section "zone" of a rule set. NULL: memory is out, which s knows. */
struct ym_zone_list *ym_zone_read_list(struct ym_schema *s, const struct ym_at *root);

/* What the data office says on the card. */
struct ym_card_zone {
    char list[64]; /* "": no section */
    int64_t version;
    char registered[128]; /* as what the exporter is registered in the zone */
    struct ym_zone_item {
        char variable[64], item[64];
    } * item;
    size_t count;
};
void ym_card_zone_release(struct ym_card_zone *z);
void ym_zone_read_card(struct ym_schema *s, const struct ym_at *border, struct ym_card_zone *out);
/* The item that a variable is mapped to; "" none. */
const char *ym_zone_item_of(const struct ym_card_zone *z, const char *variable);

struct ym_rules_in;
struct ym_plan;
struct ym_card;
/* The fact: the worst of all variables that the plan uses of the card, at so many
 * people (below 0: unknown); 0, with the reason in st, as long as one of them is
 * not mapped, or the list is not signed, not in force, of another version, or not
 * for the exporter's province. A card without the section: what it declares. */
uint8_t ym_zone_of(const struct ym_rules_in *sets, size_t count, const struct ym_plan *plan, const struct ym_card *card,
                   int64_t people, const char *today, bool forecast, struct ym_status *st);

#endif
