/* SPDX-License-Identifier: Apache-2.0 */
/* The loader on USB: only endpoint 0, with the class DFU 1.1 in its DFU mode. */
#include "../bytes.h"
#include "../usbdevice.h"
#include "dfu.h"

#define PRODUCT 0x0002u
#define RELEASE 0x0100u
#define WHOLE 27u
#define FUNCTIONAL 0x21u
#define CAN_DOWNLOAD 1u
#define TOLERANT 4u /* after an image the device still answers until the bus is reset */
#define DETACH_MS 1000u
#define CLASS_TO_INTERFACE 0x21u
#define GETSTATUS 3u
#define GETSTATE 5u

static const uint8_t CONFIGURATION_IS[WHOLE] = {
    9, CONFIGURATION, USB_WORD(WHOLE), 1, 1, NONE, 0xc0, 0,
    9, INTERFACE, 0, 0, 0, 0xfe /* application specific */, 1 /* DFU */, 2 /* DFU mode */, NAME,
    9, FUNCTIONAL, CAN_DOWNLOAD | TOLERANT, USB_WORD(DETACH_MS), USB_WORD(DFU_BLOCK), USB_WORD(0x0110u),
};

const struct usb_device USB_DEVICE = {
    .device = {18, DEVICE, USB_WORD(0x0200u), 0, 0, 0, USB_PACKET, USB_WORD(USB_VENDOR), USB_WORD(PRODUCT),
               USB_WORD(RELEASE), MAKER, NAME, SERIAL, 1},
    .configuration = CONFIGURATION_IS,
    .whole = WHOLE,
    .interfaces = 1,
    .texts = MORE,
    .name = "linetap meter loader",
    .more = "older than what is there",
};

uint8_t usb_device_halt_bit(uint16_t endpoint) {
    (void)endpoint;
    return 0;
}

enum usb_then usb_device_setup(struct usb_control *control, const uint8_t packet[8]) {
    const bool asks = packet[1] == GETSTATUS || packet[1] == GETSTATE;
    const bool to_it = (packet[0] & 0x7fu) == CLASS_TO_INTERFACE && get16(packet + 4) == 0;
    if (!to_it || control->configuration == 0) {
        return USB_STALL;
    }
    const bool right_way = ((packet[0] & USB_IN) != 0) == asks;
    /* A request with the wrong direction is passed on as an unknown one. */
    return dfu_setup(control, right_way ? packet[1] : 0xffu, get16(packet + 6));
}

void usb_device_taken(struct usb_control *control, const uint8_t *bytes, size_t length) {
    (void)control;
    dfu_taken(bytes, (uint32_t)length);
}

void usb_device_reset(void) {
    dfu_bus_reset();
}
