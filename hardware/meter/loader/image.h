/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what lies in flash is a program of ours: layout.h says what an image is. */
#ifndef LINETAP_METER_LOADER_IMAGE_H
#define LINETAP_METER_LOADER_IMAGE_H

#include <stdint.h>

enum image_is {
    IMAGE_GOOD,
    IMAGE_NONE,       /* no image, or longer than there is room */
    IMAGE_OTHER_PART, /* an image for something else */
    IMAGE_FORGED,     /* its signature is not the maker's over these bytes */
};

/* In the area of flash that begins at `place`. */
enum image_is image_look(uint32_t place);

uint32_t image_size(uint32_t place);    /* of one that is not IMAGE_NONE: header and program */
uint32_t image_version(uint32_t place); /* likewise; a later one is a greater number */

#endif
