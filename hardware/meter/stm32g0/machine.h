/* SPDX-License-Identifier: Apache-2.0 */
/* The modules of the machine: each is initialised once, and then used. */
#ifndef LINETAP_METER_MACHINE_H
#define LINETAP_METER_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../meter.h"

#define CPU_HZ 64000000u

void clock_begin(void);
uint32_t clock_us(void); /* wraps around after 71 minutes */
void watchdog_begin(void);
void watchdog_feed(void);

void pins_begin(void);
bool pins_power_failing(void);

void adc_begin(void);
bool adc_read(struct measured *measured); /* takes 0.12 ms; false if it does not convert */
uint32_t adc_noise(void);

void wire_begin(void);
void wire_turn(void); /* advances the transfer on the converters' bus */

void usb_begin(void);
/* The next received byte, and clock_us() at its arrival. False if there is none. */
bool usb_get(uint8_t *byte, uint32_t *at_us);
/* The host has requested the loader, and the request is acknowledged. */
bool usb_wants_loader(void);

/* As after power-up, except for the contents of memory. */
_Noreturn void restart_part(void);

#endif
