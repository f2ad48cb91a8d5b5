/* SPDX-License-Identifier: Apache-2.0 */
/* Writes another program into flash. It is received into the staged area unchecked, and copied over the running program
   only when it is complete and its signature verified. At any moment one of the two is whole, or the next start repeats
   the copy. */
#ifndef LINETAP_METER_LOADER_UPDATE_H
#define LINETAP_METER_LOADER_UPDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "dfu.h"

/* Called at a start: completes an interrupted copy. Returns whether there is a program to run. */
bool update_start(void);

/* The next block is the first of a new image. */
void update_begin(void);

/* Time that the next block may take: the first block of a page includes its erasure. */
uint16_t update_block_ms(void);

/* Stores the next block; all but the last are multiples of eight bytes. Returns DFU_OK or DFU's error code. */
enum dfu_status update_block(const uint8_t *bytes, uint32_t length);

/* Ends the image: verifies it, and copies it. */
enum dfu_status update_end(void);

#endif
