/* SPDX-License-Identifier: Apache-2.0 */
/* What the meter asks of the machine it runs on. What the machine has to give it are the calls of meter.h. */
#ifndef LINETAP_METER_PORT_H
#define LINETAP_METER_PORT_H

#include <stddef.h>
#include <stdint.h>

/* How many bytes the queue to the host takes now. */
size_t port_room(void);

/* Into that queue; never more than port_room(). */
void port_put(const uint8_t *bytes, size_t length);

/* Bit 0 is line 1; set is closed. */
void port_relays(uint8_t closed);

/* Series contacts, bit 0 line 1; set is open. A pin that is set is nothing by itself: the card opens a contact while
   edges come, one with each call of port_contacts_edge, and closes it when they stop or last for too long. */
void port_contacts(uint8_t open);
void port_contacts_edge(void);

/* The line lamps, bit 0 line 1; both lit is yellow. */
void port_lamps(uint8_t green, uint8_t red);

/* The converters' two-wire bus: one register of one of them at a time. Each begins; how it ends is asked afterwards. */
enum wire_is { WIRE_BUSY, WIRE_DONE, WIRE_FAILED };
void port_wire_read(uint8_t address, uint8_t at);
void port_wire_write(uint8_t address, uint8_t at, uint8_t value);
enum wire_is port_wire_look(uint8_t *value); /* of a read that is done */

/* What was begun is given up, and whoever holds the bus is made to let go. */
void port_wire_free(void);

#endif
