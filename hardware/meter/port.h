/* SPDX-License-Identifier: Apache-2.0 */
/* The meter's interface to its machine. The machine calls the functions of meter.h. */
#ifndef LINETAP_METER_PORT_H
#define LINETAP_METER_PORT_H

#include <stddef.h>
#include <stdint.h>

/* The free bytes of the queue to the host. */
size_t port_room(void);

/* Writes into that queue; never more than port_room(). */
void port_put(const uint8_t *bytes, size_t length);

/* Bit 0 is line 1; set is closed. */
void port_relays(uint8_t closed);

/* Series contacts, bit 0 line 1; set is open. A constant pin has no effect: the card opens a contact while edges
   arrive, one with each call of port_contacts_edge, and closes it when they end or last for too long. */
void port_contacts(uint8_t open);
void port_contacts_edge(void);

/* The line lamps, bit 0 line 1; both lit is yellow. */
void port_lamps(uint8_t green, uint8_t red);

/* The converters' two-wire bus: one register of one converter at a time. These start a transfer; port_wire_look reports
   its end. */
enum wire_is { WIRE_BUSY, WIRE_DONE, WIRE_FAILED };
void port_wire_read(uint8_t address, uint8_t at);
void port_wire_write(uint8_t address, uint8_t at, uint8_t value);
enum wire_is port_wire_look(uint8_t *value); /* the value of a completed read */

/* Aborts the transfer, and makes a slave release the bus. */
void port_wire_free(void);

#endif
