/* SPDX-License-Identifier: Apache-2.0 */
/* Relays that open by themselves: what is not commanded again in time. */
#ifndef LINETAP_METER_RELAYS_H
#define LINETAP_METER_RELAYS_H

#include <stdint.h>

struct relays {
    uint8_t closed;
    uint64_t until_us;
};

/* All open, whatever they were. */
void relays_begin(struct relays *relays);

/* No command is believed for longer than METER_RELAY_EXPIRY_MS: a wrong one must not hold a line. */
void relays_command(struct relays *relays, uint8_t closed, uint16_t expiry_ms, uint64_t at_us);

/* With every sample. */
void relays_look(struct relays *relays, uint64_t now_us);

#endif
