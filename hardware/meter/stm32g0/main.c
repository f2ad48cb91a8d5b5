/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"
#include "registers.h"

#include "../crc.h"
#include "../loader/layout.h"

#define NEAR 0x80000000u
#define HEARD_AT_ONCE 64u /* bytes processed before the next check whether a sample is due */

static uint64_t now_us; /* at the last call */

/* Extends the 32 bits of `clock_us` to 64; must be called at least every 35 minutes. */
static uint64_t whole(uint32_t us) {
    const uint32_t ahead = us - (uint32_t)now_us;
    return ahead < NEAR ? now_us + ahead : now_us - (uint32_t)-ahead;
}

static uint32_t boot_number(void) {
    uint32_t made_of[5] = {UNIQUE_ID(0), UNIQUE_ID(1), UNIQUE_ID(2), adc_noise(), clock_us()};
    return crc32((const uint8_t *)made_of, sizeof made_of);
}

static void hear(void) {
    uint8_t byte;
    uint32_t at_us;
    for (unsigned i = 0; i < HEARD_AT_ONCE && usb_get(&byte, &at_us); i++) {
        meter_hear(byte, whole(at_us));
    }
}

int main(void) {
    struct measured measured;
    clock_begin();
    pins_begin();
    adc_begin();
    wire_begin();
    meter_start(boot_number());
    usb_begin();
    watchdog_begin();
    now_us = clock_us();
    uint64_t next_us = (now_us / METER_SAMPLE_US + 1u) * METER_SAMPLE_US;
    for (;;) {
        now_us = whole(clock_us());
        if (usb_wants_loader()) {
            REGISTER(LAYOUT_WISH_AT) = LAYOUT_WISH;
            restart_part();
        }
        if (now_us < next_us) {
            hear();
            wire_turn();
            continue;
        }
        if (adc_read(&measured)) { /* otherwise no line is reported, until the watchdog resets the part */
            meter_sample(&measured, next_us);
            watchdog_feed();
        }
        next_us += METER_SAMPLE_US;
        if (whole(clock_us()) > next_us + METER_SAMPLE_US) { /* too late for a sample: the next one has its own time */
            next_us = (whole(clock_us()) / METER_SAMPLE_US + 1u) * METER_SAMPLE_US;
        }
    }
}
