/* SPDX-License-Identifier: Apache-2.0 */
/* The layout of the part's flash, from its beginning, and of an image. All areas are in the first 64 KiB: in a part of
   128 KiB they belong to one bank, whichever way its flash is divided. */
#ifndef LINETAP_METER_LOADER_LAYOUT_H
#define LINETAP_METER_LOADER_LAYOUT_H

#define LAYOUT_PAGE 2048u
#define LAYOUT_RUN 0x6000u    /* the running program; below it is the loader */
#define LAYOUT_STAGED 0xb000u /* a received image that is not copied yet */
#define LAYOUT_AREA 0x5000u   /* bytes of each */
#define LAYOUT_FLASH 0x10000u

/* An image: its signature, over all that follows; its description; its program, aligned to 256 for its vectors. */
#define IMAGE_SIGNATURE 64u
#define IMAGE_MAGIC 64u   /* "LTMI" */
#define IMAGE_PART 68u    /* IMAGE_OUR_PART, little-endian like all fields */
#define IMAGE_VERSION 72u /* patch, minor, major, 0 */
#define IMAGE_LENGTH 76u  /* of the program */
#define IMAGE_PROGRAM 256u
#define IMAGE_OUR_PART 0x00010467u /* the card's design, and DBG_IDCODE's number of an STM32G0B1 */

/* Written to memory by a program that requests the loader, and kept over the reset that follows. */
#define LAYOUT_WISH_AT 0x20007ff0u
#define LAYOUT_WISH 0x52444f4cu

#endif
