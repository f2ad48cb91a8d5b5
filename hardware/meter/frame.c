/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include "bytes.h"
#include "crc.h"

static void begin(struct frame_in *in) {
    in->length = 0;
    in->escaped = false;
    in->spoilt = false;
}

static bool ended(struct frame_in *in, struct frame *found) {
    const size_t length = in->length;
    const bool whole = !in->spoilt && !in->escaped && length >= METER_HEADER_BYTES + METER_CRC_BYTES;
    begin(in);
    if (!whole || crc32(in->body, length) != CRC_RESIDUE) {
        return false;
    }
    found->type = in->body[0];
    found->sequence = get16(in->body + 1);
    found->payload = in->body + METER_HEADER_BYTES;
    found->length = length - METER_HEADER_BYTES - METER_CRC_BYTES;
    return true;
}

bool frame_take(struct frame_in *in, uint8_t byte, struct frame *found) {
    if (byte == METER_END) {
        return ended(in, found);
    }
    if (in->escaped) {
        in->escaped = false;
        if (byte != METER_ESC_END && byte != METER_ESC_ESC) {
            in->spoilt = true;
        }
        byte = byte == METER_ESC_END ? METER_END : METER_ESC;
    } else if (byte == METER_ESC) {
        in->escaped = true;
        return false;
    }
    if (in->length == METER_MOST_BODY) {
        in->spoilt = true;
    } else {
        in->body[in->length++] = byte;
    }
    return false;
}

static size_t put(uint8_t *wire, size_t at, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        const uint8_t byte = bytes[i];
        if (byte == METER_END || byte == METER_ESC) {
            wire[at++] = METER_ESC;
            wire[at++] = byte == METER_END ? METER_ESC_END : METER_ESC_ESC;
        } else {
            wire[at++] = byte;
        }
    }
    return at;
}

size_t frame_write(uint8_t *wire, uint8_t type, uint16_t sequence, const uint8_t *payload, size_t length) {
    static uint8_t body[METER_MOST_BODY]; /* not on the stack: this function is never re-entered */
    size_t size = METER_HEADER_BYTES;
    body[0] = type;
    put16(body + 1, sequence);
    for (size_t i = 0; i < length; i++) {
        body[size++] = payload[i];
    }
    put32(body + size, crc32(body, size));
    size += METER_CRC_BYTES;
    wire[0] = METER_END;
    const size_t end = put(wire, 1, body, size);
    wire[end] = METER_END;
    return end + 1;
}
