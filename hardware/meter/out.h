/* SPDX-License-Identifier: Apache-2.0 */
/* Sends the meter's frames. */
#ifndef LINETAP_METER_OUT_H
#define LINETAP_METER_OUT_H

#include <stdint.h>

#include "line.h"
#include "protocol.h"

void out_begin(void);
void out_hello(uint32_t boot);
void out_samples(uint64_t at_us, const int16_t volts[][METER_MOST_CHANNELS], unsigned samples);
void out_edge(uint64_t at_us, uint8_t channel, const struct change *change);
void out_status(uint8_t flags);
void out_opened(uint8_t contacts);
void out_beaten(uint64_t stamp, uint64_t at_us);

#endif
