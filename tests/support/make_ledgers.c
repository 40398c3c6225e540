#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/ledger_world.h"

/* make_ledgers DIR [TEXT]: the ledgers of ledger_world.h, written into DIR. With TEXT, whatever a
 * party may word freely is that text: titles, reasons, the federation's name. */

static void say(struct world *w, int log, const char *type, size_t nth, const char *member, const char *text)
{
    if (json_object_set_new(world_at(w, log, type, nth)->members, member, json_string(text)) != 0)
        exit(2);
}

static void word(struct world *w, const char *text)
{
    json_t *card = json_object_get(world_at(w, WORLD_H1, "dataset_card", 0)->members, "public");
    struct world_leaf *incident = world_leaf(w, "incident", json_pack("{s:s}", "reason", text), "h1", w->h1);
    struct world_leaf *override = world_leaf(w, "override",
                                             json_pack("{s:s,s:I,s:s,s:[]}", "subject", "policy", "epsilon_micro",
                                                       (json_int_t)30000000, "reason", text, "seals"),
                                             "h1", w->h1);

    json_object_set_new(card, "title", json_string(text));
    json_object_set_new(card, "size_class", json_string(text));
    json_object_set_new(card, "patient_identifier", json_string(text));
    for (size_t i = 0; i < 3; i++)
        say(w, WORLD_HUB, "enrol", i, "federation", text);
    json_object_set_new(json_object_get(world_at(w, WORLD_H1, "policy", 0)->members, "terms"), "purposes",
                        json_pack("[s]", text));
    say(w, WORLD_H1, "border", 0, "reason", text);
    world_add(w, WORLD_H1, incident);
    world_add(w, WORLD_H1, override);
    world_add(w, WORLD_HUB,
              world_leaf(w, "revoke", json_pack("{s:s,s:s,s:s}", "role", "sponsor", "name", "acme", "reason", text),
                         "hub", w->hub));
}

int main(int argc, char **argv)
{
    struct world w = {.metric = true};

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: make_ledgers DIR [TEXT]\n");
        return 2;
    }
    world_open(&w, argv[1], 0);
    if (argc == 3)
        word(&w, argv[2]);
    world_write(&w);
    world_close(&w);
    return 0;
}
