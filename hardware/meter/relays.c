/* SPDX-License-Identifier: Apache-2.0 */
#include "relays.h"

#include "port.h"
#include "protocol.h"

static void set(struct relays *relays, uint8_t closed) {
    if (closed != relays->closed) {
        relays->closed = closed;
        port_relays(closed);
    }
}

void relays_begin(struct relays *relays) {
    relays->closed = 0;
    relays->until_us = 0;
    port_relays(0);
}

void relays_command(struct relays *relays, uint8_t closed, uint16_t expiry_ms, uint64_t at_us) {
    const uint16_t believed = expiry_ms < METER_RELAY_EXPIRY_MS ? expiry_ms : (uint16_t)METER_RELAY_EXPIRY_MS;
    relays->until_us = at_us + believed * 1000u;
    set(relays, believed == 0 ? 0 : closed);
}

void relays_look(struct relays *relays, uint64_t now_us) {
    if (now_us >= relays->until_us) {
        set(relays, 0);
    }
}
