/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint 0 of a USB device: USB 2.0, chapter 9. */
#include "usbcontrol.h"

#include "bytes.h"
#include "usbdevice.h"

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
};

/* bmRequestType without its direction. */
enum to { TO_DEVICE = 0x00, TO_INTERFACE = 0x01, TO_ENDPOINT = 0x02 };

#define HALT 0u
#define SELF_POWERED 1u
#define ENGLISH 0x0409u

static const uint8_t MAKER_IS[] = "linetap";

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
    control->halted = control->changed = 0;
    control->fresh = false;
    control->reply_length = 0;
    control->wants_loader = false;
    usb_device_reset();
}

enum usb_then usb_reply(struct usb_control *control, const uint8_t *bytes, size_t length, uint16_t asked) {
    control->reply_length = (uint16_t)(length < asked ? length : asked);
    for (uint16_t i = 0; i < control->reply_length; i++) {
        control->reply[i] = bytes[i];
    }
    return USB_REPLY;
}

static enum usb_then text(struct usb_control *control, uint8_t which, uint16_t asked) {
    uint8_t made[2u + 2u * USB_SERIAL_DIGITS] = {0, STRING};
    const uint8_t *const from[] = {[MAKER] = MAKER_IS, [NAME] = USB_DEVICE.name, [SERIAL] = control->serial,
                                   [MORE] = USB_DEVICE.more};
    uint8_t length = 2;
    for (size_t i = 0; i < USB_SERIAL_DIGITS && from[which][i]; i++) {
        made[length] = from[which][i];
        length = (uint8_t)(length + 2u);
    }
    made[0] = length;
    return usb_reply(control, made, length, asked);
}

static enum usb_then descriptor(struct usb_control *control, uint16_t value, uint16_t asked) {
    static const uint8_t languages[4] = {4, STRING, USB_WORD(ENGLISH)};
    const uint8_t which = (uint8_t)value;
    switch (value >> 8) {
    case DEVICE:
        return which ? USB_STALL : usb_reply(control, USB_DEVICE.device, sizeof USB_DEVICE.device, asked);
    case CONFIGURATION:
        return which ? USB_STALL : usb_reply(control, USB_DEVICE.configuration, USB_DEVICE.whole, asked);
    case STRING:
        if (which == NONE) {
            return usb_reply(control, languages, sizeof languages, asked);
        }
        return which <= USB_DEVICE.texts ? text(control, which, asked) : USB_STALL;
    default:
        return USB_STALL;
    }
}

static enum usb_then of_device(struct usb_control *control, uint8_t request, uint16_t value, uint16_t length) {
    static const uint8_t status[2] = {SELF_POWERED, 0};
    switch (request) {
    case GET_STATUS:
        return usb_reply(control, status, sizeof status, length);
    case SET_ADDRESS:
        if (value > 127u) {
            return USB_STALL;
        }
        control->address = (uint8_t)value;
        return USB_DONE;
    case GET_DESCRIPTOR:
        return descriptor(control, value, length);
    case GET_CONFIGURATION:
        return usb_reply(control, &control->configuration, 1, length);
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
    if (control->configuration == 0 || index >= USB_DEVICE.interfaces) {
        return USB_STALL;
    }
    switch (request) {
    case GET_STATUS:
        return usb_reply(control, nothing, 2, length);
    case GET_INTERFACE:
        return usb_reply(control, nothing, 1, length);
    case SET_INTERFACE: /* its endpoints restart (9.1.1.5) */
        if (value != 0) {
            return USB_STALL;
        }
        control->changed |= USB_DEVICE.endpoints[index];
        control->halted &= (uint8_t)~USB_DEVICE.endpoints[index];
        return USB_DONE;
    default:
        return USB_STALL;
    }
}

static enum usb_then of_endpoint(struct usb_control *control, uint8_t request, uint16_t value, uint16_t index,
                                 uint16_t length) {
    const uint8_t bit = usb_device_halt_bit(index);
    uint8_t status[2] = {0, 0};
    if (request == GET_STATUS && (index & 0x7fu) == 0) {
        return usb_reply(control, status, 2, length);
    }
    if (bit == 0 || control->configuration == 0) {
        return USB_STALL;
    }
    if (request == GET_STATUS) {
        status[0] = (control->halted & bit) != 0;
        return usb_reply(control, status, 2, length);
    }
    if (value != HALT || (request != CLEAR_FEATURE && request != SET_FEATURE)) {
        return USB_STALL;
    }
    control->halted = (uint8_t)(request == SET_FEATURE ? control->halted | bit : control->halted & ~bit);
    control->changed |= bit;
    return USB_DONE;
}

/* Whether a request's data phase has its defined direction, or there is none. */
static bool goes_right(uint8_t type, uint8_t request, uint16_t length) {
    const bool in = (type & USB_IN) != 0;
    switch (request) {
    case GET_STATUS:
    case GET_DESCRIPTOR:
    case GET_CONFIGURATION:
    case GET_INTERFACE:
        return in;
    default:
        return !in && length == 0;
    }
}

enum usb_then usb_control_setup(struct usb_control *control, const uint8_t packet[8]) {
    const uint8_t type = packet[0], request = packet[1];
    const uint16_t value = get16(packet + 2), index = get16(packet + 4), length = get16(packet + 6);
    control->reply_length = 0;
    if (type & 0x60u) { /* of a class, or a vendor's */
        return usb_device_setup(control, packet);
    }
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
    default:
        return USB_STALL;
    }
}

void usb_control_taken(struct usb_control *control, const uint8_t *bytes, size_t length) {
    usb_device_taken(control, bytes, length);
}
