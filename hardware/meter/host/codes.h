/* SPDX-License-Identifier: Apache-2.0 */
/* The measurements of a meter that is given voltages instead of an ADC. */
#ifndef LINETAP_METER_HOST_CODES_H
#define LINETAP_METER_HOST_CODES_H

#include <stdint.h>

#include "../scale.h"

/* The code whose voltage is this many hundredths of a volt: a code is less than a hundredth. */
static inline uint16_t code_of(int16_t volts) {
    const int64_t scaled = (int64_t)volts * 65536;
    const int64_t half = scaled < 0 ? -(SCALE_SPAN / 2) : SCALE_SPAN / 2;
    const int64_t code = (scaled + half) / SCALE_SPAN + SCALE_ZERO;
    return (uint16_t)(code < 0 ? 0 : code > UINT16_MAX ? UINT16_MAX : code);
}

#endif
