/* SPDX-License-Identifier: Apache-2.0 */
/* Written by tools/meter_header.py from linetap/board/meter/protocol.py; see ../meter-protocol.md. */
#ifndef LINETAP_METER_PROTOCOL_H
#define LINETAP_METER_PROTOCOL_H

#define METER_VERSION 1u
#define METER_BAUD 460800u
#define METER_END 192u
#define METER_ESC 219u
#define METER_ESC_END 220u
#define METER_ESC_ESC 221u
#define METER_MOST_CHANNELS 8u
#define METER_SAMPLE_US 1000u
#define METER_SAMPLES_A_FRAME 5u
#define METER_MOST_SAMPLES 10u
#define METER_HELLO_EVERY_MS 1000u
#define METER_STATUS_EVERY_MS 250u
#define METER_BEAT_EVERY_MS 100u
#define METER_RELAY_EXPIRY_MS 500u
#define METER_CONTACT_EXPIRY_MS 300u
#define METER_CONTACT_MOST_MS 3000u
#define METER_CONTACT_REST_MS 3000u
#define METER_TAMPER 1u
#define METER_POWER_FAIL 2u
#define METER_CONVERTER_1 4u
#define METER_CONVERTER_2 8u
#define METER_MOST_BODY 177u
#define METER_LAMPS_EXPIRY_MS 1000u
#define METER_LAMP_STEP_MS 125u
#define METER_LAMP_GREEN 1u
#define METER_LAMP_RED 2u
#define METER_HEADER_BYTES 3u
#define METER_CRC_BYTES 4u

/* What a voltage means, by the default profile (linetap/config/numbers.py); volts are in hundredths. */
#define METER_OFF_BELOW 1600u
#define METER_ON_ABOVE 2500u
#define METER_FALL 800u
#define METER_NO_LINE 300u
#define METER_FALL_MS 5u
#define METER_STEADY_MS 100u
#define METER_STEADY_PERMILLE 50u
#define METER_NO_LINE_MS 1000u
#define METER_LIFT_MIN_MS 27u
#define METER_MAKE_MIN_MS 12u
#define METER_BREAK_MAX_MS 200u
#define METER_OPEN_MIN_MS 3u
#define METER_RING_PEAK 3000u
#define METER_RING_WINDOW_MS 66u
#define METER_RING_SHARE_MS 8u

#define METER_LED_DARK 0u
#define METER_LED_IDLE 1u
#define METER_LED_RINGING 2u
#define METER_LED_CALL 3u
#define METER_LED_RECORDING 4u
#define METER_LED_FAULT 5u
#define METER_LED_ASKED 6u
#define METER_LED_GREEN 7u
#define METER_LED_YELLOW 8u
#define METER_LED_RED 9u
#define METER_EDGE_HOOK 0u
#define METER_EDGE_RING 1u
#define METER_EDGE_PULSE 2u

/* By METER_LED_..., a rhythm's first step in bit 0. */
#define METER_LAMP_COLOURS {0, 1, 1, 3, 1, 2, 3, 1, 3, 2}
#define METER_LAMP_RHYTHMS {0x00, 0x01, 0x55, 0xff, 0xff, 0x55, 0x55, 0x0f, 0x0f, 0x0f}

/* hello, from meter: version, channels, sample_us, boot (random), firmware major, minor, patch */
#define METER_HELLO 0x01u
#define METER_HELLO_BYTES 11u
#define METER_HELLO_OFFSET_VERSION 0u
#define METER_HELLO_OFFSET_CHANNELS 1u
#define METER_HELLO_OFFSET_SAMPLE_US 2u
#define METER_HELLO_OFFSET_BOOT 4u
#define METER_HELLO_OFFSET_FIRMWARE 8u
#define METER_HELLO_OFFSET_MINOR 9u
#define METER_HELLO_OFFSET_PATCH 10u

/* samples, from meter: at_us of the first, samples, channels; a sample, and in it a channel: int16 0.01 V */
#define METER_SAMPLES 0x02u
#define METER_SAMPLES_BYTES 10u
#define METER_SAMPLES_OFFSET_AT_US 0u
#define METER_SAMPLES_OFFSET_SAMPLES 8u
#define METER_SAMPLES_OFFSET_CHANNELS 9u

/* edge, from meter: at_us, channel from 0, edge (0 hook, 1 ring, 2 pulse), level */
#define METER_EDGE 0x03u
#define METER_EDGE_BYTES 11u
#define METER_EDGE_OFFSET_AT_US 0u
#define METER_EDGE_OFFSET_CHANNEL 8u
#define METER_EDGE_OFFSET_EDGE 9u
#define METER_EDGE_OFFSET_LEVEL 10u

/* status, from meter: flags (1 tamper, 2 power failing, 4 and 8 converters) */
#define METER_STATUS 0x04u
#define METER_STATUS_BYTES 1u
#define METER_STATUS_OFFSET_FLAGS 0u

/* beaten, from meter: stamp of the beat, at_us when it came */
#define METER_BEATEN 0x05u
#define METER_BEATEN_BYTES 16u
#define METER_BEATEN_OFFSET_STAMP 0u
#define METER_BEATEN_OFFSET_AT_US 8u

/* opened, from meter: mask of the open series contacts */
#define METER_OPENED 0x06u
#define METER_OPENED_BYTES 4u
#define METER_OPENED_OFFSET_MASK 0u

/* beat, from linetap: stamp: CLOCK_MONOTONIC when it was sent, ns */
#define METER_BEAT 0x81u
#define METER_BEAT_BYTES 8u
#define METER_BEAT_OFFSET_STAMP 0u

/* lights, from linetap: channels; a channel: uint8 (0 dark, 1 idle, 2 ringing, 3 call, 4 recording, 5 fault, 6 asked, 7 green, 8 yellow, 9 red) */
#define METER_LIGHTS 0x82u
#define METER_LIGHTS_BYTES 1u
#define METER_LIGHTS_OFFSET_CHANNELS 0u

/* limits, from linetap: channels; a channel: uint16 off-hook below, uint16 on-hook above; then again a channel: uint16 fall, uint16 no line below; 0.01 V */
#define METER_LIMITS 0x83u
#define METER_LIMITS_BYTES 1u
#define METER_LIMITS_OFFSET_CHANNELS 0u

/* relays, from linetap: mask of the closed ones, expiry_ms: open when it is over */
#define METER_RELAYS 0x84u
#define METER_RELAYS_BYTES 6u
#define METER_RELAYS_OFFSET_MASK 0u
#define METER_RELAYS_OFFSET_EXPIRY_MS 4u

/* contacts, from linetap: mask of the open ones, expiry_ms: closed when it is over */
#define METER_CONTACTS 0x85u
#define METER_CONTACTS_BYTES 6u
#define METER_CONTACTS_OFFSET_MASK 0u
#define METER_CONTACTS_OFFSET_EXPIRY_MS 4u

#endif
