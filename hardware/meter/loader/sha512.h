/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-512 (FIPS 180-4), required by Ed25519 and missing in Monocypher's one file. */
#ifndef LINETAP_METER_LOADER_SHA512_H
#define LINETAP_METER_LOADER_SHA512_H

#include <stddef.h>
#include <stdint.h>

struct sha512 {
    uint64_t state[8];
    uint8_t block[128];
    uint32_t length; /* bytes so far */
};

void sha512_begin(struct sha512 *sha);
void sha512_add(struct sha512 *sha, const uint8_t *bytes, size_t length);
void sha512_end(struct sha512 *sha, uint8_t hash[64]);

#endif
