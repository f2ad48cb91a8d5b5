/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's interface to the part's flash. Places are bytes from its beginning. */
#ifndef LINETAP_METER_LOADER_FLASH_H
#define LINETAP_METER_LOADER_FLASH_H

#include <stdbool.h>
#include <stdint.h>

const uint8_t *flash_at(uint32_t place);
bool flash_erase(uint32_t place);                         /* the page that begins there */
bool flash_write(uint32_t place, const uint8_t bytes[8]); /* the bytes must be erased */

#endif
