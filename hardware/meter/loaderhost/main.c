/* SPDX-License-Identifier: Apache-2.0 */
/* The loader as a program for tests, which act as its host, its flash and its power. Input and output as ../usbhost:
   `S` with a setup packet, `D` with a length and data, `R`, a reset of the bus. Further input: `B` starts it (answers:
   `p` the program is started, `l` the loader stays); `W` executes pending work (`w`, `g` when the loader ends); `A`
   executes work automatically from now on; `P` with a place and 8 bytes writes these into flash; `F` with a place and a
   length reads them; `C` with a number cuts the power in the middle of that operation of flash, counted from now: the
   request then in progress is answered `c`, and only `B` continues. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "../bytes.h"
#include "../loader/dfu.h"
#include "../loader/flash.h"
#include "../loader/layout.h"
#include "../loader/update.h"

static uint8_t flash[LAYOUT_FLASH];
static unsigned cut_in; /* operations; 0: never */
static jmp_buf power;
static struct usb_control control;
static bool by_itself;

static bool is_cut(void) {
    return cut_in != 0 && --cut_in == 0;
}

const uint8_t *flash_at(uint32_t place) {
    return flash + place;
}

bool flash_erase(uint32_t place) {
    const bool cut = is_cut();
    if (place % LAYOUT_PAGE != 0 || place < LAYOUT_RUN || place >= LAYOUT_FLASH) {
        return false;
    }
    for (uint32_t i = 0; i < LAYOUT_PAGE; i++) { /* half an erasure: random bits */
        flash[place + i] = cut && i % 3u != 0 ? (uint8_t)(flash[place + i] | 0x5au) : 0xff;
    }
    if (cut) {
        longjmp(power, 1);
    }
    return true;
}

bool flash_write(uint32_t place, const uint8_t bytes[8]) {
    const bool cut = is_cut();
    if (place % 8u != 0 || place < LAYOUT_RUN || place >= LAYOUT_FLASH) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        if (flash[place + i] != 0xff) {
            return false; /* as refused by the part: PROGERR */
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        flash[place + i] = cut ? (uint8_t)(bytes[i] | 0xf0u) : bytes[i];
    }
    if (cut) {
        longjmp(power, 1);
    }
    return true;
}

static void need(uint8_t *bytes, size_t length) {
    if (fread(bytes, 1, length, stdin) != length) {
        _Exit(1);
    }
}

static void answer(enum usb_then then) {
    putchar("xrtd"[then]);
    if (then == USB_REPLY) {
        putchar(control.reply_length);
        fwrite(control.reply, 1, control.reply_length, stdout);
    }
    fflush(stdout);
    if (by_itself) {
        dfu_work();
    }
}

static void say(int word) {
    putchar(word);
    fflush(stdout);
}

static bool turn(int word) {
    static const uint32_t unique[3] = {0x00360021u, 0x5646500bu, 0x20343257u};
    uint8_t bytes[256];
    switch (word) {
    case 'B': {
        const bool runs = update_start();
        dfu_begin(runs);
        usb_control_begin(&control, unique);
        say(runs ? 'p' : 'l');
        return true;
    }
    case 'S':
        need(bytes, 8);
        answer(usb_control_setup(&control, bytes));
        return true;
    case 'D':
        need(bytes, 1);
        need(bytes + 1, bytes[0]);
        usb_control_taken(&control, bytes + 1, bytes[0]);
        answer(USB_DONE);
        return true;
    case 'R':
        usb_control_reset(&control);
        return true;
    case 'W':
        say(dfu_work() ? 'g' : 'w');
        return true;
    case 'A':
        by_itself = true;
        return true;
    case 'C':
        need(bytes, 4);
        cut_in = get32(bytes);
        return true;
    case 'P':
        need(bytes, 12);
        memcpy(flash + get32(bytes) % LAYOUT_FLASH / 8u * 8u, bytes + 4, 8);
        return true;
    case 'F':
        need(bytes, 6);
        fwrite(flash + get32(bytes) % LAYOUT_FLASH, 1, get16(bytes + 4), stdout);
        fflush(stdout);
        return true;
    default:
        return false;
    }
}

int main(void) {
    memset(flash, 0xff, sizeof flash);
    if (setjmp(power) != 0) {
        by_itself = false;
        say('c');
    }
    for (;;) {
        const int word = getchar();
        if (word == EOF) {
            return 0;
        }
        if (!turn(word)) {
            return 1;
        }
    }
}
