/* SPDX-License-Identifier: Apache-2.0 */
/* The meter as a program for tests: it reads samples and bytes with their times, and prints the frames, relays and
   lamps that the meter would output. It uses no clock. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bytes.h"
#include "../meter.h"
#include "../port.h"
#include "codes.h"
#include "io.h"
#include "twowire.h"

#define MOST_ROOM 1000000u

static size_t room = MOST_ROOM; /* room of the queue to the host until the next 'Q' */
static bool bounded;

static void answer(uint8_t kind, const uint8_t *bytes, size_t length) {
    uint8_t head[3] = {kind};
    put16(head + 1, (uint16_t)length);
    io_write(head, sizeof head);
    io_write(bytes, length);
}

size_t port_room(void) {
    return room;
}

void port_put(const uint8_t *bytes, size_t length) {
    if (length > room) {
        io_fail("more was put than there was room for");
    }
    if (bounded) {
        room -= length;
    }
    answer('F', bytes, length);
}

void port_relays(uint8_t closed) {
    answer('R', &closed, 1);
}

void port_contacts(uint8_t open) {
    answer('C', &open, 1);
}

void port_contacts_edge(void) {
}

void port_lamps(uint8_t green, uint8_t red) {
    const uint8_t lit[2] = {green, red};
    answer('L', lit, sizeof lit);
}

static void take(uint8_t *bytes, size_t length) {
    if (!io_read(bytes, length)) {
        io_fail("the input ends within a word");
    }
}

/* Reads at_us, eight times 0.01 V, the tamper loop's code, whether the supply fails. */
static void sample(void) {
    uint8_t word[8 + 2 * METER_MOST_CHANNELS + 2 + 1];
    struct measured measured;
    take(word, sizeof word);
    for (unsigned i = 0; i < METER_MOST_CHANNELS; i++) {
        measured.lines[i] = code_of((int16_t)get16(word + 8 + 2 * i));
    }
    measured.tamper = get16(word + 8 + 2 * METER_MOST_CHANNELS);
    measured.power_failing = word[sizeof word - 1] != 0;
    meter_sample(&measured, get64(word));
}

static void hear(void) {
    uint8_t word[8 + 2], byte;
    take(word, sizeof word);
    for (unsigned left = get16(word + 8); left > 0; left--) {
        take(&byte, 1);
        meter_hear(byte, get64(word));
    }
}

int main(void) {
    for (uint8_t kind; io_read(&kind, 1);) {
        uint8_t word[4], says[TWOWIRE_SAYS];
        switch (kind) {
        case 'B': /* boot */
            take(word, 4);
            meter_start(get32(word));
            break;
        case 'S':
            sample();
            break;
        case 'H':
            hear();
            break;
        case 'Q': /* sets the room of the queue in bytes */
            take(word, 2);
            room = get16(word);
            bounded = true;
            break;
        case 'W': /* a converter's fault: what, which, register, value */
            take(word, 4);
            twowire_is(word[0], word[1], word[2], word[3]);
            break;
        case 'D': /* prints a converter's registers */
            take(word, 1);
            twowire_says(word[0], says);
            answer('D', says, sizeof says);
            break;
        case '.': /* confirms that all earlier input is processed */
            answer('.', word, 0);
            io_flush();
            break;
        default:
            io_fail("unknown word");
        }
    }
    io_flush();
    return 0;
}
