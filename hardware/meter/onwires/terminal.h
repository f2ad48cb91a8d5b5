/* SPDX-License-Identifier: Apache-2.0 */
/* A terminal in place of the meter's serial adapter. */
#ifndef LINETAP_METER_TERMINAL_H
#define LINETAP_METER_TERMINAL_H

#include <stddef.h>
#include <stdint.h>

/* Makes a raw terminal and the link `path` to it. Ends the program with status 2 and the reason if that is impossible.
   linetap may disconnect and reconnect. */
void terminal_open(const char *path);

/* Reads what has arrived, possibly nothing. */
size_t terminal_read(uint8_t *bytes, size_t room);

/* Bytes that the terminal does not hold are lost, as on a wire. */
void terminal_write(const uint8_t *bytes, size_t length);

/* Removes the link. */
void terminal_close(void);

#endif
