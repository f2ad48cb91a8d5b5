/* SPDX-License-Identifier: Apache-2.0 */
#include "out.h"

#include "bytes.h"
#include "frame.h"
#include "port.h"

#define FIRMWARE_MAJOR 1u
#define FIRMWARE_MINOR 2u
#define FIRMWARE_PATCH 0u
#define SAMPLES_PAYLOAD (METER_SAMPLES_BYTES + 2u * METER_MOST_SAMPLES * METER_MOST_CHANNELS)

static uint16_t sequence;

void out_begin(void) {
    sequence = 0;
}

/* A frame that does not fit into the queue is dropped whole, with its number: linetap counts the loss. */
static void send(uint8_t type, const uint8_t *payload, size_t length, size_t spared) {
    static uint8_t wire[FRAME_MOST_WIRE];
    const size_t size = frame_write(wire, type, sequence++, payload, length);
    if (port_room() >= size + spared) {
        port_put(wire, size);
    }
}

void out_hello(uint32_t boot) {
    uint8_t payload[METER_HELLO_BYTES];
    payload[METER_HELLO_OFFSET_VERSION] = METER_VERSION;
    payload[METER_HELLO_OFFSET_CHANNELS] = METER_MOST_CHANNELS;
    put16(payload + METER_HELLO_OFFSET_SAMPLE_US, METER_SAMPLE_US);
    put32(payload + METER_HELLO_OFFSET_BOOT, boot);
    payload[METER_HELLO_OFFSET_FIRMWARE] = FIRMWARE_MAJOR;
    payload[METER_HELLO_OFFSET_MINOR] = FIRMWARE_MINOR;
    payload[METER_HELLO_OFFSET_PATCH] = FIRMWARE_PATCH;
    send(METER_HELLO, payload, sizeof payload, 0);
}

void out_samples(uint64_t at_us, const int16_t volts[][METER_MOST_CHANNELS], unsigned samples) {
    static uint8_t payload[SAMPLES_PAYLOAD];
    size_t size = METER_SAMPLES_BYTES;
    put64(payload + METER_SAMPLES_OFFSET_AT_US, at_us);
    payload[METER_SAMPLES_OFFSET_SAMPLES] = (uint8_t)samples;
    payload[METER_SAMPLES_OFFSET_CHANNELS] = METER_MOST_CHANNELS;
    for (unsigned i = 0; i < samples; i++) {
        for (unsigned channel = 0; channel < METER_MOST_CHANNELS; channel++) {
            put16(payload + size, (uint16_t)volts[i][channel]);
            size += 2;
        }
    }
    send(METER_SAMPLES, payload, size, 0);
}

/* Edges are only useful when samples are missing, so they never use the room kept for samples. */
void out_edge(uint64_t at_us, uint8_t channel, const struct change *change) {
    uint8_t payload[METER_EDGE_BYTES];
    put64(payload + METER_EDGE_OFFSET_AT_US, at_us);
    payload[METER_EDGE_OFFSET_CHANNEL] = channel;
    payload[METER_EDGE_OFFSET_EDGE] = change->edge;
    payload[METER_EDGE_OFFSET_LEVEL] = change->level;
    send(METER_EDGE, payload, sizeof payload,
         FRAME_WIRE(METER_SAMPLES_BYTES + 2u * METER_SAMPLES_A_FRAME * METER_MOST_CHANNELS));
}

void out_status(uint8_t flags) {
    send(METER_STATUS, &flags, sizeof flags, 0);
}

void out_opened(uint8_t contacts) {
    uint8_t payload[METER_OPENED_BYTES];
    put32(payload + METER_OPENED_OFFSET_MASK, contacts);
    send(METER_OPENED, payload, sizeof payload, 0);
}

void out_beaten(uint64_t stamp, uint64_t at_us) {
    uint8_t payload[METER_BEATEN_BYTES];
    put64(payload + METER_BEATEN_OFFSET_STAMP, stamp);
    put64(payload + METER_BEATEN_OFFSET_AT_US, at_us);
    send(METER_BEATEN, payload, sizeof payload, 0);
}
