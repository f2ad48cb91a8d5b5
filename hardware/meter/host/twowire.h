/* SPDX-License-Identifier: Apache-2.0 */
/* The two converters on their bus, as a test has them: well, or as bad as it asks. */
#ifndef LINETAP_METER_HOST_TWOWIRE_H
#define LINETAP_METER_HOST_TWOWIRE_H

#include <stdint.h>

/* `what`: 'n' does not answer (value 1) or does again (0); 's' holds the data line low, 'S' whatever is done about it, for
   value 1; 'b' the bits `value` of register `at` do not change; 'r' as after its supply came back; 'v' register `at` has
   `value`. */
void twowire_is(uint8_t what, uint8_t converter, uint8_t at, uint8_t value);

/* 128 registers of page 0, the transfers that it took, those that were begun while one was not done, and how often the
   bus was freed. */
#define TWOWIRE_SAYS 134u
void twowire_says(uint8_t converter, uint8_t says[TWOWIRE_SAYS]);

#endif
