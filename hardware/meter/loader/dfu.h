/* SPDX-License-Identifier: Apache-2.0 */
/* USB's device class for firmware upgrade, DFU 1.1: its states (appendix A.2), without access to registers. Requests
   are handled in an interrupt; the main loop calls dfu_work to execute the requested work. */
#ifndef LINETAP_METER_LOADER_DFU_H
#define LINETAP_METER_LOADER_DFU_H

#include <stdbool.h>
#include <stdint.h>

#include "../usbcontrol.h"

#define DFU_BLOCK 64u /* bytes: one packet of endpoint 0, so one transfer is one packet */

enum dfu_status {
    DFU_OK = 0,
    DFU_TARGET = 1, /* for another device */
    DFU_FILE = 2,   /* its signature is not the maker's */
    DFU_ERASE = 4,
    DFU_PROG = 6,
    DFU_VERIFY = 7,
    DFU_ADDRESS = 8, /* longer than the area */
    DFU_NOTDONE = 9, /* shorter than its header states */
    DFU_FIRMWARE = 10,
    DFU_VENDOR = 11, /* the reason is its text: older than the present program */
    DFU_USBR = 12,   /* a bus reset during work */
    DFU_STALLEDPKT = 15,
};

/* `runs`: a program to return to is present. */
void dfu_begin(bool runs);

void dfu_bus_reset(void);
enum usb_then dfu_setup(struct usb_control *control, uint8_t request, uint16_t length);
void dfu_taken(const uint8_t *bytes, uint32_t length);

/* Executes pending work. True: the loader has finished, and the program can start. */
bool dfu_work(void);

uint32_t dfu_asked(void); /* number of requests so far */
bool dfu_has_program(void);

#endif
