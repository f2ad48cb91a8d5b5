/* SPDX-License-Identifier: Apache-2.0 */
/* From reset to main. An unexpected exception resets the part. */
#include <stdint.h>

#include "../machine.h"
#include "../registers.h"

#define ECCR_DETECTED (1u << 31)

extern uint32_t data_from[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];

int main(void);
void usb_interrupt(void);
void reset(void);
void stopped(void);
void spoilt(void);

typedef void (*handler)(void);

struct vectors {
    uint32_t *stack;
    handler exceptions[15];
    handler interrupts[32];
};

__attribute__((used, section(".vectors"))) const struct vectors VECTORS = {
    .stack = stack_top,
    .exceptions = {reset, spoilt, stopped, [10] = stopped, [13] = stopped, [14] = stopped},
    .interrupts = {[USB_IRQ] = usb_interrupt},
};

void reset(void) {
    for (uint32_t *to = data_begin, *from = data_from; to < data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *at = bss_begin; at < bss_end;) {
        *at++ = 0;
    }
    main();
    stopped();
}

/* Eight bytes of flash with an ECC error, after a power cut during their write. They are used as read; the signature
   over them decides. */
void spoilt(void) {
    FLASH_ECCR |= ECCR_DETECTED;
}

void stopped(void) {
    restart_part();
}
