/* SPDX-License-Identifier: Apache-2.0 */
/* Checks whether the flash holds a program of the maker; layout.h defines an image. */
#ifndef LINETAP_METER_LOADER_IMAGE_H
#define LINETAP_METER_LOADER_IMAGE_H

#include <stdint.h>

enum image_is {
    IMAGE_GOOD,
    IMAGE_NONE,       /* no image, or one longer than its area */
    IMAGE_OTHER_PART, /* an image for another part */
    IMAGE_FORGED,     /* its signature is not the maker's over these bytes */
};

/* The image in the area of flash that begins at `place`. */
enum image_is image_look(uint32_t place);

uint32_t image_size(uint32_t place);    /* header and program; not for IMAGE_NONE */
uint32_t image_version(uint32_t place); /* likewise; a later version is a greater number */

#endif
