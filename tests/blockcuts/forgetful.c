// SPDX-License-Identifier: Apache-2.0
// A disk with a volatile cache, as a file for a loop device: a power cut may lose writes after the last flush.
//
//   forgetful MOUNTPOINT BYTES
//
// MOUNTPOINT/disk is the disk. Writing `cut SEED UNIT PATH` to MOUNTPOINT/control stores in PATH the disk's content
// after a power cut at this moment: all flushed data, and of each later write, independently of the others, all,
// nothing, or random pieces of UNIT bytes. The disk itself continues to work. Reading control returns the number of
// writes, of flushes, and of writes after the last flush.
//
// Single-threaded, so that a cut has a defined position in the order of writes.
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK 4096

struct write {
  off_t offset;
  size_t size;
  struct write *next;
  char data[];
};

static size_t disk_bytes;
static char *seen;     // all written data, for readers
static char *durable;  // flushed data
static struct write *first, **last = &first;
static unsigned long writes, flushes, unflushed;
static uint64_t chance;

static uint64_t draw(void) { // splitmix64
  uint64_t z = (chance += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static void leave(char *left, const struct write *one, size_t unit) {
  uint64_t fate = draw() % 3;
  if (fate == 0) return;
  for (size_t at = 0; at < one->size; at += unit) {
    size_t size = one->size - at < unit ? one->size - at : unit;
    if (fate == 1 || draw() % 2) memcpy(left + one->offset + at, one->data + at, size);
  }
}

static int store(const char *image, const char *path) { // writes a sparse file: blocks of zeros are holes
  static const char zeros[BLOCK];
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  int failed = ftruncate(fd, (off_t)disk_bytes);
  for (size_t at = 0; at < disk_bytes && !failed; at += BLOCK)
    if (memcmp(image + at, zeros, BLOCK)) failed = pwrite(fd, image + at, BLOCK, (off_t)at) != BLOCK;
  close(fd);
  return failed ? -EIO : 0;
}

static int cut(const char *words) {
  unsigned long long seed;
  size_t unit;
  char path[512];
  if (sscanf(words, "cut %llu %zu %511s", &seed, &unit, path) != 3 || unit < 512) return -EINVAL;
  char *left = mmap(NULL, disk_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (left == MAP_FAILED) return -ENOMEM;
  memcpy(left, durable, disk_bytes);
  chance = seed;
  for (const struct write *one = first; one; one = one->next) leave(left, one, unit);
  int failed = store(left, path);
  munmap(left, disk_bytes);
  return failed;
}

static void flush(void) {
  flushes++;
  while (first) {
    struct write *one = first;
    memcpy(durable + one->offset, one->data, one->size);
    first = one->next;
    free(one);
  }
  last = &first;
  unflushed = 0;
}

static int is_disk(const char *path) { return !strcmp(path, "/disk"); }
static int is_control(const char *path) { return !strcmp(path, "/control"); }

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *fi) {
  (void)fi;
  memset(st, 0, sizeof *st);
  st->st_nlink = 1;
  st->st_mode = S_IFREG | 0600;
  if (!strcmp(path, "/")) st->st_mode = S_IFDIR | 0700;
  else if (is_disk(path)) st->st_size = (off_t)disk_bytes;
  else if (!is_control(path)) return -ENOENT;
  return 0;
}

static int on_open(const char *path, struct fuse_file_info *fi) {
  if (!is_disk(path) && !is_control(path)) return -ENOENT;
  fi->direct_io = 1; // bypasses the kernel's cache between the loop device and this program
  return 0;
}

static int on_truncate(const char *path, off_t size, struct fuse_file_info *fi) {
  (void)path, (void)size, (void)fi;
  return 0;
}

static int on_read(const char *path, char *to, size_t size, off_t offset, struct fuse_file_info *fi) {
  (void)fi;
  if (is_control(path)) {
    int said = snprintf(to, size, "%lu %lu %lu\n", writes, flushes, unflushed);
    return offset ? 0 : said;
  }
  if ((size_t)offset >= disk_bytes) return 0;
  if (size > disk_bytes - (size_t)offset) size = disk_bytes - (size_t)offset;
  memcpy(to, seen + offset, size);
  return (int)size;
}

static int on_write(const char *path, const char *from, size_t size, off_t offset, struct fuse_file_info *fi) {
  (void)fi;
  if (is_control(path)) {
    char words[600];
    if (size >= sizeof words) return -EINVAL;
    memcpy(words, from, size);
    words[size] = 0;
    int failed = cut(words);
    return failed ? failed : (int)size;
  }
  if ((size_t)offset + size > disk_bytes) return -ENOSPC;
  struct write *one = malloc(sizeof *one + size);
  if (!one) return -ENOMEM;
  *one = (struct write){.offset = offset, .size = size};
  memcpy(one->data, from, size);
  memcpy(seen + offset, from, size);
  *last = one;
  last = &one->next;
  writes++, unflushed++;
  return (int)size;
}

static int on_fsync(const char *path, int data_only, struct fuse_file_info *fi) {
  (void)data_only, (void)fi;
  if (is_disk(path)) flush();
  return 0;
}

static const struct fuse_operations OPERATIONS = {
    .getattr = on_getattr, .open = on_open, .truncate = on_truncate,
    .read = on_read, .write = on_write, .fsync = on_fsync,
};

int main(int argc, char **argv) {
  if (argc != 3 || (disk_bytes = strtoull(argv[2], NULL, 10)) % BLOCK || !disk_bytes) {
    fprintf(stderr, "usage: forgetful MOUNTPOINT BYTES (a multiple of %d)\n", BLOCK);
    return 2;
  }
  seen = mmap(NULL, disk_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  durable = mmap(NULL, disk_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (seen == MAP_FAILED || durable == MAP_FAILED) return 1;
  char *words[] = {argv[0], "-f", "-s", "-o", "fsname=forgetful", argv[1], NULL};
  return fuse_main(6, words, &OPERATIONS, NULL);
}
