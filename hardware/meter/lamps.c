/* SPDX-License-Identifier: Apache-2.0 */
#include "lamps.h"

#include "port.h"

#define LEDS (METER_LED_RED + 1u)

static const uint8_t COLOURS[LEDS] = METER_LAMP_COLOURS;
static const uint8_t RHYTHMS[LEDS] = METER_LAMP_RHYTHMS; /* an eighth of a second a bit, the lowest first */

void lamps_begin(struct lamps *lamps) {
    for (unsigned i = 0; i < METER_MOST_CHANNELS; i++) {
        lamps->said[i] = METER_LED_DARK;
    }
    lamps->beat_us = 0;
    lamps->green = lamps->red = 0;
    port_lamps(0, 0);
}

void lamps_say(struct lamps *lamps, const uint8_t *leds, unsigned channels) {
    for (unsigned i = 0; i < METER_MOST_CHANNELS; i++) {
        lamps->said[i] = i < channels && leds[i] < LEDS ? leds[i] : METER_LED_DARK;
    }
}

void lamps_beat(struct lamps *lamps, uint64_t at_us) {
    lamps->beat_us = at_us;
}

void lamps_look(struct lamps *lamps, uint64_t now_us) {
    const unsigned step = (unsigned)(now_us / (METER_LAMP_STEP_MS * 1000u)) % 8u;
    const int stale = now_us >= lamps->beat_us + METER_LAMPS_EXPIRY_MS * 1000u;
    uint8_t green = 0, red = 0;
    for (unsigned i = 0; i < METER_MOST_CHANNELS; i++) {
        const uint8_t said = lamps->said[i];
        const uint8_t led = stale && said != METER_LED_DARK ? METER_LED_FAULT : said;
        if (RHYTHMS[led] >> step & 1u) {
            green = (uint8_t)(green | (COLOURS[led] & METER_LAMP_GREEN ? 1u << i : 0u));
            red = (uint8_t)(red | (COLOURS[led] & METER_LAMP_RED ? 1u << i : 0u));
        }
    }
    if (green != lamps->green || red != lamps->red) {
        lamps->green = green;
        lamps->red = red;
        port_lamps(green, red);
    }
}
