/* SPDX-License-Identifier: Apache-2.0 */
/* Another program into flash. It comes into the staged area, whatever it is; only when all of it is there and signed is it
   copied over the one that runs. So at any moment one of the two is whole, or the copy begins again at the next start. */
#ifndef LINETAP_METER_LOADER_UPDATE_H
#define LINETAP_METER_LOADER_UPDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "dfu.h"

/* At a start: ends a copy that was cut off. Whether there is a program to run. */
bool update_start(void);

/* The first of a new image's blocks comes next. */
void update_begin(void);

/* How long the next block may take: the first of a page waits until that is erased. */
uint16_t update_block_ms(void);

/* One block more, in order; all but the last are whole multiples of eight bytes. DFU_OK or what DFU calls it. */
enum dfu_status update_block(const uint8_t *bytes, uint32_t length);

/* That was the last: judges it, and copies it. */
enum dfu_status update_end(void);

#endif
