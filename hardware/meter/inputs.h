/* SPDX-License-Identifier: Apache-2.0 */
/* The housing's tamper switch and the supply's warning, as the flags of `status`. */
#ifndef LINETAP_METER_INPUTS_H
#define LINETAP_METER_INPUTS_H

#include <stdbool.h>
#include <stdint.h>

struct inputs {
    uint8_t flags; /* METER_TAMPER, METER_POWER_FAIL */
    uint8_t loop_ms, power_ms; /* time for which each input has differed from its flag */
};

void inputs_begin(struct inputs *inputs);

/* Called with every sample: the ADC's code of the tamper loop (of 65536), and whether the supply warns of its end. True
   if the flags have changed. */
bool inputs_look(struct inputs *inputs, uint16_t loop, bool power_failing);

#endif
