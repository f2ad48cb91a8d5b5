/* SPDX-License-Identifier: Apache-2.0 */
/* Framing: ../meter-protocol.md, "A frame". */
#ifndef LINETAP_METER_FRAME_H
#define LINETAP_METER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

/* On the wire, where every byte has to be escaped. */
#define FRAME_WIRE(payload) (2u + 2u * (METER_HEADER_BYTES + (payload) + METER_CRC_BYTES))
#define FRAME_MOST_WIRE (2u + 2u * METER_MOST_BODY)
#define FRAME_MOST_PAYLOAD (METER_MOST_BODY - METER_HEADER_BYTES - METER_CRC_BYTES)

struct frame {
    uint8_t type;
    uint16_t sequence;
    const uint8_t *payload; /* until the next byte is taken */
    size_t length;
};

struct frame_in {
    uint8_t body[METER_MOST_BODY];
    uint16_t length;
    bool escaped;
    bool spoilt; /* until the next END: too long, or an escape of nothing */
};

/* One byte of the line. True: it ended a whole frame, which `found` is. */
bool frame_take(struct frame_in *in, uint8_t byte, struct frame *found);

/* One frame for the line into `wire`, which has FRAME_WIRE(length) bytes; how many it takes. */
size_t frame_write(uint8_t *wire, uint8_t type, uint16_t sequence, const uint8_t *payload, size_t length);

#endif
