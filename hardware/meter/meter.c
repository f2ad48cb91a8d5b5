/* SPDX-License-Identifier: Apache-2.0 */
#include "meter.h"

#include "bytes.h"
#include "contacts.h"
#include "converters.h"
#include "frame.h"
#include "inputs.h"
#include "lamps.h"
#include "line.h"
#include "out.h"
#include "relays.h"
#include "scale.h"

static struct {
    struct frame_in in;
    struct line lines[METER_MOST_CHANNELS];
    struct relays relays;
    struct contacts contacts;
    struct lamps lamps;
    struct inputs inputs;
    struct converters converters;
    int16_t volts[METER_SAMPLES_A_FRAME][METER_MOST_CHANNELS]; /* waiting for their frame */
    unsigned waiting;
    uint64_t first_us; /* time of the first of them */
    uint64_t hello_us, status_us; /* times of the next ones */
    uint32_t boot;
} meter;

void meter_start(uint32_t boot) {
    meter.in = (struct frame_in){.length = 0};
    for (unsigned i = 0; i < METER_MOST_CHANNELS; i++) {
        line_begin(&meter.lines[i]);
    }
    relays_begin(&meter.relays);
    contacts_begin(&meter.contacts);
    lamps_begin(&meter.lamps);
    inputs_begin(&meter.inputs);
    converters_begin(&meter.converters);
    meter.waiting = 0;
    meter.hello_us = meter.status_us = 0;
    meter.boot = boot;
    out_begin();
}

static void send_waiting(void) {
    if (meter.waiting) {
        out_samples(meter.first_us, (const int16_t(*)[METER_MOST_CHANNELS])meter.volts, meter.waiting);
        meter.waiting = 0;
    }
}

static void say_status(void) {
    out_status(meter.inputs.flags | meter.converters.flags);
}

static void follow_line(uint8_t channel, int16_t volts, uint64_t at_us) {
    struct change changes[LINE_MOST_CHANGES];
    const unsigned found = line_sample(&meter.lines[channel], volts, changes);
    for (unsigned i = 0; i < found; i++) {
        out_edge(at_us - (uint64_t)changes[i].ago * METER_SAMPLE_US, channel, &changes[i]);
    }
}

/* Whether it is time to repeat: at whole multiples of the interval, independent of other messages between. */
static bool due(uint64_t *next_us, uint32_t every_ms, uint64_t now_us) {
    if (now_us < *next_us) {
        return false;
    }
    *next_us = (now_us / (every_ms * 1000u) + 1u) * (every_ms * 1000u);
    return true;
}

void meter_sample(const struct measured *measured, uint64_t at_us) {
    if (meter.waiting && at_us != meter.first_us + meter.waiting * METER_SAMPLE_US) {
        send_waiting(); /* a sample was missed, and a frame has no gaps */
    }
    if (!meter.waiting) {
        meter.first_us = at_us;
    }
    for (uint8_t channel = 0; channel < METER_MOST_CHANNELS; channel++) {
        const int16_t volts = scale_volts(measured->lines[channel]);
        meter.volts[meter.waiting][channel] = volts;
        follow_line(channel, volts, at_us);
    }
    meter.waiting++;
    relays_look(&meter.relays, at_us);
    if (contacts_look(&meter.contacts, at_us)) {
        out_opened(meter.contacts.open);
    }
    lamps_look(&meter.lamps, at_us);
    bool changed = inputs_look(&meter.inputs, measured->tamper, measured->power_failing);
    changed |= converters_look(&meter.converters, at_us);
    if (changed) {
        say_status();
    }
    if (meter.waiting < METER_SAMPLES_A_FRAME) {
        return;
    }
    if (due(&meter.hello_us, METER_HELLO_EVERY_MS, at_us)) {
        out_hello(meter.boot);
    }
    if (due(&meter.status_us, METER_STATUS_EVERY_MS, at_us)) {
        say_status();
        out_opened(meter.contacts.open);
    }
    send_waiting();
}

static int16_t limit(const uint8_t *at) {
    const uint16_t value = get16(at);
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value);
}

/* Limits that linetap does not send, because it is older or has fewer lines, keep their values. */
static void take_limits(const uint8_t *each, unsigned channels, size_t length) {
    if (length < 4u * channels) {
        return;
    }
    const bool more = length >= 8u * channels;
    for (unsigned i = 0; i < channels && i < METER_MOST_CHANNELS; i++) {
        struct limits *limits = &meter.lines[i].limits;
        limits->off_below = limit(each + 4u * i);
        limits->on_above = limit(each + 4u * i + 2u);
        if (more) {
            limits->fall = limit(each + 4u * channels + 4u * i);
            limits->no_line = limit(each + 4u * channels + 4u * i + 2u);
        }
    }
}

static void take(const struct frame *frame, uint64_t at_us) {
    const uint8_t *said = frame->payload;
    const size_t length = frame->length;
    if (frame->type == METER_BEAT && length >= METER_BEAT_BYTES) {
        lamps_beat(&meter.lamps, at_us);
        out_beaten(get64(said + METER_BEAT_OFFSET_STAMP), at_us);
    } else if (frame->type == METER_LIGHTS && length >= METER_LIGHTS_BYTES) {
        const unsigned channels = said[METER_LIGHTS_OFFSET_CHANNELS];
        if (length >= METER_LIGHTS_BYTES + channels) {
            lamps_say(&meter.lamps, said + METER_LIGHTS_BYTES, channels);
        }
    } else if (frame->type == METER_LIMITS && length >= METER_LIMITS_BYTES) {
        take_limits(said + METER_LIMITS_BYTES, said[METER_LIMITS_OFFSET_CHANNELS], length - METER_LIMITS_BYTES);
    } else if (frame->type == METER_RELAYS && length >= METER_RELAYS_BYTES) {
        relays_command(&meter.relays, (uint8_t)get32(said + METER_RELAYS_OFFSET_MASK),
                       get16(said + METER_RELAYS_OFFSET_EXPIRY_MS), at_us);
    } else if (frame->type == METER_CONTACTS && length >= METER_CONTACTS_BYTES) {
        contacts_command(&meter.contacts, (uint8_t)get32(said + METER_CONTACTS_OFFSET_MASK),
                         get16(said + METER_CONTACTS_OFFSET_EXPIRY_MS), at_us);
    }
}

void meter_hear(uint8_t byte, uint64_t at_us) {
    struct frame frame;
    if (frame_take(&meter.in, byte, &frame)) {
        take(&frame, at_us);
    }
}
