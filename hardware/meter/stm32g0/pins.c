/* SPDX-License-Identifier: Apache-2.0 */
/* The pins of ../../circuit/meter.sheet. PB8 to PB15 are the notice relays. PC0 to PC7 are the drivers of the series
   contacts: a contact opens while its pin toggles. PA11 and PA12 belong to USB without configuration. */
#include "machine.h"
#include "registers.h"

#include "../port.h"

#define IOPENR_A_B_C 7u
#define POWER_FAIL 1u /* PB1, low when the supply fails */
#define LAMP_CLOCK 3u
#define LAMP_LATCH 4u
#define LAMP_DATA 5u
#define RELAY_1 8u

static uint8_t contacts; /* contacts to be open */

static void mode(uint32_t port, unsigned pin, uint32_t what) {
    GPIO_MODER(port) = (GPIO_MODER(port) & ~(3u << 2 * pin)) | what << 2 * pin;
}

static void drive(unsigned pin, bool high) {
    GPIO_BSRR(GPIOB) = 1u << (high ? pin : pin + 16u);
}

void pins_begin(void) {
    RCC_IOPENR |= IOPENR_A_B_C;
    GPIO_BSRR(GPIOB) = 0xffffu << 16; /* before any is an output, so that no relay closes for a moment */
    GPIO_BSRR(GPIOC) = 0xffu << 16;
    for (unsigned pin = 0; pin < 8; pin++) {
        mode(GPIOB, RELAY_1 + pin, 1u);
        mode(GPIOC, pin, 1u);
    }
    mode(GPIOB, LAMP_CLOCK, 1u);
    mode(GPIOB, LAMP_LATCH, 1u);
    mode(GPIOB, LAMP_DATA, 1u);
    mode(GPIOB, POWER_FAIL, 0u);
}

bool pins_power_failing(void) {
    return (GPIO_IDR(GPIOB) >> POWER_FAIL & 1u) == 0;
}

void port_relays(uint8_t closed) {
    GPIO_BSRR(GPIOB) = (uint32_t)closed << RELAY_1 | (uint32_t)(uint8_t)~closed << (RELAY_1 + 16u);
}

void port_contacts(uint8_t open) {
    contacts = open;
    GPIO_BSRR(GPIOC) = 0xffu << 16;
}

void port_contacts_edge(void) {
    static bool high;
    high = !high;
    GPIO_BSRR(GPIOC) = high ? contacts : 0xffu << 16;
}

/* Two registers in a chain: the first bit reaches the far end, red of line 8. */
void port_lamps(uint8_t green, uint8_t red) {
    const uint32_t lit = (uint32_t)red << 8 | green;
    for (unsigned bit = 16; bit-- > 0;) {
        drive(LAMP_DATA, lit >> bit & 1u);
        drive(LAMP_CLOCK, true);
        drive(LAMP_CLOCK, false);
    }
    drive(LAMP_LATCH, true);
    drive(LAMP_LATCH, false);
}
