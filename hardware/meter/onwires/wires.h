/* SPDX-License-Identifier: Apache-2.0 */
/* The wires of a simulated card, which the exchange writes: firmware/unit/linetap/board/wires.py defines the file. */
#ifndef LINETAP_METER_WIRES_H
#define LINETAP_METER_WIRES_H

#include <stdint.h>

#include "../protocol.h"

/* Ends the program with status 2 and the reason if there are none. */
void wires_attach(const char *path);

/* The voltages in hundredths of a volt at this millisecond of CLOCK_MONOTONIC. A line that nobody writes any more has
   none, and so has a channel without a line. */
void wires_volts(int64_t at_ms, int16_t volts[METER_MOST_CHANNELS]);

/* Bit 0 is line 1; set is closed. */
void wires_relays(uint8_t closed);

/* An edge of the command to open these contacts. */
void wires_contacts_edge(uint8_t open, int64_t now_ms);

#endif
