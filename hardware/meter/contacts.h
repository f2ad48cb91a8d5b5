/* SPDX-License-Identifier: Apache-2.0 */
/* Series contacts, each with a one-shot: a contact is open while the command is repeated, and only for a limited time.
   */
#ifndef LINETAP_METER_CONTACTS_H
#define LINETAP_METER_CONTACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

struct contacts {
    uint8_t open;
    uint8_t spent; /* already used: they open again only after METER_CONTACT_REST_MS without a command */
    uint8_t asked;
    uint64_t until_us; /* end of the command's validity */
    uint64_t since_us[METER_MOST_CHANNELS]; /* time of the opening, or of the last command */
};

/* All closed, and spent: a meter that restarts during an opening does not open again. */
void contacts_begin(struct contacts *contacts);

/* A command is valid for METER_CONTACT_EXPIRY_MS at most. */
void contacts_command(struct contacts *contacts, uint8_t open, uint16_t expiry_ms, uint64_t at_us);

/* Called with every sample. True if the set of open contacts has changed. */
bool contacts_look(struct contacts *contacts, uint64_t now_us);

#endif
