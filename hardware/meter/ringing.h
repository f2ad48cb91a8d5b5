/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LINETAP_METER_RINGING_H
#define LINETAP_METER_RINGING_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the last METER_RING_WINDOW_MS samples of the ring `past` alternate: far enough from their mean, to both
   sides, for long enough. `after` is the place behind the newest. */
bool ringing(const int16_t *past, unsigned size, unsigned after);

#endif
