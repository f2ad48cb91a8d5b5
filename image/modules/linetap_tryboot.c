// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a reboot whose argument contains the word "tryboot" start a Raspberry Pi once from tryboot.txt.
 *
 * The firmware does so if a property of its mailbox was set before the reset. Raspberry Pi's own kernel sets it;
 * mainline's drivers/firmware/raspberrypi.c has no reboot notifier, hence this module. Without a Pi's firmware (the
 * emulated machine) it is never loaded: its alias is the firmware's node in the device tree.
 *
 * Source of the tag: https://github.com/raspberrypi/firmware/wiki/Mailbox-property-interface, "Set reboot flags".
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/of.h>
#include <linux/reboot.h>
#include <linux/string.h>
#include <soc/bcm2835/raspberrypi-firmware.h>

#define SET_REBOOT_FLAGS 0x00038064
#define TRYBOOT BIT(0)

static const char *const node_name = "raspberrypi,bcm2835-firmware";

static int tell(void)
{
	struct device_node *node = of_find_compatible_node(NULL, NULL, node_name);
	struct rpi_firmware *firmware;
	u32 flags = TRYBOOT;
	int result;

	if (!node)
		return -ENODEV;
	firmware = rpi_firmware_get(node);
	of_node_put(node);
	if (!firmware)
		return -ENXIO;
	result = rpi_firmware_property(firmware, SET_REBOOT_FLAGS, &flags, sizeof(flags));
	rpi_firmware_put(firmware);
	return result;
}

/* A failure here starts the old slot, which reports it; the reboot goes on. */
static int before_restart(struct notifier_block *block, unsigned long action, void *argument)
{
	int result;

	if (action != SYS_RESTART || !argument || !strstr(argument, "tryboot"))
		return NOTIFY_DONE;
	result = tell();
	if (result)
		pr_err("linetap_tryboot: the firmware does not take it: %d\n", result);
	else
		pr_info("linetap_tryboot: the next start is from tryboot.txt\n");
	return NOTIFY_DONE;
}

static struct notifier_block before = { .notifier_call = before_restart };

static int __init begin(void)
{
	return register_reboot_notifier(&before);
}

static void __exit end(void)
{
	unregister_reboot_notifier(&before);
}

module_init(begin);
module_exit(end);
MODULE_ALIAS("of:N*T*Craspberrypi,bcm2835-firmware*");
MODULE_DESCRIPTION("Starts a Raspberry Pi once from tryboot.txt");
MODULE_AUTHOR("linetap");
MODULE_LICENSE("GPL");
