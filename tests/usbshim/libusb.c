/* SPDX-License-Identifier: Apache-2.0 */
/* A substitute for libusb in one program (LD_PRELOAD), with a single device. A process with the protocol of
   hardware/meter/loaderhost acts as its endpoint 0, over the file descriptors USBSHIM_OUT and USBSHIM_IN. The types are
   those of libusb.h, as far as used. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STALLED (-9)
#define GONE (-4)
#define SAME(name) int name(void) { return 0; }
#define NOTHING(name) void name(void) {}

struct interface_descriptor {
    uint8_t is[9]; /* the descriptor's bytes from the device */
    const void *endpoint;
    const uint8_t *extra;
    int extra_length;
};

struct interface {
    const struct interface_descriptor *altsetting;
    int settings;
};

struct configuration {
    uint8_t length, kind;
    uint16_t total;
    uint8_t interfaces, value, text, attributes, power;
    const struct interface *interface;
    const uint8_t *extra;
    int extra_length;
};

static uint8_t whole[256];
static struct interface_descriptor setting;
static struct interface one = {&setting, 1};
static struct configuration configuration;

static int end_of(const char *name) {
    const char *number = getenv(name);
    return number ? atoi(number) : -1;
}

static int get(uint8_t *bytes, size_t length) {
    for (size_t at = 0; at < length;) {
        const ssize_t got = read(end_of("USBSHIM_IN"), bytes + at, length - at);
        if (got <= 0) {
            return -1;
        }
        at += (size_t)got;
    }
    return 0;
}

static int put(const void *bytes, size_t length) {
    return write(end_of("USBSHIM_OUT"), bytes, length) == (ssize_t)length ? 0 : -1;
}

int libusb_control_transfer(void *device, uint8_t type, uint8_t request, uint16_t value, uint16_t index, uint8_t *data,
                            uint16_t length, unsigned timeout) {
    const uint8_t setup[9] = {'S', type, request, (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)index,
                              (uint8_t)(index >> 8), (uint8_t)length, (uint8_t)(length >> 8)};
    uint8_t said, size = (uint8_t)length;
    (void)device, (void)timeout;
    if (put(setup, sizeof setup) || get(&said, 1)) {
        return GONE;
    }
    if (said == 't') {
        if (put("D", 1) || put(&size, 1) || put(data, length) || get(&said, 1)) {
            return GONE;
        }
    } else if (said == 'r') {
        return get(&size, 1) || size > length || get(data, size) ? GONE : size;
    }
    return said == 'd' ? length : STALLED;
}

SAME(libusb_init) SAME(libusb_set_option) SAME(libusb_claim_interface) SAME(libusb_release_interface)
SAME(libusb_set_interface_alt_setting) NOTHING(libusb_exit) NOTHING(libusb_close) NOTHING(libusb_free_device_list)
NOTHING(libusb_free_config_descriptor) NOTHING(libusb_unref_device)

void *libusb_ref_device(void *device) { return device; }
uint8_t libusb_get_bus_number(void *device) { return device ? 1 : 0; }
uint8_t libusb_get_device_address(void *device) { return device ? 7 : 0; }
const char *libusb_error_name(int number) { return number == STALLED ? "LIBUSB_ERROR_PIPE" : "LIBUSB_ERROR"; }

int libusb_get_port_numbers(void *device, uint8_t *ports, int most) {
    (void)device, (void)most;
    ports[0] = 2;
    return 1;
}

const void *libusb_get_version(void) {
    static const struct {
        uint16_t parts[4];
        const char *rc, *describe;
    } version = {{1, 0, 27, 0}, "", ""};
    return &version;
}

long libusb_get_device_list(void *context, void ***list) {
    static void *devices[] = {&configuration, NULL};
    (void)context;
    *list = devices;
    return 1;
}

int libusb_get_device_descriptor(void *device, uint8_t *descriptor) {
    return libusb_control_transfer(device, 0x80, 6, 0x0100, 0, descriptor, 18, 0) == 18 ? 0 : GONE;
}

int libusb_get_config_descriptor(void *device, uint8_t which, struct configuration **found) {
    const int length = libusb_control_transfer(device, 0x80, 6, (uint16_t)(0x0200 | which), 0, whole, 255, 0);
    if (length < 18) {
        return GONE;
    }
    configuration = (struct configuration){9, 2, (uint16_t)length, whole[4], whole[5], whole[6], whole[7], whole[8],
                                           &one, NULL, 0};
    memcpy(setting.is, whole + 9, 9);
    setting.extra = whole + 18;
    setting.extra_length = length - 18;
    *found = &configuration;
    return 0;
}

int libusb_open(void *device, void **handle) {
    *handle = device;
    return 0;
}

int libusb_reset_device(void *device) {
    (void)device;
    return put("R", 1) ? GONE : 0;
}
