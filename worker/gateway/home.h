#ifndef YM_GATEWAY_HOME_H
#define YM_GATEWAY_HOME_H

#include "base/cert.h"
#include "base/doc.h"

/* The gateway's state folder in the DMZ (docs/formats.md, "Folders"). Nothing in
 * it comes from patients but finished releases on their way out. */

#define YM_HOME_PATH 4096

struct ym_home {
    char dir[YM_HOME_PATH];
    char name[64];
    char trainer[YM_HOME_PATH]; /* the trainer's socket */
    struct ym_buf key;          /* PEM; wiped */
    struct ym_buf self_cert;    /* PEM, for enrolment */
    uint8_t spki[32];
    /* after enrolment */
    bool enrolled;
    struct ym_buf ca, cert; /* PEM */
    char hub[256];          /* host:port */
    struct ym_buf answer;   /* canonical JSON of ENROLLED, for the trainer */
    int64_t not_before, not_after;
};

/* gateway.yaml, validated as a whole; the TLS key is made when absent (unless
 * check_only). A certificate that does not fit or is out of date: with
 * check_only an error that says so; else the log says it and the home is as not
 * enrolled, so that a new token can be used. */
enum ym_code ym_home_load(const char *dir, bool check_only, struct ym_home *out, struct ym_problems *p,
                          struct ym_status *st);
void ym_home_release(struct ym_home *h);
/* dir/part[/name] */
enum ym_code ym_home_path(const struct ym_home *h, const char *part, const char *name, char out[YM_HOME_PATH]);
/* Keep what the hub answered; hub.json last, for its presence means enrolled. */
enum ym_code ym_home_save_enrolment(struct ym_home *h, const char *hub, struct ym_bytes ca, struct ym_bytes cert,
                                    struct ym_bytes answer, struct ym_status *st);
enum ym_code ym_home_save_cert(struct ym_home *h, struct ym_bytes cert, struct ym_status *st);

#endif
