/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint 0 of a device on USB: its descriptors and requests, without any register. usbdevice.h is which device. A host
   that asks what it does not know is told so (a stall). */
#ifndef LINETAP_METER_USBCONTROL_H
#define LINETAP_METER_USBCONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USB_PACKET 64u /* of endpoint 0 and of both bulk endpoints: full speed has no larger one */
#define USB_BULK 1u    /* in and out: the bytes of meter-protocol.md */
#define USB_NOTICES 2u /* in: the class asks for it; nothing is ever said */
#define USB_NOTICE_PACKET 8u
#define USB_SERIAL_DIGITS 24u
#define USB_MOST_REPLY 80u

/* To the meter: begin anew, and stay in the loader (OUT, vendor, device; no data). */
#define USB_TO_LOADER 0x40u
#define USB_LOADER 0x4cu
#define USB_LOADER_VALUE 0x4446u

enum usb_then {
    USB_STALL, /* not known here */
    USB_REPLY, /* `reply`, `reply_length` bytes: the host reads them */
    USB_TAKE,  /* the host sends wLength bytes, for usb_control_taken */
    USB_DONE,  /* an empty packet says so */
};

struct usb_control {
    uint8_t serial[USB_SERIAL_DIGITS]; /* ASCII */
    uint8_t address;                   /* in force once USB_DONE is said */
    uint8_t configuration;             /* 0: none, and the bulk endpoints are dead */
    uint8_t halted;                    /* bit 0 bulk out, bit 1 bulk in, bit 2 notices */
    uint8_t coding[7];                 /* of the line, as the host likes it; it changes nothing */
    bool wants_loader;                 /* once USB_DONE is said */
    bool fresh;                        /* the bulk endpoints begin anew, with the first of their toggles */
    uint8_t reply[USB_MOST_REPLY];
    uint16_t reply_length;
};

/* `unique`: the part's own number, 96 bits. */
void usb_control_begin(struct usb_control *control, const uint32_t unique[3]);

/* The bus was reset: no address, no configuration. */
void usb_control_reset(struct usb_control *control);

/* The eight bytes of a setup packet. */
enum usb_then usb_control_setup(struct usb_control *control, const uint8_t packet[8]);

/* What USB_TAKE waited for, whole. */
void usb_control_taken(struct usb_control *control, const uint8_t *bytes, size_t length);

#endif
