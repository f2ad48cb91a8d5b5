/* SPDX-License-Identifier: Apache-2.0 */
/* The first code after a reset: verifies the program and starts it. The loader stays if there is none, or if the
   program requested it; then it ends when another program has been received, or after half a minute without a request.
   */
#include "../machine.h"
#include "../registers.h"

#include "../../loader/dfu.h"
#include "../../loader/layout.h"
#include "../../loader/update.h"

#define PROGRAM (0x08000000u + LAYOUT_RUN + IMAGE_PROGRAM)
#define PATIENCE_US 30000000u

_Noreturn static void start_program(void) {
    const uint32_t stack = REGISTER(PROGRAM), reset = REGISTER(PROGRAM + 4u);
    SCB_VTOR = PROGRAM;
    __asm__ volatile("msr msp, %0\n\tbx %1" : : "r"(stack), "r"(reset) : "memory");
    __builtin_unreachable();
}

int main(void) {
    clock_begin();
    const bool wished = REGISTER(LAYOUT_WISH_AT) == LAYOUT_WISH;
    REGISTER(LAYOUT_WISH_AT) = 0;
    const bool runs = update_start();
    if (runs && !wished) {
        start_program();
    }
    dfu_begin(runs);
    usb_begin();
    uint32_t asked_us = clock_us(), asked = dfu_asked();
    for (;;) {
        if (dfu_work()) {
            restart_part();
        }
        if (dfu_asked() != asked) {
            asked = dfu_asked();
            asked_us = clock_us();
        }
        if (dfu_has_program() && clock_us() - asked_us > PATIENCE_US) {
            restart_part();
        }
    }
}
