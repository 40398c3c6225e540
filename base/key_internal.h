#ifndef YM_BASE_KEY_INTERNAL_H
#define YM_BASE_KEY_INTERNAL_H

#include <openssl/evp.h>

#include "base/crypto.h"
#include "base/status.h"

/* Private keys at rest, any algorithm: see crypto.h. For the files of this room
 * that call libcrypto. */
enum ym_code ym_keyfile_save(EVP_PKEY *key, const char *path, struct ym_bytes secret, struct ym_status *st);
enum ym_code ym_keyfile_load(const char *path, struct ym_bytes secret, EVP_PKEY **out, struct ym_status *st);

/* Borrowed. */
EVP_PKEY *ym_key_pkey(const struct ym_key *key);

/* The last error of libcrypto as text, its queue emptied. */
const char *ym_openssl_reason(void);

#endif
