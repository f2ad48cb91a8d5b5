/* SPDX-License-Identifier: Apache-2.0 */
/* The two library functions that a compiler may call implicitly; there is no library here. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t length);
void *memset(void *at, int byte, size_t length);

/* The pointer is volatile; otherwise the compiler would replace the loop by a call of memcpy, i.e. of itself. */
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
