/* SPDX-License-Identifier: Apache-2.0 */
/* Verifies Ed25519 (RFC 8032): the curve is Monocypher's, in build/monocypher; the key is chosen when the loader is
   built. */
#include "image.h"

#include "../bytes.h"
#include "flash.h"
#include "layout.h"
#include "monocypher.h"
#include "sha512.h"

static const uint8_t KEY[32] = {LOADER_KEY};

static bool signed_by_the_maker(const uint8_t *image, uint32_t size) {
    struct sha512 sha;
    uint8_t hash[64], scalar[32];
    sha512_begin(&sha);
    sha512_add(&sha, image, 32);
    sha512_add(&sha, KEY, sizeof KEY);
    sha512_add(&sha, image + IMAGE_SIGNATURE, size - IMAGE_SIGNATURE);
    sha512_end(&sha, hash);
    crypto_eddsa_reduce(scalar, hash);
    return crypto_eddsa_check_equation(image, KEY, scalar) == 0;
}

enum image_is image_look(uint32_t place) {
    static const uint8_t magic[4] = {'L', 'T', 'M', 'I'};
    const uint8_t *image = flash_at(place);
    for (unsigned i = 0; i < sizeof magic; i++) {
        if (image[IMAGE_MAGIC + i] != magic[i]) {
            return IMAGE_NONE;
        }
    }
    if (get32(image + IMAGE_PART) != IMAGE_OUR_PART) {
        return IMAGE_OTHER_PART;
    }
    if (get32(image + IMAGE_LENGTH) > LAYOUT_AREA - IMAGE_PROGRAM) {
        return IMAGE_NONE;
    }
    return signed_by_the_maker(image, image_size(place)) ? IMAGE_GOOD : IMAGE_FORGED;
}

uint32_t image_size(uint32_t place) {
    return IMAGE_PROGRAM + get32(flash_at(place) + IMAGE_LENGTH);
}

uint32_t image_version(uint32_t place) {
    return get32(flash_at(place) + IMAGE_VERSION);
}
