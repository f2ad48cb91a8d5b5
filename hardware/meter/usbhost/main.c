/* SPDX-License-Identifier: Apache-2.0 */
/* The meter's endpoint 0 as a program for tests, which act as the host. Input: `S` and a setup packet; `D`, a length
   and so many bytes of data; `R`, a reset of the bus. Output, for each but the last: `x` a stall, `r` with a length and
   a reply, `t` if it expects data, `d` done. */
#include <stdint.h>
#include <stdio.h>

#include "../usbcontrol.h"

static void answer(const struct usb_control *control, enum usb_then then) {
    putchar("xrtd"[then]);
    if (then == USB_REPLY) {
        putchar(control->reply_length);
        fwrite(control->reply, 1, control->reply_length, stdout);
    }
    fflush(stdout);
}

int main(int count, char **words) {
    struct usb_control control;
    uint8_t bytes[256];
    uint32_t unique[3] = {0x00360021u, 0x5646500bu, 0};
    unique[2] = count > 1 ? (uint32_t)(uint8_t)words[1][0] : 0x20343257u;
    usb_control_begin(&control, unique);
    for (int word; (word = getchar()) != EOF;) {
        if (word == 'R') {
            usb_control_reset(&control);
        } else if (word == 'S') {
            if (fread(bytes, 1, 8, stdin) != 8) {
                return 1;
            }
            answer(&control, usb_control_setup(&control, bytes));
        } else if (word == 'D') {
            const int length = getchar();
            if (length < 0 || fread(bytes, 1, (size_t)length, stdin) != (size_t)length) {
                return 1;
            }
            usb_control_taken(&control, bytes, (size_t)length);
            answer(&control, USB_DONE);
        } else {
            return 1;
        }
    }
    return 0;
}
