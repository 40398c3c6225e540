#ifndef YM_TRAINER_H
#define YM_TRAINER_H

#include "base/doc.h"

/* The trainer daemon: locks the folder, loads keys, enters the sandbox, folds
 * the ledger, binds run/trainer.sock and admin/admin.sock, prints one ready line,
 * serves until SIGTERM or SIGINT. check_only: stops after the configuration and
 * the ledger were read. p: problems of site.yaml.
 * Any doubt about the ledger is a full stop: the function returns. */
enum ym_code ym_trainer_run(const char *dir, bool check_only, struct ym_problems *p, struct ym_status *st);

#endif
