/* SPDX-License-Identifier: Apache-2.0 */
#include "inputs.h"

#include "protocol.h"

/* The loop's 10k to 3.3 V and the 10k at its end divide by two; a cut or shorted wire reads one of the limits. */
#define LOOP_LEAST 16384u
#define LOOP_MOST 49152u
#define LOOP_MS 50u /* a shaking door is not open */
#define POWER_MS 2u /* the capacitors last for seconds: a spike must not shut the Pi down */

void inputs_begin(struct inputs *inputs) {
    inputs->flags = 0;
    inputs->loop_ms = inputs->power_ms = 0;
}

static bool follow(struct inputs *inputs, uint8_t flag, bool set, uint8_t *for_ms, uint8_t needed_ms) {
    if (((inputs->flags & flag) != 0) == set) {
        *for_ms = 0;
        return false;
    }
    if (++*for_ms < needed_ms) {
        return false;
    }
    *for_ms = 0;
    inputs->flags ^= flag;
    return true;
}

bool inputs_look(struct inputs *inputs, uint16_t loop, bool power_failing) {
    const bool tamper = loop < LOOP_LEAST || loop > LOOP_MOST;
    bool changed = follow(inputs, METER_TAMPER, tamper, &inputs->loop_ms, LOOP_MS);
    changed |= follow(inputs, METER_POWER_FAIL, power_failing, &inputs->power_ms, POWER_MS);
    return changed;
}
