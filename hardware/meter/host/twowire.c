/* SPDX-License-Identifier: Apache-2.0 */
#include "twowire.h"

#include <stdbool.h>

#include "../bytes.h"
#include "../port.h"

#define FIRST 0x4au
#define PAGE_0 128u

static struct converter {
    uint8_t registers[PAGE_0];
    uint8_t page;
    uint8_t fixed_at, fixed; /* bits that cannot be changed */
    bool begun, deaf, holds, holds_for_ever;
    uint16_t transfers;
} converters[2];

static uint16_t too_early, freed;
static enum { NOTHING, READ, WRITE } pending;
static uint8_t address, at, value;

/* Reset values of SLAS831, from memory: I2S of 24 bit, 0 dB, each input to the converter of its number. */
static void reset_registers(struct converter *converter) {
    static const uint8_t after_reset[][2] = {{5, 0x86}, {6, 0x41}, {7, 0x41}, {8, 0x42}, {9, 0x42}, {11, 0x44},
                                             {32, 0x01}, {112, 0x70}};
    for (unsigned i = 0; i < PAGE_0; i++) {
        converter->registers[i] = 0;
    }
    for (unsigned i = 0; i < sizeof after_reset / sizeof after_reset[0]; i++) {
        converter->registers[after_reset[i][0]] = after_reset[i][1];
    }
    converter->page = 3; /* not page 0: a program that does not select the page writes to the wrong one */
    converter->begun = true;
}

static struct converter *converter_of(unsigned which) {
    if (!converters[which].begun) {
        reset_registers(&converters[which]);
    }
    return &converters[which];
}

void twowire_is(uint8_t what, uint8_t which, uint8_t where, uint8_t how) {
    struct converter *converter = converter_of(which & 1u);
    if (what == 'n') {
        converter->deaf = how != 0;
    } else if (what == 's') {
        converter->holds = how != 0;
    } else if (what == 'S') {
        converter->holds = converter->holds_for_ever = how != 0;
    } else if (what == 'b') {
        converter->fixed_at = where;
        converter->fixed = how;
    } else if (what == 'v' && where < PAGE_0) {
        converter->registers[where] = how;
    } else {
        reset_registers(converter);
    }
}

void twowire_says(uint8_t which, uint8_t says[TWOWIRE_SAYS]) {
    const struct converter *converter = converter_of(which & 1u);
    for (unsigned i = 0; i < PAGE_0; i++) {
        says[i] = converter->registers[i];
    }
    put16(says + PAGE_0, converter->transfers);
    put16(says + PAGE_0 + 2, too_early);
    put16(says + PAGE_0 + 4, freed);
}

static void begin(bool writes, uint8_t to, uint8_t where, uint8_t what) {
    too_early = (uint16_t)(too_early + (pending != NOTHING));
    pending = writes ? WRITE : READ;
    address = to;
    at = where;
    value = what;
}

void port_wire_read(uint8_t to, uint8_t where) {
    begin(false, to, where, 0);
}

void port_wire_write(uint8_t to, uint8_t where, uint8_t what) {
    begin(true, to, where, what);
}

enum wire_is port_wire_look(uint8_t *read) {
    if (pending == NOTHING || converter_of(0)->holds || converter_of(1)->holds) {
        return WIRE_BUSY;
    }
    const bool writes = pending == WRITE;
    pending = NOTHING;
    if (address < FIRST || address > FIRST + 1u || converters[address - FIRST].deaf) {
        return WIRE_FAILED;
    }
    struct converter *converter = &converters[address - FIRST];
    converter->transfers++;
    if (writes && at == 0) {
        converter->page = value;
    } else if (writes && converter->page == 0 && at < PAGE_0) {
        const uint8_t fixed = at == converter->fixed_at ? converter->fixed : 0;
        converter->registers[at] = (uint8_t)((value & ~fixed) | (converter->registers[at] & fixed));
    } else if (!writes) {
        *read = converter->page == 0 && at < PAGE_0 ? converter->registers[at] : 0;
    }
    return WIRE_DONE;
}

void port_wire_free(void) {
    pending = NOTHING;
    freed++;
    for (unsigned i = 0; i < 2; i++) {
        converters[i].holds = converters[i].holds_for_ever;
    }
}
