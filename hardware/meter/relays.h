/* SPDX-License-Identifier: Apache-2.0 */
/* Relays that open by themselves unless the command is repeated in time. */
#ifndef LINETAP_METER_RELAYS_H
#define LINETAP_METER_RELAYS_H

#include <stdint.h>

struct relays {
    uint8_t closed;
    uint64_t until_us;
};

/* All open, whatever they were. */
void relays_begin(struct relays *relays);

/* A command is valid for METER_RELAY_EXPIRY_MS at most: a wrong one must not hold a line. */
void relays_command(struct relays *relays, uint8_t closed, uint16_t expiry_ms, uint64_t at_us);

/* Called with every sample. */
void relays_look(struct relays *relays, uint64_t now_us);

#endif
