/* SPDX-License-Identifier: Apache-2.0 */
/* The meter itself, independent of the machine; a program has one. Times are microseconds since its start. */
#ifndef LINETAP_METER_METER_H
#define LINETAP_METER_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

/* The measurement of one millisecond. Codes are the ADC's, of 65536. */
struct measured {
    uint16_t lines[METER_MOST_CHANNELS];
    uint16_t tamper;
    bool power_failing;
};

/* Resets everything: relays open, contacts closed, lamps dark. `boot` differs after each start. */
void meter_start(uint32_t boot);

/* Called at each whole multiple of METER_SAMPLE_US of its clock. */
void meter_sample(const struct measured *measured, uint64_t at_us);

/* A byte from linetap, and the time of its arrival. */
void meter_hear(uint8_t byte, uint64_t at_us);

#endif
