/* SPDX-License-Identifier: Apache-2.0 */
/* The line lamps: what linetap said of each line, as a colour and a rhythm. */
#ifndef LINETAP_METER_LAMPS_H
#define LINETAP_METER_LAMPS_H

#include <stdint.h>

#include "protocol.h"

struct lamps {
    uint8_t said[METER_MOST_CHANNELS]; /* METER_LED_... */
    uint64_t beat_us;                  /* when linetap was last heard of */
    uint8_t green, red;                /* as they are lit */
};

/* All dark. */
void lamps_begin(struct lamps *lamps);

void lamps_say(struct lamps *lamps, const uint8_t *leds, unsigned channels);
void lamps_beat(struct lamps *lamps, uint64_t at_us);

/* With every sample. Without a beat for METER_LAMPS_EXPIRY_MS whatever was said is stale: every lamp shows a fault. */
void lamps_look(struct lamps *lamps, uint64_t now_us);

#endif
