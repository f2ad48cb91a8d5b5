/* SPDX-License-Identifier: Apache-2.0 */
/* Converts the ADC's code to the line's voltage. The drawing: VM = VMID + (tip - ring) / 161, VMID half of VREF, which
   is the ADC's reference. */
#ifndef LINETAP_METER_SCALE_H
#define LINETAP_METER_SCALE_H

#include <stdint.h>

#define SCALE_ZERO 32768 /* of 65536: 12 bit, sum of sixteen samples */
#define SCALE_SPAN 48300 /* 0.01 V of line for all of VREF: 3.0 * 161 * 100 */

/* Hundredths of a volt, rounded to the nearest, halves upwards. */
static inline int16_t scale_volts(uint16_t code) {
    const int32_t scaled = ((int32_t)code - SCALE_ZERO) * SCALE_SPAN;
    const int32_t up = scaled + 32768;
    return (int16_t)(up >= 0 ? up / 65536 : -((65535 - up) / 65536));
}

#endif
