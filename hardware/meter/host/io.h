/* SPDX-License-Identifier: Apache-2.0 */
/* Input and output of words.c. */
#ifndef LINETAP_METER_HOST_IO_H
#define LINETAP_METER_HOST_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads all `length` bytes; false at the end of the input. */
bool io_read(uint8_t *bytes, size_t length);
void io_write(const uint8_t *bytes, size_t length);
void io_flush(void);

/* Prints the reason, and ends the program with status 2. */
_Noreturn void io_fail(const char *why);

#endif
