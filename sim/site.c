#include "sim/site.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "gate/card.h"
#include "sim/load.h"
#include "worker/data/admit.h"

static const char key_file[] = "identity.key";

enum ym_code ym_sim_table(const struct ym_plan *plan, const struct ym_card *card, const char *path, const char *folder,
                          struct ym_table **out, struct ym_buf *report, struct ym_status *st)
{
    static const uint8_t salt[32];
    struct ym_buf bytes = {0};
    struct ym_frozen *frozen = NULL;
    struct ym_admission admission = {0};
    struct ym_consent_need need;
    enum ym_code code = ym_freeze_file(card, path, folder, salt, false, &bytes, NULL, report, st);

    ym_consent_needed(plan, card, false, false, &need);
    if (code == YM_OK)
        code = ym_frozen_parse((struct ym_bytes){bytes.data, bytes.len}, &frozen, st);
    if (code == YM_OK)
        code = ym_admit(&need, frozen->consent, NULL, frozen->patient_count, &admission, st);
    if (code == YM_OK)
        code = ym_table_build(plan, frozen, admission.out, out, report, st);
    ym_admission_release(&admission);
    ym_frozen_free(frozen);
    ym_buf_release(&bytes);
    return code;
}

/* The folder and every folder above it, links resolved. */
static enum ym_code refuse_keys(const char *folder, struct ym_status *st)
{
    char here[PATH_MAX], probe[PATH_MAX + sizeof key_file + 1];

    if (realpath(folder, here) == NULL)
        return ym_status_set(st, YM_NOT_FOUND, "cannot open '%s': %s", folder, strerror(errno));
    for (;;) {
        char *slash = strrchr(here, '/');

        if (ym_fs_join(probe, sizeof probe, here, key_file) != YM_OK || ym_fs_exists(probe))
            return ym_status_set(st, YM_DENIED,
                                 "'%s' belongs to a real site: %s lies in '%s'; simulate works on folders without keys",
                                 folder, key_file, here);
        if (slash == NULL || slash == here)
            return YM_OK;
        *slash = '\0';
    }
}

static bool is_folder(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* dir of path, "." when it has none. */
static enum ym_code folder_of(const char *path, char out[PATH_MAX], struct ym_status *st)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);

    if (len >= PATH_MAX)
        return ym_status_set(st, YM_INVALID, "path too long");
    memcpy(out, slash == NULL ? "." : path, len);
    out[len] = '\0';
    return YM_OK;
}

static enum ym_code card_path(const char *path, char out[PATH_MAX], struct ym_status *st)
{
    if (ym_fs_join(out, PATH_MAX, path, "card.yaml") != YM_OK)
        return ym_status_set(st, YM_INVALID, "path too long");
    if (is_folder(path))
        return YM_OK;
    if (strlen(path) >= PATH_MAX)
        return ym_status_set(st, YM_INVALID, "path too long");
    strcpy(out, path);
    return YM_OK;
}

static enum ym_code read_card(const char *path, struct ym_card **out, struct ym_buf *report, struct ym_status *st)
{
    struct ym_problems problems = {0};
    struct ym_doc *doc = NULL;
    enum ym_code code = ym_doc_load(path, &doc, &problems, st);

    if (code == YM_OK)
        code = ym_card_read(doc, out, &problems, st);
    ym_problems_format(&problems, report);
    ym_problems_release(&problems);
    ym_doc_free(doc);
    return code;
}

static enum ym_code csv_path(const char *folder, const char *file, char out[PATH_MAX], struct ym_status *st)
{
    char csv_folder[PATH_MAX];
    enum ym_code code;

    code = file[0] == '/' ? ym_fs_join(out, PATH_MAX, "/", file + 1) : ym_fs_join(out, PATH_MAX, folder, file);
    if (code != YM_OK)
        return ym_status_set(st, YM_INVALID, "path too long");
    code = folder_of(out, csv_folder, st);
    return code != YM_OK ? code : refuse_keys(csv_folder, st);
}

enum ym_code ym_sim_load_site(const struct ym_plan *plan, const char *path, struct ym_table **out,
                              struct ym_buf *report, struct ym_status *st)
{
    char card_file[PATH_MAX], folder[PATH_MAX], csv[PATH_MAX];
    struct ym_card *card = NULL;
    enum ym_code code = card_path(path, card_file, st);

    if (code == YM_OK)
        code = folder_of(card_file, folder, st);
    if (code == YM_OK)
        code = refuse_keys(folder, st);
    if (code == YM_OK)
        code = read_card(card_file, &card, report, st);
    if (code == YM_OK)
        code = csv_path(folder, card->file, csv, st);
    if (code == YM_OK)
        code = ym_sim_table(plan, card, csv, NULL, out, report, st);
    ym_card_free(card);
    return code;
}
