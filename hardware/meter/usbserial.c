/* SPDX-License-Identifier: Apache-2.0 */
/* The meter on USB: the class CDC (1.2) with its subclass ACM (PSTN 1.2), and the request for the loader. */
#include "bytes.h"
#include "usbdevice.h"

#define PRODUCT 0x0001u
#define RELEASE 0x0101u
#define WHOLE 67u

enum request { SET_LINE_CODING = 0x20, GET_LINE_CODING = 0x21, SET_CONTROL_LINE_STATE = 0x22 };

static const uint8_t CONFIGURATION_IS[WHOLE] = {
    /* The card has its own supply, and draws nothing from the bus. */
    9, CONFIGURATION, USB_WORD(WHOLE), 2, 1, NONE, 0xc0, 0,
    9, INTERFACE, 0, 0, 1, 2 /* CDC */, 2 /* ACM */, 0, NONE,
    5, CLASS_INTERFACE, 0 /* header */, USB_WORD(0x0120u),
    5, CLASS_INTERFACE, 1 /* call management: none */, 0, 1,
    4, CLASS_INTERFACE, 2 /* ACM: line coding and line state */, 2,
    5, CLASS_INTERFACE, 6 /* union: 0 commands 1 */, 0, 1,
    7, ENDPOINT, USB_IN | USB_NOTICES, 3 /* interrupt */, USB_WORD(USB_NOTICE_PACKET), 255,
    9, INTERFACE, 1, 0, 2, 10 /* CDC data */, 0, 0, NONE,
    7, ENDPOINT, USB_BULK, 2 /* bulk */, USB_WORD(USB_PACKET), 0,
    7, ENDPOINT, USB_IN | USB_BULK, 2, USB_WORD(USB_PACKET), 0,
};

const struct usb_device USB_DEVICE = {
    .device = {18, DEVICE, USB_WORD(0x0200u), 2 /* CDC */, 0, 0, USB_PACKET, USB_WORD(USB_VENDOR), USB_WORD(PRODUCT),
               USB_WORD(RELEASE), MAKER, NAME, SERIAL, 1},
    .configuration = CONFIGURATION_IS,
    .whole = WHOLE,
    .interfaces = 2,
    .endpoints = {4u, 1u | 2u},
    .texts = SERIAL,
    .name = "linetap line meter",
};

uint8_t usb_device_halt_bit(uint16_t endpoint) {
    switch (endpoint) {
    case USB_BULK:
        return 1u;
    case USB_IN | USB_BULK:
        return 2u;
    case USB_IN | USB_NOTICES:
        return 4u;
    default:
        return 0;
    }
}

enum usb_then usb_device_setup(struct usb_control *control, const uint8_t packet[8]) {
    const uint8_t type = packet[0], request = packet[1];
    const uint16_t value = get16(packet + 2), index = get16(packet + 4), length = get16(packet + 6);
    if (type == USB_TO_LOADER && request == USB_LOADER && value == USB_LOADER_VALUE && index == 0 && length == 0) {
        control->wants_loader = true;
        return USB_DONE;
    }
    if ((type & 0x7fu) != 0x21u || index != 0) { /* class requests, to the interface of commands */
        return USB_STALL;
    }
    const bool in = (type & USB_IN) != 0;
    if (request == SET_LINE_CODING && !in) {
        return length == sizeof control->coding ? USB_TAKE : USB_STALL;
    }
    if (request == GET_LINE_CODING && in) {
        return usb_reply(control, control->coding, sizeof control->coding, length);
    }
    return request == SET_CONTROL_LINE_STATE && !in && length == 0 ? USB_DONE : USB_STALL;
}

void usb_device_taken(struct usb_control *control, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length && i < sizeof control->coding; i++) {
        control->coding[i] = bytes[i];
    }
}

void usb_device_reset(void) {
}
