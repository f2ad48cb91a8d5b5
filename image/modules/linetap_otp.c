// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the key in a Raspberry Pi's fuses (the "device private key" of its OTP memory), with which the initramfs opens
 * the card: 64 hexadecimal digits in /sys/kernel/linetap_otp/private_key, in the form of Raspberry Pi's
 * rpi-otp-private-key, readable by root and once. The module does not load if the firmware returns no key, or zeros: none is
 * burnt in.
 *
 * It exists only in the initramfs, which removes it before it enters the root file system. From then on the kernel's
 * lockdown admits only modules signed by Debian, Debian's kernel has no /dev/vcio, and /dev/mem is closed: no process
 * can reach the mailbox. The module also requests the firmware's lock (rpi-fw-crypto set-key-status): until the next
 * start the firmware then refuses the key to everybody. A firmware without that lock continues to return it, which the
 * module reports in the kernel's log.
 *
 * Source of the tags: raspberrypi/rpi-eeprom, tools/rpi-otp-private-key (eight rows, the first word first; a Pi 5 has
 * eight more, which are not used); raspberrypi/utils, rpifwcrypto. The module never writes the fuses.
 */
#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <soc/bcm2835/raspberrypi-firmware.h>

#define GET_PRIVATE_KEY 0x00030081
#define SET_KEY_STATUS 0x00038090
#define KEY_ID 1		 /* of the device's private key, in rpifwcrypto */
#define LOCKED GENMASK(11, 8) /* for reading, generating, signing and HMAC */
#define ROWS 8

struct key_request {
	struct rpi_firmware_property_tag_header header;
	u32 first, count, row[ROWS];
};

struct lock_request {
	struct rpi_firmware_property_tag_header header;
	u32 key, status;
};

static u32 key[ROWS];
static atomic_t is_told = ATOMIC_INIT(0);
static struct kobject *folder;

static ssize_t private_key_show(struct kobject *object, struct kobj_attribute *attribute, char *text)
{
	ssize_t length = 0;
	int i;

	if (atomic_xchg(&is_told, 1))
		return -ENODATA;
	for (i = 0; i < ROWS; i++)
		length += sysfs_emit_at(text, length, "%08x", key[i]);
	memzero_explicit(key, sizeof(key));
	return length + sysfs_emit_at(text, length, "\n");
}
static struct kobj_attribute private_key = __ATTR(private_key, 0400, private_key_show, NULL);

static int read_rows(struct rpi_firmware *firmware, u32 *row)
{
	struct key_request request = {
		.header = { .tag = GET_PRIVATE_KEY, .buf_size = sizeof(request) - sizeof(request.header) },
		.count = ROWS,
	};
	int result = rpi_firmware_property_list(firmware, &request, sizeof(request));

	memcpy(row, request.row, sizeof(request.row));
	memzero_explicit(&request, sizeof(request));
	if (result)
		return result;
	return memchr_inv(row, 0, ROWS * sizeof(*row)) ? 0 : -ENODATA;
}

/* The answer also overwrites the key in the page shared with the firmware. */
static void lock(struct rpi_firmware *firmware)
{
	struct lock_request request = {
		.header = { .tag = SET_KEY_STATUS, .buf_size = sizeof(request) - sizeof(request.header) },
		.key = KEY_ID,
		.status = LOCKED,
	};

	rpi_firmware_property_list(firmware, &request, sizeof(request));
}

static int take(struct rpi_firmware *firmware)
{
	u32 again[ROWS];
	int result = read_rows(firmware, key);

	if (result)
		return result;
	lock(firmware);
	if (read_rows(firmware, again))
		pr_info("linetap_otp: the firmware gives the key to nobody else until the next start\n");
	else
		pr_info("linetap_otp: this firmware has no lock: it would give the key again\n");
	memzero_explicit(again, sizeof(again));
	lock(firmware);
	return 0;
}

static int __init begin(void)
{
	struct device_node *node = of_find_compatible_node(NULL, NULL, "raspberrypi,bcm2835-firmware");
	struct rpi_firmware *firmware;
	int result;

	if (!node)
		return -ENODEV;
	firmware = rpi_firmware_get(node);
	of_node_put(node);
	if (!firmware)
		return -ENXIO;
	result = take(firmware);
	rpi_firmware_put(firmware);
	if (result)
		return result;
	folder = kobject_create_and_add("linetap_otp", kernel_kobj);
	result = folder ? sysfs_create_file(folder, &private_key.attr) : -ENOMEM;
	if (result) {
		kobject_put(folder);
		memzero_explicit(key, sizeof(key));
	}
	return result;
}

static void __exit end(void)
{
	kobject_put(folder);
	memzero_explicit(key, sizeof(key));
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("The key in a Raspberry Pi's fuses, once");
MODULE_AUTHOR("linetap");
MODULE_LICENSE("GPL");
