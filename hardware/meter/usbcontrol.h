/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint 0 of a USB device: descriptors and requests, without access to registers. usbdevice.h is the interface of
   the device itself. An unknown request is answered with a stall. */
#ifndef LINETAP_METER_USBCONTROL_H
#define LINETAP_METER_USBCONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USB_PACKET 64u /* of endpoint 0 and of both bulk endpoints: the largest at full speed */
#define USB_BULK 1u    /* in and out: the bytes of meter-protocol.md */
#define USB_NOTICES 2u /* in: required by the class, never used */
#define USB_NOTICE_PACKET 8u
#define USB_SERIAL_DIGITS 24u
#define USB_MOST_REPLY 80u

/* To the meter: restart, and stay in the loader (OUT, vendor, device; no data). */
#define USB_TO_LOADER 0x40u
#define USB_LOADER 0x4cu
#define USB_LOADER_VALUE 0x4446u

enum usb_then {
    USB_STALL, /* unknown request */
    USB_REPLY, /* `reply`, `reply_length` bytes: the host reads them */
    USB_TAKE,  /* the host sends wLength bytes, for usb_control_taken */
    USB_DONE,  /* acknowledged with an empty packet */
};

struct usb_control {
    uint8_t serial[USB_SERIAL_DIGITS]; /* ASCII */
    uint8_t address;                   /* in force after USB_DONE */
    uint8_t configuration;             /* 0: none, and the bulk endpoints are disabled */
    uint8_t halted;                    /* bit 0 bulk out, bit 1 bulk in, bit 2 notices */
    uint8_t coding[7];                 /* of the line, as set by the host; without effect */
    bool wants_loader;                 /* valid after USB_DONE */
    uint8_t changed;                   /* bits as in `halted`: halted, or cleared with the toggle reset (9.4.5) */
    bool fresh;                        /* all of them restart, without old data */
    uint8_t reply[USB_MOST_REPLY];
    uint16_t reply_length;
};

/* `unique`: the part's unique number, 96 bits. */
void usb_control_begin(struct usb_control *control, const uint32_t unique[3]);

/* Resets after a bus reset: no address, no configuration. */
void usb_control_reset(struct usb_control *control);

/* Handles the eight bytes of a setup packet. */
enum usb_then usb_control_setup(struct usb_control *control, const uint8_t packet[8]);

/* The complete data after USB_TAKE. */
void usb_control_taken(struct usb_control *control, const uint8_t *bytes, size_t length);

#endif
