// SPDX-License-Identifier: GPL-2.0-only
/*
 * The card's clock chip, Micro Crystal RV-3028-C7: read, set, and kept running by the card's capacitor. Debian's kernel is
 * built without a driver for it (CONFIG_RTC_DRV_RV3028 is not set).
 *
 * By the RV-3028-C7 Application Manual, revision 1.4: clock registers 3.3, status 3.7, control 3.8 and 3.9, backup
 * 3.16, refresh of the configuration from the EEPROM 4.6. The EEPROM is never written: the settings of the device tree
 * are applied at each start, and the daily refresh, which would undo them, is off.
 */
#include <linux/bcd.h>
#include <linux/bits.h>
#include <linux/i2c.h>
#include <linux/module.h>
#include <linux/property.h>
#include <linux/rtc.h>

#define SECONDS 0x00 /* then minutes, hours, weekday, date, month, year, in BCD */
#define STATUS 0x0e
#define LOST_POWER BIT(0) /* PORF: the time is invalid */
#define CONTROL_1 0x0f
#define NO_REFRESH BIT(3) /* EERD */
#define CONTROL_2 0x10
#define HALF_DAYS BIT(1) /* 12_24: 12-hour mode */
#define BACKUP 0x37
#define CHARGE BIT(5) /* TCE */
#define EDGES BIT(4)  /* FEDE: always set */
#define MODE_SHIFT 2  /* BSM */
#define FIELDS 7

static const u32 resistors[] = { 3000, 5000, 9000, 15000 }; /* TCR */

static int read_time(struct device *dev, struct rtc_time *time)
{
	struct i2c_client *client = to_i2c_client(dev);
	u8 field[FIELDS];
	int status = i2c_smbus_read_byte_data(client, STATUS);

	if (status < 0)
		return status;
	if (status & LOST_POWER)
		return -EINVAL;
	if (i2c_smbus_read_i2c_block_data(client, SECONDS, FIELDS, field) != FIELDS)
		return -EIO;
	time->tm_sec = bcd2bin(field[0] & 0x7f);
	time->tm_min = bcd2bin(field[1] & 0x7f);
	time->tm_hour = bcd2bin(field[2] & 0x3f);
	time->tm_wday = field[3] & 0x7;
	time->tm_mday = bcd2bin(field[4] & 0x3f);
	time->tm_mon = bcd2bin(field[5] & 0x1f) - 1;
	time->tm_year = bcd2bin(field[6]) + 100;
	return 0;
}

static int set_time(struct device *dev, struct rtc_time *time)
{
	struct i2c_client *client = to_i2c_client(dev);
	u8 field[FIELDS] = {
		bin2bcd(time->tm_sec), bin2bcd(time->tm_min), bin2bcd(time->tm_hour), time->tm_wday,
		bin2bcd(time->tm_mday), bin2bcd(time->tm_mon + 1), bin2bcd(time->tm_year - 100),
	};
	int result = i2c_smbus_write_i2c_block_data(client, SECONDS, FIELDS, field);

	/* Writing 0 clears a flag, writing 1 keeps it. */
	return result ? result : i2c_smbus_write_byte_data(client, STATUS, (u8)~LOST_POWER);
}

static const struct rtc_class_ops operations = { .read_time = read_time, .set_time = set_time };

static int set_bits(struct i2c_client *client, u8 at, u8 clear, u8 set)
{
	int value = i2c_smbus_read_byte_data(client, at);

	return value < 0 ? value : i2c_smbus_write_byte_data(client, at, (value & ~clear) | set);
}

static int keep_running(struct i2c_client *client)
{
	u32 mode = 0, ohms = 0;
	u8 backup = EDGES;
	int i, result;

	device_property_read_u32(&client->dev, "backup-switchover-mode", &mode);
	device_property_read_u32(&client->dev, "trickle-resistor-ohms", &ohms);
	for (i = 0; i < ARRAY_SIZE(resistors); i++)
		if (resistors[i] == ohms)
			backup |= CHARGE | i;
	result = set_bits(client, CONTROL_1, 0, NO_REFRESH);
	if (!result)
		result = set_bits(client, BACKUP, 0x3f, backup | (mode & 3) << MODE_SHIFT);
	return result ? result : set_bits(client, CONTROL_2, HALF_DAYS, 0);
}

static int begin(struct i2c_client *client)
{
	struct rtc_device *clock;
	int result = keep_running(client);

	if (result)
		return dev_err_probe(&client->dev, result, "the clock chip does not answer\n");
	clock = devm_rtc_allocate_device(&client->dev);
	if (IS_ERR(clock))
		return PTR_ERR(clock);
	clock->ops = &operations;
	clock->range_min = RTC_TIMESTAMP_BEGIN_2000;
	clock->range_max = RTC_TIMESTAMP_END_2099;
	clear_bit(RTC_FEATURE_ALARM, clock->features);
	return devm_rtc_register_device(clock);
}

static const struct of_device_id in_trees[] = { { .compatible = "microcrystal,rv3028" }, {} };
MODULE_DEVICE_TABLE(of, in_trees);
static const struct i2c_device_id on_buses[] = { { "rv3028" }, {} };
MODULE_DEVICE_TABLE(i2c, on_buses);

static struct i2c_driver rv3028 = {
	.driver = { .name = "linetap_rv3028", .of_match_table = in_trees },
	.probe = begin,
	.id_table = on_buses,
};
module_i2c_driver(rv3028);
MODULE_DESCRIPTION("Micro Crystal RV-3028-C7, the clock of a linetap card");
MODULE_AUTHOR("linetap");
MODULE_LICENSE("GPL");
