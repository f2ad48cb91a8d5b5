/* SPDX-License-Identifier: Apache-2.0 */
/* USB 2.0, chapter 9, and the class CDC (1.2) with its subclass ACM (PSTN 1.2). */
#include "usbcontrol.h"

#include "bytes.h"

/* pid.codes' number for tests, which nobody may ship: one of our own is still to be had. */
#define VENDOR 0x1209u
#define PRODUCT 0x0001u
#define RELEASE 0x0101u

enum descriptor { DEVICE = 1, CONFIGURATION = 2, STRING = 3, INTERFACE = 4, ENDPOINT = 5, CLASS_INTERFACE = 0x24 };
enum text { NONE, MAKER, NAME, SERIAL };
enum request {
    GET_STATUS = 0,
    CLEAR_FEATURE = 1,
    SET_FEATURE = 3,
    SET_ADDRESS = 5,
    GET_DESCRIPTOR = 6,
    GET_CONFIGURATION = 8,
    SET_CONFIGURATION = 9,
    GET_INTERFACE = 10,
    SET_INTERFACE = 11,
    SET_LINE_CODING = 0x20,
    GET_LINE_CODING = 0x21,
    SET_CONTROL_LINE_STATE = 0x22,
};

/* bmRequestType without its direction. */
enum to { TO_DEVICE = 0x00, TO_INTERFACE = 0x01, TO_ENDPOINT = 0x02, TO_CLASS = 0x21 };

#define IN 0x80u
#define INTERFACES 2u
#define HALT 0u
#define WHOLE 67u
#define SELF_POWERED 1u
#define ENGLISH 0x0409u

#define WORD(value) (uint8_t)(value), (uint8_t)((value) >> 8)

static const uint8_t DEVICE_IS[18] = {
    18, DEVICE, WORD(0x0200u), 2 /* CDC */, 0, 0, USB_PACKET, WORD(VENDOR), WORD(PRODUCT), WORD(RELEASE),
    MAKER, NAME, SERIAL, 1,
};

/* The card has a supply of its own, and takes nothing from the bus. */
static const uint8_t CONFIGURATION_IS[WHOLE] = {
    9, CONFIGURATION, WORD(WHOLE), INTERFACES, 1, NONE, 0xc0, 0,
    9, INTERFACE, 0, 0, 1, 2 /* CDC */, 2 /* ACM */, 0, NONE,
    5, CLASS_INTERFACE, 0 /* header */, WORD(0x0120u),
    5, CLASS_INTERFACE, 1 /* call management: none */, 0, 1,
    4, CLASS_INTERFACE, 2 /* ACM: line coding and line state */, 2,
    5, CLASS_INTERFACE, 6 /* union: 0 commands 1 */, 0, 1,
    7, ENDPOINT, IN | USB_NOTICES, 3 /* interrupt */, WORD(USB_NOTICE_PACKET), 255,
    9, INTERFACE, 1, 0, 2, 10 /* CDC data */, 0, 0, NONE,
    7, ENDPOINT, USB_BULK, 2 /* bulk */, WORD(USB_PACKET), 0,
    7, ENDPOINT, IN | USB_BULK, 2, WORD(USB_PACKET), 0,
};

static const uint8_t TEXTS[3][19] = {
    [MAKER] = "linetap",
    [NAME] = "linetap line meter",
};

void usb_control_begin(struct usb_control *control, const uint32_t unique[3]) {
    static const uint8_t coding[7] = {0x00, 0x08, 0x07, 0x00, 0, 0, 8}; /* 460800 8N1 */
    for (unsigned i = 0; i < USB_SERIAL_DIGITS; i++) {
        const uint32_t digit = unique[i / 8u] >> (28u - 4u * (i % 8u)) & 15u;
        control->serial[i] = (uint8_t)(digit < 10u ? '0' + digit : 'A' + digit - 10u);
    }
    for (unsigned i = 0; i < sizeof coding; i++) {
        control->coding[i] = coding[i];
    }
    usb_control_reset(control);
}

void usb_control_reset(struct usb_control *control) {
    control->address = 0;
    control->configuration = 0;
    control->halted = 0;
    control->fresh = false;
    control->reply_length = 0;
}

static enum usb_then reply(struct usb_control *control, const uint8_t *bytes, size_t length, uint16_t asked) {
    control->reply_length = (uint16_t)(length < asked ? length : asked);
    for (uint16_t i = 0; i < control->reply_length; i++) {
        control->reply[i] = bytes[i];
    }
    return USB_REPLY;
}

static enum usb_then text(struct usb_control *control, uint8_t which, uint16_t asked) {
    uint8_t made[2u + 2u * USB_SERIAL_DIGITS] = {0, STRING};
    const uint8_t *from = which == SERIAL ? control->serial : TEXTS[which];
    const size_t most = which == SERIAL ? USB_SERIAL_DIGITS : sizeof TEXTS[which];
    uint8_t length = 2;
    for (size_t i = 0; i < most && from[i]; i++) {
        made[length] = from[i];
        length = (uint8_t)(length + 2u);
    }
    made[0] = length;
    return reply(control, made, length, asked);
}

static enum usb_then descriptor(struct usb_control *control, uint16_t value, uint16_t asked) {
    static const uint8_t languages[4] = {4, STRING, WORD(ENGLISH)};
    const uint8_t which = (uint8_t)value;
    switch (value >> 8) {
    case DEVICE:
        return which ? USB_STALL : reply(control, DEVICE_IS, sizeof DEVICE_IS, asked);
    case CONFIGURATION:
        return which ? USB_STALL : reply(control, CONFIGURATION_IS, sizeof CONFIGURATION_IS, asked);
    case STRING:
        if (which == NONE) {
            return reply(control, languages, sizeof languages, asked);
        }
        return which <= SERIAL ? text(control, which, asked) : USB_STALL;
    default:
        return USB_STALL;
    }
}

/* The bit of `halted`; 0 for an endpoint that this device has not. */
static uint8_t halt_bit(uint16_t endpoint) {
    switch (endpoint) {
    case USB_BULK:
        return 1u;
    case IN | USB_BULK:
        return 2u;
    case IN | USB_NOTICES:
        return 4u;
    default:
        return 0;
    }
}

static enum usb_then of_device(struct usb_control *control, uint8_t request, uint16_t value, uint16_t length) {
    static const uint8_t status[2] = {SELF_POWERED, 0};
    switch (request) {
    case GET_STATUS:
        return reply(control, status, sizeof status, length);
    case SET_ADDRESS:
        if (value > 127u) {
            return USB_STALL;
        }
        control->address = (uint8_t)value;
        return USB_DONE;
    case GET_DESCRIPTOR:
        return descriptor(control, value, length);
    case GET_CONFIGURATION:
        return reply(control, &control->configuration, 1, length);
    case SET_CONFIGURATION:
        if (value > 1u) {
            return USB_STALL;
        }
        control->configuration = (uint8_t)value;
        control->halted = 0;
        control->fresh = true;
        return USB_DONE;
    default:
        return USB_STALL;
    }
}

static enum usb_then of_interface(struct usb_control *control, uint8_t request, uint16_t value, uint16_t index,
                                  uint16_t length) {
    static const uint8_t nothing[2] = {0, 0};
    if (control->configuration == 0 || index >= INTERFACES) {
        return USB_STALL;
    }
    switch (request) {
    case GET_STATUS:
        return reply(control, nothing, 2, length);
    case GET_INTERFACE:
        return reply(control, nothing, 1, length);
    case SET_INTERFACE:
        return value == 0 ? USB_DONE : USB_STALL;
    default:
        return USB_STALL;
    }
}

static enum usb_then of_endpoint(struct usb_control *control, uint8_t request, uint16_t value, uint16_t index,
                                 uint16_t length) {
    const uint8_t bit = halt_bit(index);
    uint8_t status[2] = {0, 0};
    if (request == GET_STATUS && (index & 0x7fu) == 0) {
        return reply(control, status, 2, length);
    }
    if (bit == 0 || control->configuration == 0) {
        return USB_STALL;
    }
    if (request == GET_STATUS) {
        status[0] = (control->halted & bit) != 0;
        return reply(control, status, 2, length);
    }
    if (value != HALT || (request != CLEAR_FEATURE && request != SET_FEATURE)) {
        return USB_STALL;
    }
    control->halted = (uint8_t)(request == SET_FEATURE ? control->halted | bit : control->halted & ~bit);
    control->fresh = true;
    return USB_DONE;
}

static enum usb_then of_class(struct usb_control *control, uint8_t request, uint16_t index, uint16_t length) {
    if (index != 0) { /* the interface of commands */
        return USB_STALL;
    }
    switch (request) {
    case SET_LINE_CODING:
        return length == sizeof control->coding ? USB_TAKE : USB_STALL;
    case GET_LINE_CODING:
        return reply(control, control->coding, sizeof control->coding, length);
    case SET_CONTROL_LINE_STATE:
        return USB_DONE;
    default:
        return USB_STALL;
    }
}

/* Whether a request's data goes the way that it asks for, or there is none. */
static bool goes_right(uint8_t type, uint8_t request, uint16_t length) {
    const bool in = (type & IN) != 0;
    switch (request) {
    case GET_STATUS:
    case GET_DESCRIPTOR:
    case GET_CONFIGURATION:
    case GET_INTERFACE:
    case GET_LINE_CODING:
        return in;
    case SET_LINE_CODING:
        return !in;
    default:
        return !in && length == 0;
    }
}

enum usb_then usb_control_setup(struct usb_control *control, const uint8_t packet[8]) {
    const uint8_t type = packet[0], request = packet[1];
    const uint16_t value = get16(packet + 2), index = get16(packet + 4), length = get16(packet + 6);
    control->reply_length = 0;
    if (!goes_right(type, request, length)) {
        return USB_STALL;
    }
    switch (type & 0x7fu) {
    case TO_DEVICE:
        return of_device(control, request, value, length);
    case TO_INTERFACE:
        return of_interface(control, request, value, index, length);
    case TO_ENDPOINT:
        return of_endpoint(control, request, value, index, length);
    case TO_CLASS:
        return of_class(control, request, index, length);
    default:
        return USB_STALL;
    }
}

void usb_control_taken(struct usb_control *control, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length && i < sizeof control->coding; i++) {
        control->coding[i] = bytes[i];
    }
}
