// SPDX-License-Identifier: Apache-2.0
// A file system on a medium that answers no more: its root is a folder, and everything else is EIO. `failing MOUNTPOINT`
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse3/fuse.h>
#include <string.h>
#include <sys/stat.h>

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *fi) {
  (void)fi;
  if (strcmp(path, "/")) return -EIO;
  memset(st, 0, sizeof *st);
  st->st_mode = S_IFDIR | 0755;
  st->st_nlink = 2;
  return 0;
}

static int on_readdir(const char *path, void *to, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *fi,
                      enum fuse_readdir_flags flags) {
  (void)path, (void)to, (void)fill, (void)offset, (void)fi, (void)flags;
  return -EIO;
}

static int on_create(const char *path, mode_t mode, struct fuse_file_info *fi) {
  (void)path, (void)mode, (void)fi;
  return -EIO;
}

static int on_mkdir(const char *path, mode_t mode) {
  (void)path, (void)mode;
  return -EIO;
}

static int on_statfs(const char *path, struct statvfs *st) {
  (void)path, (void)st;
  return -EIO;
}

static const struct fuse_operations OPERATIONS = {
    .getattr = on_getattr, .readdir = on_readdir, .create = on_create, .mkdir = on_mkdir, .statfs = on_statfs,
};

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  char *words[] = {argv[0], "-f", "-s", "-o", "fsname=failing", argv[1], NULL};
  return fuse_main(6, words, &OPERATIONS, NULL);
}
