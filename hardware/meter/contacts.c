/* SPDX-License-Identifier: Apache-2.0 */
#include "contacts.h"

#include "port.h"

void contacts_begin(struct contacts *contacts) {
    *contacts = (struct contacts){.spent = 0xffu};
    port_contacts(0);
}

void contacts_command(struct contacts *contacts, uint8_t open, uint16_t expiry_ms, uint64_t at_us) {
    const uint16_t believed = expiry_ms < METER_CONTACT_EXPIRY_MS ? expiry_ms : (uint16_t)METER_CONTACT_EXPIRY_MS;
    contacts->asked = open;
    contacts->until_us = at_us + believed * 1000u;
}

static void follow(struct contacts *contacts, unsigned channel, bool asked, uint64_t now_us) {
    const uint8_t bit = (uint8_t)(1u << channel);
    uint64_t *since_us = &contacts->since_us[channel];
    const uint64_t lasted_us = now_us - *since_us;
    if (contacts->open & bit) {
        if (!asked || lasted_us >= METER_CONTACT_MOST_MS * 1000u) {
            contacts->open = (uint8_t)(contacts->open & ~bit);
            contacts->spent |= bit;
            *since_us = now_us;
        }
    } else if (asked) {
        if (!(contacts->spent & bit)) {
            contacts->open |= bit;
        }
        *since_us = now_us;
    } else if (lasted_us >= METER_CONTACT_REST_MS * 1000u) {
        contacts->spent = (uint8_t)(contacts->spent & ~bit);
    }
}

bool contacts_look(struct contacts *contacts, uint64_t now_us) {
    const uint8_t before = contacts->open;
    const uint8_t asked = now_us < contacts->until_us ? contacts->asked : 0;
    for (unsigned channel = 0; channel < METER_MOST_CHANNELS; channel++) {
        follow(contacts, channel, (asked >> channel & 1u) != 0, now_us);
    }
    if (contacts->open != before) {
        port_contacts(contacts->open);
    }
    if (contacts->open) {
        port_contacts_edge();
    }
    return contacts->open != before;
}
