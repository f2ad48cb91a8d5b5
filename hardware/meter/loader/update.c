/* SPDX-License-Identifier: Apache-2.0 */
#include "update.h"

#include "flash.h"
#include "image.h"
#include "layout.h"

#define ERASED_MS 80u /* 40 at most by the data sheet, from memory; and 1 to write 64 bytes */
#define WRITTEN_MS 5u

static uint32_t came; /* received bytes of the staged image */
static bool ended;    /* the length of its last block was no multiple of eight */

static bool is_written(uint32_t place, const uint8_t bytes[8]) {
    for (unsigned i = 0; i < 8; i++) {
        if (flash_at(place)[i] != bytes[i]) {
            return false;
        }
    }
    return true;
}

static enum dfu_status write(uint32_t place, const uint8_t *bytes, uint32_t length) {
    for (uint32_t at = 0; at < length; at += 8) {
        uint8_t eight[8];
        if ((place + at) % LAYOUT_PAGE == 0 && !flash_erase(place + at)) {
            return DFU_ERASE;
        }
        for (uint32_t i = 0; i < 8; i++) {
            eight[i] = at + i < length ? bytes[at + i] : 0xffu;
        }
        if (!flash_write(place + at, eight)) {
            return DFU_PROG;
        }
        if (!is_written(place + at, eight)) {
            return DFU_VERIFY;
        }
    }
    return DFU_OK;
}

static enum dfu_status copy(void) {
    const enum dfu_status how = write(LAYOUT_RUN, flash_at(LAYOUT_STAGED), image_size(LAYOUT_STAGED));
    if (how != DFU_OK) {
        return how;
    }
    if (image_look(LAYOUT_RUN) != IMAGE_GOOD) {
        return DFU_VERIFY;
    }
    return flash_erase(LAYOUT_STAGED) ? DFU_OK : DFU_ERASE; /* erasing its first page invalidates the image */
}

/* Erases the first page of a refused image, so that the next start does not copy it. */
static enum dfu_status refuse(enum dfu_status why) {
    flash_erase(LAYOUT_STAGED);
    return why;
}

bool update_start(void) {
    const bool whole = image_look(LAYOUT_RUN) == IMAGE_GOOD;
    if (image_look(LAYOUT_STAGED) != IMAGE_GOOD) {
        return whole;
    }
    if (whole && image_version(LAYOUT_STAGED) <= image_version(LAYOUT_RUN)) {
        flash_erase(LAYOUT_STAGED);
        return true;
    }
    copy();
    return image_look(LAYOUT_RUN) == IMAGE_GOOD;
}

void update_begin(void) {
    came = 0;
    ended = false;
}

uint16_t update_block_ms(void) {
    return came % LAYOUT_PAGE == 0 ? ERASED_MS : WRITTEN_MS;
}

enum dfu_status update_block(const uint8_t *bytes, uint32_t length) {
    if (ended || length > LAYOUT_AREA - came) {
        return refuse(DFU_ADDRESS);
    }
    const enum dfu_status how = write(LAYOUT_STAGED + came, bytes, length);
    came += length;
    ended = length % 8u != 0;
    return how;
}

enum dfu_status update_end(void) {
    const enum image_is staged = came <= IMAGE_PROGRAM ? IMAGE_NONE : image_look(LAYOUT_STAGED);
    if (staged == IMAGE_OTHER_PART) {
        return refuse(DFU_TARGET);
    }
    if (staged != IMAGE_NONE && came < image_size(LAYOUT_STAGED)) {
        return refuse(DFU_NOTDONE);
    }
    if (staged != IMAGE_GOOD || came != image_size(LAYOUT_STAGED)) {
        return refuse(DFU_FILE);
    }
    if (image_look(LAYOUT_RUN) == IMAGE_GOOD && image_version(LAYOUT_STAGED) < image_version(LAYOUT_RUN)) {
        return refuse(DFU_VENDOR);
    }
    return copy();
}
