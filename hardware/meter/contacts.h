/* SPDX-License-Identifier: Apache-2.0 */
/* Series contacts, each with a one-shot: open while commanded again and again, and never for long. */
#ifndef LINETAP_METER_CONTACTS_H
#define LINETAP_METER_CONTACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

struct contacts {
    uint8_t open;
    uint8_t spent; /* were open: they open again after METER_CONTACT_REST_MS without a command */
    uint8_t asked;
    uint64_t until_us; /* for how long the command is believed */
    uint64_t since_us[METER_MOST_CHANNELS]; /* when it opened, or was last asked for */
};

/* All closed, and spent: a meter that restarts in the middle of an opening does not open again. */
void contacts_begin(struct contacts *contacts);

/* No command is believed for longer than METER_CONTACT_EXPIRY_MS. */
void contacts_command(struct contacts *contacts, uint8_t open, uint16_t expiry_ms, uint64_t at_us);

/* With every sample. True: others are open than before. */
bool contacts_look(struct contacts *contacts, uint64_t now_us);

#endif
