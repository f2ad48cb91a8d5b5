/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the machine: each is begun once, and then asked. */
#ifndef LINETAP_METER_MACHINE_H
#define LINETAP_METER_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../meter.h"

#define CPU_HZ 64000000u

void clock_begin(void);
uint32_t clock_us(void); /* turns over after 71 minutes */
void watchdog_begin(void);
void watchdog_feed(void);

void pins_begin(void);
bool pins_power_failing(void);

void adc_begin(void);
bool adc_read(struct measured *measured); /* takes 0.12 ms; false: it does not convert */
uint32_t adc_noise(void);

void wire_begin(void);
void wire_turn(void); /* the converters' bus goes on by it */

void usb_begin(void);
/* The next byte that came, and clock_us() then. False: there is none. */
bool usb_get(uint8_t *byte, uint32_t *at_us);
/* The host has asked for the loader, and knows that it was heard. */
bool usb_wants_loader(void);

/* As after power-up, but for what is in memory. */
_Noreturn void restart_part(void);

#endif
