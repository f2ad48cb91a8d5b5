/* SPDX-License-Identifier: Apache-2.0 */
/* The line lamps: colour and rhythm of the state that linetap has sent for each line. */
#ifndef LINETAP_METER_LAMPS_H
#define LINETAP_METER_LAMPS_H

#include <stdint.h>

#include "protocol.h"

struct lamps {
    uint8_t said[METER_MOST_CHANNELS]; /* METER_LED_... */
    uint64_t beat_us;                  /* time of the last beat from linetap */
    uint8_t green, red;                /* lamps currently lit */
};

/* All dark. */
void lamps_begin(struct lamps *lamps);

void lamps_say(struct lamps *lamps, const uint8_t *leds, unsigned channels);
void lamps_beat(struct lamps *lamps, uint64_t at_us);

/* Called with every sample. Without a beat for METER_LAMPS_EXPIRY_MS the states are stale: every lamp shows a fault. */
void lamps_look(struct lamps *lamps, uint64_t now_us);

#endif
