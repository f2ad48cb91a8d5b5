/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of TI's data sheet SLAS831, page 0; a test compares addresses and bits with those of Linux' pcm186x.h. */
#include "converters.h"

#include "protocol.h"

#define ADDRESS 0x4au /* of the first converter, whose pin AD is low; the second has the next address */
#define PAGE 0u
#define GAIN (2 * 13) /* in half decibels */

struct setting {
    uint8_t at;
    uint8_t mask; /* only these bits are written */
    uint8_t value;
};

/* Four slots of 32 bit that begin one clock after the frame, slave to the module's clocks; lines 1 to 4 are VINL1,
   VINR1, VINL2, VINR2. The format is set before the gain: loud audio in a wrong format is worse than quiet audio. */
static const struct setting SETTINGS[] = {
    {32, 0x10, 0x00},  /* CLK_CTRL: slave */
    {11, 0xdf, 0x13},  /* PCM_CFG: 32 bit both ways, frame of one clock, TDM */
    {12, 0x03, 0x01},  /* TDM_TX_SEL: four channels */
    {13, 0xff, 0x01},  /* TDM_TX_OFFSET: the first bit is the one after the frame's edge */
    {6, 0x3f, 0x01},   /* ADC1_INPUT_SEL_L: VINL1 alone */
    {7, 0x3f, 0x01},   /* ADC1_INPUT_SEL_R: VINR1 alone */
    {8, 0x3f, 0x02},   /* ADC2_INPUT_SEL_L: VINL2 alone */
    {9, 0x3f, 0x02},   /* ADC2_INPUT_SEL_R: VINR2 alone */
    {1, 0xff, GAIN},   /* PGA_VAL_CH1_L */
    {2, 0xff, GAIN},   /* PGA_VAL_CH1_R */
    {3, 0xff, GAIN},   /* PGA_VAL_CH2_L */
    {4, 0xff, GAIN},   /* PGA_VAL_CH2_R */
    {112, 0x07, 0x00}, /* POWER_CTRL: neither powered down, asleep nor on standby */
};
#define ROWS (sizeof SETTINGS / sizeof SETTINGS[0])

enum doing { TO_BEGIN, TURNING, READING, WRITING, READING_AGAIN };

void converters_begin(struct converters *converters) {
    *converters = (struct converters){.which = CONVERTERS};
    port_wire_free(); /* the meter may have restarted in the middle of a transfer */
}

static void do_next(struct converters *converters, enum doing what, uint8_t value) {
    const uint8_t address = (uint8_t)(ADDRESS + converters->which), at = SETTINGS[converters->at].at;
    converters->doing = (uint8_t)what;
    converters->waited_ms = 0;
    if (what == TURNING) {
        port_wire_write(address, PAGE, 0);
    } else if (what == WRITING) {
        port_wire_write(address, at, value);
    } else {
        port_wire_read(address, at);
    }
}

/* Selects the next converter, or ends the round. */
static void turn_to(struct converters *converters, uint8_t which) {
    converters->which = which;
    converters->at = converters->tries = 0;
    converters->changed = false;
    converters->doing = TO_BEGIN;
}

static void judge(struct converters *converters, bool failed) {
    const uint8_t bit = (uint8_t)(1u << converters->which), flag = (uint8_t)(METER_CONVERTER_1 << converters->which);
    const bool wrong = failed || (converters->changed && converters->known & bit);
    converters->flags = (uint8_t)(wrong ? converters->flags | flag : converters->flags & ~flag);
    if (!failed) {
        converters->known |= bit;
    }
    turn_to(converters, (uint8_t)(converters->which + 1u));
}

static void try_again(struct converters *converters) {
    converters->at = 0;
    converters->doing = TO_BEGIN;
    if (++converters->tries == CONVERTERS_TRIES) {
        judge(converters, true);
    }
}

static void go_on(struct converters *converters) {
    if (++converters->at == ROWS) {
        judge(converters, false);
    } else {
        do_next(converters, READING, 0);
    }
}

static void done(struct converters *converters, uint8_t value) {
    const struct setting *row = &SETTINGS[converters->at];
    const bool right = (value & row->mask) == row->value;
    switch (converters->doing) {
    case TURNING:
        do_next(converters, READING, 0);
        break;
    case READING:
        if (right) {
            go_on(converters);
        } else {
            converters->changed = true;
            do_next(converters, WRITING, (uint8_t)((value & ~row->mask) | row->value));
        }
        break;
    case WRITING:
        do_next(converters, READING_AGAIN, 0);
        break;
    default:
        if (right) {
            go_on(converters);
        } else {
            try_again(converters);
        }
        break;
    }
}

bool converters_look(struct converters *converters, uint64_t now_us) {
    const uint8_t before = converters->flags;
    uint8_t value = 0;
    if (converters->which == CONVERTERS) {
        if (now_us < converters->next_us) {
            return false;
        }
        converters->next_us = now_us + CONVERTERS_EVERY_MS * 1000u;
        turn_to(converters, 0);
    }
    if (converters->doing == TO_BEGIN) {
        do_next(converters, TURNING, 0);
        return false;
    }
    switch (port_wire_look(&value)) {
    case WIRE_DONE:
        done(converters, value);
        break;
    case WIRE_FAILED:
        try_again(converters);
        break;
    default:
        if (++converters->waited_ms == CONVERTERS_WAIT_MS) {
            port_wire_free();
            try_again(converters);
        }
        break;
    }
    return converters->flags != before;
}
