/* SPDX-License-Identifier: Apache-2.0 */
/* Framing: ../meter-protocol.md, "A frame". */
#ifndef LINETAP_METER_FRAME_H
#define LINETAP_METER_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

/* Size on the wire if every byte is escaped. */
#define FRAME_WIRE(payload) (2u + 2u * (METER_HEADER_BYTES + (payload) + METER_CRC_BYTES))
#define FRAME_MOST_WIRE (2u + 2u * METER_MOST_BODY)

struct frame {
    uint8_t type;
    uint16_t sequence;
    const uint8_t *payload; /* valid until the next byte is taken */
    size_t length;
};

struct frame_in {
    uint8_t body[METER_MOST_BODY];
    uint16_t length;
    bool escaped;
    bool spoilt; /* until the next END: the frame is too long, or has an invalid escape */
};

/* Processes one byte of the line. True if it ended a valid frame, which is then in `found`. */
bool frame_take(struct frame_in *in, uint8_t byte, struct frame *found);

/* Writes one frame into `wire`, which has FRAME_WIRE(length) bytes; returns its size. */
size_t frame_write(uint8_t *wire, uint8_t type, uint16_t sequence, const uint8_t *payload, size_t length);

#endif
