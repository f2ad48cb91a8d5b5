/* SPDX-License-Identifier: Apache-2.0 */
/* Words on standard input, answers on standard output. */
#include <stdio.h>
#include <stdlib.h>

#include "io.h"

_Noreturn void io_fail(const char *why) {
    fprintf(stderr, "meter-host: %s\n", why);
    exit(2);
}

bool io_read(uint8_t *bytes, size_t length) {
    return fread(bytes, 1, length, stdin) == length;
}

void io_write(const uint8_t *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length) {
        io_fail("nobody reads the answers");
    }
}

void io_flush(void) {
    fflush(stdout);
}
