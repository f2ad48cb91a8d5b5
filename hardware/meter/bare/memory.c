/* SPDX-License-Identifier: Apache-2.0 */
/* The two that a compiler may call without being asked, where there is no library. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t length);
void *memset(void *at, int byte, size_t length);

/* By a volatile pointer, or the loop would be found to be a memcpy and call itself. */
void *memcpy(void *to, const void *from, size_t length) {
    for (size_t i = 0; i < length; i++) {
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
    return to;
}

void *memset(void *at, int byte, size_t length) {
    for (size_t i = 0; i < length; i++) {
        ((volatile uint8_t *)at)[i] = (uint8_t)byte;
    }
    return at;
}
