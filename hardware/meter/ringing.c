/* SPDX-License-Identifier: Apache-2.0 */
#include "ringing.h"

#include "protocol.h"

bool ringing(const int16_t *past, unsigned size, unsigned after) {
    const int32_t window = (int32_t)METER_RING_WINDOW_MS;
    const unsigned first = (after + size - METER_RING_WINDOW_MS) % size;
    int32_t sum = 0;
    for (unsigned i = 0, at = first; i < METER_RING_WINDOW_MS; i++) {
        sum += past[at];
        at = at + 1 == size ? 0 : at + 1;
    }
    /* Against the sum, not the mean: nothing is lost by a division that does not come out even. */
    const int32_t peak = window * (int32_t)METER_RING_PEAK;
    unsigned above = 0, below = 0;
    for (unsigned i = 0, at = first; i < METER_RING_WINDOW_MS; i++) {
        const int32_t here = window * past[at] - sum;
        above += here > peak;
        below += here < -peak;
        at = at + 1 == size ? 0 : at + 1;
    }
    return above >= METER_RING_SHARE_MS && below >= METER_RING_SHARE_MS;
}
