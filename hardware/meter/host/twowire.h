/* SPDX-License-Identifier: Apache-2.0 */
/* The two converters on their bus, simulated for tests, with faults on request. */
#ifndef LINETAP_METER_HOST_TWOWIRE_H
#define LINETAP_METER_HOST_TWOWIRE_H

#include <stdint.h>

/* `what`: 'n' does not answer (value 1) or answers again (0); 's' holds the data line low, 'S' permanently, for value
   1; 'b' the bits `value` of register `at` are stuck; 'r' as after a loss of supply; 'v' sets register `at` to `value`.
   */
void twowire_is(uint8_t what, uint8_t converter, uint8_t at, uint8_t value);

/* 128 registers of page 0, the number of accepted transfers, of transfers begun before the previous one was done, and
   of recoveries of the bus. */
#define TWOWIRE_SAYS 134u
void twowire_says(uint8_t converter, uint8_t says[TWOWIRE_SAYS]);

#endif
