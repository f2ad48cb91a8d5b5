/* SPDX-License-Identifier: Apache-2.0 */
#include "dfu.h"

#include "update.h"

enum state {
    IDLE = 2,
    DNLOAD_SYNC = 3,
    DNBUSY = 4,
    DNLOAD_IDLE = 5,
    MANIFEST_SYNC = 6,
    MANIFEST = 7,
    ERROR = 10,
};
enum request { DNLOAD = 1, UPLOAD = 2, GETSTATUS = 3, CLRSTATUS = 4, GETSTATE = 5, ABORT = 6 };

#define MANIFEST_MS 3000u /* ten pages erased and written, two signatures verified */
#define OLDER_TEXT 4u     /* usbdfu.c */

static volatile enum state state;
static volatile enum dfu_status status;
static volatile bool working;   /* dfu_work is running: until it is done, no other work is begun */
static volatile bool succeeded; /* another program is in place: the next bus reset starts it */
static volatile bool leaves;
static uint8_t block[DFU_BLOCK];
static volatile uint32_t block_length;
static volatile bool done;    /* the block, or the whole image, is done */
static volatile bool program; /* a program to return to is present */
static volatile uint32_t requests;

static enum usb_then fail(enum dfu_status why) {
    state = ERROR;
    status = why;
    return USB_STALL;
}

void dfu_begin(bool runs) {
    working = succeeded = leaves = done = false;
    program = runs;
    status = runs ? DFU_OK : DFU_FIRMWARE;
    state = runs ? IDLE : ERROR;
}

void dfu_bus_reset(void) {
    if (succeeded) {
        leaves = true;
    } else if (working) {
        fail(DFU_USBR);
    } else {
        dfu_begin(program);
    }
}

static enum usb_then say(struct usb_control *control, const uint8_t *bytes, uint16_t length, uint16_t asked) {
    control->reply_length = length < asked ? length : asked;
    for (uint16_t i = 0; i < control->reply_length; i++) {
        control->reply[i] = bytes[i];
    }
    return USB_REPLY;
}

static enum usb_then say_status(struct usb_control *control, uint16_t asked) {
    uint16_t wait_ms = 0;
    if (state == DNLOAD_SYNC) {
        state = done ? DNLOAD_IDLE : DNBUSY;
        wait_ms = done ? 0 : update_block_ms();
    } else if (state == MANIFEST_SYNC) {
        state = done ? IDLE : MANIFEST;
        wait_ms = done ? 0 : MANIFEST_MS;
    }
    const uint8_t text = status == DFU_VENDOR ? OLDER_TEXT : 0;
    const uint8_t said[6] = {(uint8_t)status, (uint8_t)wait_ms, (uint8_t)(wait_ms >> 8), 0, (uint8_t)state, text};
    return say(control, said, sizeof said, asked);
}

static enum usb_then download(uint16_t length) {
    if (length > DFU_BLOCK || working || (length == 0 && state == IDLE)) {
        return fail(DFU_STALLEDPKT);
    }
    done = false;
    if (length == 0) {
        state = MANIFEST_SYNC;
        return USB_DONE;
    }
    if (state == IDLE) {
        update_begin();
        succeeded = false;
    }
    block_length = length;
    return USB_TAKE;
}

enum usb_then dfu_setup(struct usb_control *control, uint8_t request, uint16_t length) {
    const uint8_t is = (uint8_t)state;
    requests++;
    if (state == DNBUSY || state == MANIFEST) {
        return fail(DFU_STALLEDPKT);
    }
    switch (request) {
    case GETSTATUS:
        return say_status(control, length);
    case GETSTATE:
        return say(control, &is, 1, length);
    case DNLOAD:
        return state == IDLE || state == DNLOAD_IDLE ? download(length) : fail(DFU_STALLEDPKT);
    case ABORT:
        if (state != IDLE && state != DNLOAD_IDLE) {
            return fail(DFU_STALLEDPKT);
        }
        state = IDLE;
        return USB_DONE;
    case CLRSTATUS:
        if (state != ERROR || working) {
            return fail(DFU_STALLEDPKT);
        }
        state = IDLE;
        status = DFU_OK;
        return USB_DONE;
    default:
        return fail(DFU_STALLEDPKT); /* DFU_DETACH belongs to the program, and this part permits no upload */
    }
}

void dfu_taken(const uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length && i < DFU_BLOCK; i++) {
        block[i] = bytes[i];
    }
    if (length == block_length) {
        state = DNLOAD_SYNC;
    } else {
        fail(DFU_STALLEDPKT);
    }
}

bool dfu_work(void) {
    const enum state began = state;
    if (began != DNBUSY && began != MANIFEST) {
        return leaves;
    }
    working = true;
    const enum dfu_status how = began == DNBUSY ? update_block(block, block_length) : update_end();
    succeeded = began == MANIFEST && how == DFU_OK;
    program = program || succeeded;
    if (state == began) { /* otherwise the host has aborted the transfer meanwhile */
        done = true;
        state = began == DNBUSY ? DNLOAD_SYNC : MANIFEST_SYNC;
        if (how != DFU_OK) {
            fail(how);
        }
    }
    working = false;
    return leaves;
}

uint32_t dfu_asked(void) {
    return requests;
}

bool dfu_has_program(void) {
    return program;
}
