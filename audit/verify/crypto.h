#ifndef YM_VERIFY_CRYPTO_H
#define YM_VERIFY_CRYPTO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* The verifier's own hashing, signatures, tree and text forms, straight on
 * OpenSSL's EVP: it shares none of this with the program that wrote the ledger. */
#define YM_VHASH 32

void ym_vhash(const void *data, size_t len, uint8_t out[YM_VHASH]);
bool ym_vrandom(void *out, size_t len);
bool ym_vsig_good(const uint8_t pub[32], const void *data, size_t len, const uint8_t sig[64]);

void ym_vleaf_hash(struct ym_bytes leaf, uint8_t out[YM_VHASH]);
void ym_vnode_hash(const uint8_t left[YM_VHASH], const uint8_t right[YM_VHASH], uint8_t out[YM_VHASH]);
/* RFC 6962 2.1, as its recursion is written. count 0: the hash of nothing. */
void ym_vroot(const uint8_t (*hash)[YM_VHASH], size_t count, uint8_t out[YM_VHASH]);

/* Canonical spellings only; len is the text's, out_len must fit exactly. */
bool ym_vbase64(const char *text, size_t len, uint8_t *out, size_t out_len);
bool ym_vhex(const char *text, size_t len, uint8_t *out, size_t out_len);
void ym_vhex_text(const uint8_t *data, size_t len, char *out); /* 2 len + 1 */

#endif
