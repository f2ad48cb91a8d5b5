/* SPDX-License-Identifier: Apache-2.0 */
/* A device's part of usbcontrol.c: its descriptors, and the requests of its class. The meter is usbserial.c, its loader
   loader/usbdfu.c. */
#ifndef LINETAP_METER_USBDEVICE_H
#define LINETAP_METER_USBDEVICE_H

#include "usbcontrol.h"

#define USB_IN 0x80u

enum usb_descriptor { DEVICE = 1, CONFIGURATION = 2, STRING = 3, INTERFACE = 4, ENDPOINT = 5, CLASS_INTERFACE = 0x24 };
enum usb_text { NONE, MAKER, NAME, SERIAL, MORE };

/* pid.codes' number for tests, which must not be shipped: our own is not yet assigned. */
#define USB_VENDOR 0x1209u
#define USB_WORD(value) (uint8_t)(value), (uint8_t)((value) >> 8)

struct usb_device {
    uint8_t device[18];
    const uint8_t *configuration;
    uint8_t whole; /* its total length in bytes */
    uint8_t interfaces;
    uint8_t endpoints[2]; /* of each interface, as bits of `halted` */
    uint8_t texts;        /* SERIAL or MORE: the last index */
    uint8_t name[24], more[24];
};

extern const struct usb_device USB_DEVICE;

/* The bit of `halted`; 0 for an endpoint that this device does not have. */
uint8_t usb_device_halt_bit(uint16_t endpoint);

/* Requests of class and vendor. */
enum usb_then usb_device_setup(struct usb_control *control, const uint8_t packet[8]);
void usb_device_taken(struct usb_control *control, const uint8_t *bytes, size_t length);
void usb_device_reset(void);

/* For the class: replies with as many of `bytes` as requested. */
enum usb_then usb_reply(struct usb_control *control, const uint8_t *bytes, size_t length, uint16_t asked);

#endif
