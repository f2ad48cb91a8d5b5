/* SPDX-License-Identifier: Apache-2.0 */
/* The part's flash (RM0444, embedded flash). All areas used are in its first bank. While a page is erased the processor
   is stalled, because it runs from the same bank; USB meanwhile answers NAK. */
#include "../registers.h"

#include "../../loader/flash.h"
#include "../../loader/layout.h"

#define BEGINNING 0x08000000u
#define WAIT 10000000u /* iterations: more than a second */
#define SR_ERRORS 0x0000c3fau
#define SR_BUSY (1u << 16 | 1u << 17 | 1u << 18)
#define CR_WRITE 1u
#define CR_ERASE (1u << 1)
#define CR_PAGE(number) ((number) << 3)
#define CR_START (1u << 16)
#define CR_LOCKED (1u << 31)

const uint8_t *flash_at(uint32_t place) {
    return (const uint8_t *)(uintptr_t)(BEGINNING + place);
}

static bool ready(void) {
    for (uint32_t i = 0; i < WAIT; i++) {
        if ((FLASH_SR & SR_BUSY) == 0) {
            return true;
        }
    }
    return false;
}

/* Sets CR to `control` for the operation. */
static bool begin(uint32_t control) {
    if (FLASH_CR & CR_LOCKED) {
        FLASH_KEYR = 0x45670123u;
        FLASH_KEYR = 0xcdef89abu;
    }
    if (!ready()) {
        return false;
    }
    FLASH_SR = SR_ERRORS;
    FLASH_CR = control;
    return true;
}

static bool ended(void) {
    const bool well = ready() && (FLASH_SR & SR_ERRORS) == 0;
    FLASH_CR = CR_LOCKED;
    return well;
}

/* Whether the place lies outside the loader's own pages. */
static bool is_ours(uint32_t place) {
    return place >= LAYOUT_RUN && place < LAYOUT_STAGED + LAYOUT_AREA;
}

bool flash_erase(uint32_t place) {
    if (!is_ours(place) || !begin(CR_ERASE | CR_PAGE(place / LAYOUT_PAGE))) {
        return false;
    }
    FLASH_CR |= CR_START;
    return ended();
}

bool flash_write(uint32_t place, const uint8_t bytes[8]) {
    uint32_t words[2] = {0, 0};
    for (unsigned i = 0; i < 8; i++) {
        words[i / 4u] |= (uint32_t)bytes[i] << 8u * (i % 4u);
    }
    if (!is_ours(place) || !begin(CR_WRITE)) {
        return false;
    }
    REGISTER(BEGINNING + place) = words[0];
    REGISTER(BEGINNING + place + 4u) = words[1];
    return ended();
}
