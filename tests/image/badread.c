/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded: of the file BADREAD_FILE the first BADREAD_BYTES are read, and then comes an error, as from a card or from an
   ext4 whose map of the file was changed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static off_t left(int fd) {
  struct stat this, bad;
  const char *file = getenv("BADREAD_FILE"), *bytes = getenv("BADREAD_BYTES");
  if (!file || !bytes || fstat(fd, &this) || stat(file, &bad) || this.st_ino != bad.st_ino || this.st_dev != bad.st_dev)
    return -1;
  off_t at = lseek(fd, 0, SEEK_CUR), end = atol(bytes);
  return at < end ? end - at : 0;
}

ssize_t read(int fd, void *into, size_t count) {
  ssize_t (*next)(int, void *, size_t) = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
  off_t here = left(fd);
  if (here == 0 && count) {
    errno = EIO;
    return -1;
  }
  return next(fd, into, here > 0 && (size_t)here < count ? (size_t)here : count);
}

ssize_t copy_file_range(int from, off_t *at, int to, off_t *there, size_t count, unsigned int flags) {
  (void)from, (void)at, (void)to, (void)there, (void)count, (void)flags;
  errno = EINVAL;
  return -1;
}
