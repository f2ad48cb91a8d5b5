/* SPDX-License-Identifier: Apache-2.0 */
/* The two recording converters (PCM1865): sets gain and format over their two-wire bus, and checks them in each round.
   After a short loss of its supply a converter records 13 dB too low or in another format, which nobody would notice.
   */
#ifndef LINETAP_METER_CONVERTERS_H
#define LINETAP_METER_CONVERTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "port.h"

#define CONVERTERS 2u
#define CONVERTERS_EVERY_MS 1000u /* interval of the rounds over both */
#define CONVERTERS_TRIES 3u       /* in a round, for each of them */
#define CONVERTERS_WAIT_MS 10u    /* for the transfer of one register, which lasts half a millisecond */

struct converters {
    uint8_t flags;  /* METER_CONVERTER_1, _2: its registers were wrong in its last round */
    uint8_t which;  /* CONVERTERS: the round is over */
    uint8_t at;     /* the register, as an index of the table */
    uint8_t doing;  /* the transfer on the bus */
    uint8_t tries;
    uint8_t waited_ms;
    uint8_t known;  /* bit 0, 1: its registers have been correct since the meter started */
    bool changed;   /* a register had to be written in this round */
    uint64_t next_us;
};

void converters_begin(struct converters *converters);

/* Called with every sample; begins at most one transfer. True if the flags have changed. */
bool converters_look(struct converters *converters, uint64_t now_us);

#endif
