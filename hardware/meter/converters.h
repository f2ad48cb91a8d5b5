/* SPDX-License-Identifier: Apache-2.0 */
/* The two converters that record (PCM1865): gain and format, set over their two-wire bus, and looked at again and again.
   One that lost its supply for a moment records 13 dB low or in another format, and nobody would hear why. */
#ifndef LINETAP_METER_CONVERTERS_H
#define LINETAP_METER_CONVERTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "port.h"

#define CONVERTERS 2u
#define CONVERTERS_EVERY_MS 1000u /* a round over both begins so often */
#define CONVERTERS_TRIES 3u       /* in a round, for each of them */
#define CONVERTERS_WAIT_MS 10u    /* for one register's transfer, which takes half a millisecond */

struct converters {
    uint8_t flags;  /* METER_CONVERTER_1, _2: it was not as it has to be in its last round */
    uint8_t which;  /* CONVERTERS: the round is over */
    uint8_t at;     /* the register, as a row of the table */
    uint8_t doing;  /* what is on the bus */
    uint8_t tries;
    uint8_t waited_ms;
    uint8_t known;  /* bit 0, 1: it has been as it has to be since the meter started */
    bool changed;   /* in this round something had to be written to it */
    uint64_t next_us;
};

void converters_begin(struct converters *converters);

/* With every sample: at most one transfer is begun. True: the flags have changed. */
bool converters_look(struct converters *converters, uint64_t now_us);

#endif
