/* SPDX-License-Identifier: Apache-2.0 */
/* A part has 64 000 cycles for eight lines. Therefore the sum is updated with each sample, and the extremes are
   searched again only when one of them leaves the window; only if they are far apart is the whole window examined. */
#include "window.h"

#define RING ((int32_t)METER_RING_WINDOW_MS)

void window_begin(struct window *window, int16_t volts) {
    for (unsigned i = 0; i < WINDOW_PAST; i++) {
        window->past[i] = volts;
    }
    window->at = 0;
    window->sum = RING * volts;
    window->highest = window->lowest = volts;
    window->highest_ago = window->lowest_ago = 0;
}

int16_t window_back(const struct window *window, unsigned samples) {
    const unsigned at = window->at + WINDOW_PAST - samples;
    return window->past[at >= WINDOW_PAST ? at - WINDOW_PAST : at];
}

static void look_for_ends(struct window *window) {
    window->highest = INT16_MIN;
    window->lowest = INT16_MAX;
    for (unsigned ago = METER_RING_WINDOW_MS; ago-- > 0;) { /* the oldest first: of two equal ones the later stays */
        const int16_t volts = window_back(window, ago + 1);
        if (volts >= window->highest) {
            window->highest = volts;
            window->highest_ago = (uint8_t)ago;
        }
        if (volts <= window->lowest) {
            window->lowest = volts;
            window->lowest_ago = (uint8_t)ago;
        }
    }
}

void window_push(struct window *window, int16_t volts) {
    window->sum += volts - window_back(window, METER_RING_WINDOW_MS);
    window->past[window->at] = volts;
    window->at = (uint8_t)(window->at + 1 == WINDOW_PAST ? 0 : window->at + 1);
    window->highest_ago++;
    window->lowest_ago++;
    if (volts >= window->highest) {
        window->highest = volts;
        window->highest_ago = 0;
    }
    if (volts <= window->lowest) {
        window->lowest = volts;
        window->lowest_ago = 0;
    }
    if (window->highest_ago >= METER_RING_WINDOW_MS || window->lowest_ago >= METER_RING_WINDOW_MS) {
        look_for_ends(window);
    }
}

static int32_t floor_of(int32_t sum) {
    return sum >= 0 ? sum / RING : -((RING - 1 - sum) / RING);
}

bool window_rings(const struct window *window) {
    const int32_t peak = (int32_t)METER_RING_PEAK;
    if (window->highest - window->lowest < 2 * peak) {
        return false;
    }
    /* Integers are beyond the mean and the peak exactly if they are beyond these. */
    const int32_t above_v = floor_of(window->sum + RING * peak);
    const int32_t below_v = -floor_of(-(window->sum - RING * peak));
    unsigned above = 0, below = 0;
    for (unsigned i = 1; i <= METER_RING_WINDOW_MS; i++) {
        const int16_t volts = window_back(window, i);
        above += volts > above_v;
        below += volts < below_v;
        if (above >= METER_RING_SHARE_MS && below >= METER_RING_SHARE_MS) {
            return true;
        }
    }
    return false;
}
