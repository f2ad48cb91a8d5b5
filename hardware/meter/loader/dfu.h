/* SPDX-License-Identifier: Apache-2.0 */
/* USB's class of firmware upgrade, DFU 1.1: its states (appendix A.2), without any register. Requests come while an
   interrupt is served, the work that they ask for is done by whoever calls dfu_work in between. */
#ifndef LINETAP_METER_LOADER_DFU_H
#define LINETAP_METER_LOADER_DFU_H

#include <stdbool.h>
#include <stdint.h>

#include "../usbcontrol.h"

#define DFU_BLOCK 64u /* bytes: one packet of endpoint 0, so one transfer is one packet */

enum dfu_status {
    DFU_OK = 0,
    DFU_TARGET = 1, /* for another device */
    DFU_FILE = 2,   /* it fails the maker's test: the signature */
    DFU_ERASE = 4,
    DFU_PROG = 6,
    DFU_VERIFY = 7,
    DFU_ADDRESS = 8, /* longer than there is room */
    DFU_NOTDONE = 9, /* shorter than it says */
    DFU_FIRMWARE = 10,
    DFU_VENDOR = 11, /* its text says why: it is older than what is there */
    DFU_USBR = 12,   /* a reset of the bus in the middle of work */
    DFU_STALLEDPKT = 15,
};

/* `runs`: there is a program to go back to. */
void dfu_begin(bool runs);

void dfu_bus_reset(void);
enum usb_then dfu_setup(struct usb_control *control, uint8_t request, uint16_t length);
void dfu_taken(const uint8_t *bytes, uint32_t length);

/* What was asked for, if anything was. True: the loader has nothing more to do here, and the program can start. */
bool dfu_work(void);

uint32_t dfu_asked(void); /* requests so far */
bool dfu_has_program(void);

#endif
