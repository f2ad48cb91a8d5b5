/* SPDX-License-Identifier: Apache-2.0 */
/* The last tenth of a second of one line, in hundredths of a volt. */
#ifndef LINETAP_METER_WINDOW_H
#define LINETAP_METER_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

#define WINDOW_PAST METER_STEADY_MS /* the longest look-back */

struct window {
    int16_t past[WINDOW_PAST]; /* a ring; `at` is the oldest, which the next one replaces */
    uint8_t at;
    /* Of the last METER_RING_WINDOW_MS of them: */
    int32_t sum;
    int16_t highest, lowest;
    uint8_t highest_ago, lowest_ago;
};

/* Starts as if the voltage had always been `volts`. */
void window_begin(struct window *window, int16_t volts);

void window_push(struct window *window, int16_t volts);

/* The sample at this distance before the next one: 1 is the last, WINDOW_PAST the oldest. */
int16_t window_back(const struct window *window, unsigned samples);

/* Whether it alternates: far enough from its mean, to both sides, for long enough. */
bool window_rings(const struct window *window);

#endif
