/* SPDX-License-Identifier: Apache-2.0 */
/* The housing's switch and the supply's warning, as the flags of `status`. */
#ifndef LINETAP_METER_INPUTS_H
#define LINETAP_METER_INPUTS_H

#include <stdbool.h>
#include <stdint.h>

struct inputs {
    uint8_t flags; /* METER_TAMPER, METER_POWER_FAIL */
    uint8_t loop_ms, power_ms; /* for how long each has said otherwise */
};

void inputs_begin(struct inputs *inputs);

/* With every sample: the ADC's code of the tamper loop (of 65536), and whether the supply says that it is going.
   True: the flags have changed. */
bool inputs_look(struct inputs *inputs, uint16_t loop, bool power_failing);

#endif
