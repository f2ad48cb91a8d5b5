/* SPDX-License-Identifier: Apache-2.0 */
/* I2C1 on PB6 (SCL) and PB7 (SDA), 100 kHz. The peripheral transfers the bits; `wire_turn`, called by the main loop,
   supplies the next byte, so no function waits, except the recovery of the bus for 0.2 ms. */
#include "machine.h"
#include "registers.h"

#include "../port.h"

#define SCL 6u
#define SDA 7u
#define TIMING_100_KHZ 0xf0420f13u /* from 64 MHz: divided by 16, then RM0444's own example of 100 kHz from 4 MHz */
#define CLOCKS 9u                  /* after which a slave in the middle of a byte has reached its end */
#define HALF_US 5u

#define APBENR1_WIRE (1u << 21)
#define CR1_ON 1u
#define CR2_READ (1u << 10)
#define CR2_START (1u << 13)
#define CR2_BYTES(count) ((count) << 16)
#define CR2_STOPS (1u << 25) /* automatically, after the last byte */
#define ISR_WANTS (1u << 1)
#define ISR_CAME (1u << 2)
#define ISR_REFUSED (1u << 4)
#define ISR_STOPPED (1u << 5)
#define ISR_OVER (1u << 6)
#define ISR_LOST (3u << 8) /* a bus error, or another master */

static uint32_t slave; /* its address, as in CR2 */
static uint8_t bytes[2];
static unsigned given, count; /* bytes of the write phase */
static bool reads, failed, over;
static uint8_t came;

static void set_mode(unsigned pin, uint32_t what) {
    GPIO_MODER(GPIOB) = (GPIO_MODER(GPIOB) & ~(3u << 2 * pin)) | what << 2 * pin;
}

static void to_the_bus(uint32_t mode) { /* 1 by software, 2 by I2C1 */
    set_mode(SCL, mode);
    set_mode(SDA, mode);
}

void wire_begin(void) {
    GPIO_OTYPER(GPIOB) |= 1u << SCL | 1u << SDA; /* open drain; the pull-ups are the sheet's R1 and R2 of Audio */
    GPIO_BSRR(GPIOB) = 1u << SCL | 1u << SDA;
    GPIO_AFRL(GPIOB) = (GPIO_AFRL(GPIOB) & 0x00ffffffu) | 6u << 4 * SCL | 6u << 4 * SDA;
    RCC_APBENR1 |= APBENR1_WIRE;
}

static void pause(void) {
    const uint32_t begun = clock_us();
    while (clock_us() - begun < HALF_US) {
    }
}

static void put(unsigned pin, bool high) {
    GPIO_BSRR(GPIOB) = 1u << (high ? pin : pin + 16u);
    pause();
}

void port_wire_free(void) {
    I2C_CR1 = 0;
    over = failed = true;
    to_the_bus(1u);
    for (unsigned i = 0; i < CLOCKS; i++) {
        put(SCL, false);
        put(SCL, true);
    }
    put(SCL, false); /* a stop: the data line rises while the clock is high */
    put(SDA, false);
    put(SCL, true);
    put(SDA, true);
    to_the_bus(2u);
    I2C_TIMINGR = TIMING_100_KHZ;
    I2C_CR1 = CR1_ON;
}

static void begin(uint8_t address, unsigned length, bool then_reads) {
    slave = (uint32_t)address << 1;
    given = 0;
    count = length;
    reads = then_reads;
    failed = over = false;
    I2C_ICR = ISR_REFUSED | ISR_STOPPED | ISR_LOST;
    I2C_CR2 = slave | CR2_BYTES(length) | CR2_START | (then_reads ? 0 : CR2_STOPS);
}

void port_wire_read(uint8_t address, uint8_t at) {
    bytes[0] = at;
    begin(address, 1, true);
}

void port_wire_write(uint8_t address, uint8_t at, uint8_t value) {
    bytes[0] = at;
    bytes[1] = value;
    begin(address, 2, false);
}

void wire_turn(void) {
    const uint32_t is = over ? 0 : I2C_ISR;
    if (is & (ISR_REFUSED | ISR_LOST)) {
        failed = true;
        I2C_ICR = ISR_REFUSED | ISR_LOST;
        over = (is & ISR_LOST) != 0; /* otherwise its stop follows */
    }
    if (is & ISR_WANTS && given < count) {
        I2C_TXDR = bytes[given++];
    }
    if (is & ISR_OVER) {
        I2C_CR2 = slave | CR2_READ | CR2_BYTES(1u) | CR2_START | CR2_STOPS;
    }
    if (is & ISR_CAME) {
        came = (uint8_t)I2C_RXDR;
    }
    if (is & ISR_STOPPED) {
        I2C_ICR = ISR_STOPPED;
        over = true;
    }
}

enum wire_is port_wire_look(uint8_t *value) {
    wire_turn();
    if (!over) {
        return WIRE_BUSY;
    }
    if (reads) {
        *value = came;
    }
    return failed ? WIRE_FAILED : WIRE_DONE;
}
