/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LINETAP_METER_CRC_H
#define LINETAP_METER_CRC_H

#include <stddef.h>
#include <stdint.h>

#define CRC_RESIDUE 0x2144df1cu /* the CRC of any data followed by its own CRC */

/* CRC-32 (IEEE 802.3) of `length` bytes, as zlib's. */
uint32_t crc32(const uint8_t *bytes, size_t length);

#endif
