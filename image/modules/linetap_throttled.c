// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shows a Raspberry Pi firmware's report on supply and heat in get_throttled of the firmware's device: the same file,
 * with the same text, as in Raspberry Pi's kernel. Mainline's drivers/firmware/raspberrypi.c has none, and Debian
 * builds no raspberrypi-hwmon.
 *
 * Source of the tag: https://github.com/raspberrypi/firmware/wiki/Mailbox-property-interface, "Get throttled"; of the
 * bits: Raspberry Pi's documentation of `vcgencmd get_throttled`. The value sent is a mask of bits to clear: none.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_platform.h>
#include <linux/platform_device.h>
#include <linux/sysfs.h>
#include <soc/bcm2835/raspberrypi-firmware.h>

#define GET_THROTTLED 0x00030046

static struct platform_device *device;

static ssize_t get_throttled_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	struct rpi_firmware *firmware = rpi_firmware_get(dev->of_node);
	u32 value = 0;
	int result;

	if (!firmware)
		return -ENXIO;
	result = rpi_firmware_property(firmware, GET_THROTTLED, &value, sizeof(value));
	rpi_firmware_put(firmware);
	return result ? result : sysfs_emit(text, "%x\n", value);
}
static DEVICE_ATTR_RO(get_throttled);

static int __init begin(void)
{
	struct device_node *node = of_find_compatible_node(NULL, NULL, "raspberrypi,bcm2835-firmware");
	int result;

	if (!node)
		return -ENODEV;
	device = of_find_device_by_node(node);
	of_node_put(node);
	if (!device)
		return -ENODEV;
	result = device_create_file(&device->dev, &dev_attr_get_throttled);
	if (result)
		platform_device_put(device);
	return result;
}

static void __exit end(void)
{
	device_remove_file(&device->dev, &dev_attr_get_throttled);
	platform_device_put(device);
}

module_init(begin);
module_exit(end);
MODULE_ALIAS("of:N*T*Craspberrypi,bcm2835-firmware*");
MODULE_DESCRIPTION("What a Raspberry Pi's firmware says of its supply and its heat");
MODULE_AUTHOR("linetap");
MODULE_LICENSE("GPL");
