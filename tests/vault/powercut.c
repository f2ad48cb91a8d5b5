/* SPDX-License-Identifier: Apache-2.0
 *
 * LD_PRELOAD: writes down, in order, everything a process does to files below $POWERCUT_ROOT, into $POWERCUT_LOG.
 *
 * A record: kind, inode u64, offset i64, length u32 of a first and of a second text, then both. The inode is 0 where
 * a name alone is meant. powercut.py reads it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_FDS 4096

static int log_fd = -1;
static const char *root;
static char watched[MOST_FDS];
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("POWERCUT_LOG");
	root = getenv("POWERCUT_ROOT");
	if (path && root)
		log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(const void *data, size_t size)
{
	const char *at = data;
	while (size) {
		ssize_t n = syscall(SYS_write, log_fd, at, size);
		if (n <= 0)
			abort(); /* a harness that has lost a record proves nothing */
		at += n;
		size -= (size_t)n;
	}
}

static void note(char kind, uint64_t inode, int64_t offset, const void *one, uint32_t n1, const void *two, uint32_t n2)
{
	int before = errno;
	put(&kind, 1);
	put(&inode, 8);
	put(&offset, 8);
	put(&n1, 4);
	put(&n2, 4);
	put(one, n1);
	put(two, n2);
	errno = before;
}

static void note_names(char kind, uint64_t inode, const char *one, const char *two)
{
	note(kind, inode, 0, one, (uint32_t)strlen(one), two, (uint32_t)strlen(two));
}

static int is_ours(const char *path)
{
	return log_fd >= 0 && !strncmp(path, root, strlen(root));
}

static int is_watched(int fd)
{
	return fd >= 0 && fd < MOST_FDS && watched[fd];
}

static uint64_t inode_of(int fd)
{
	struct stat info;
	return fstat(fd, &info) ? 0 : info.st_ino;
}

static int path_of(int fd, char *path)
{
	char link[64] = "/proc/self/fd/";
	int digits = 0, rest = fd;
	char reversed[16];
	do
		reversed[digits++] = (char)('0' + rest % 10);
	while (rest /= 10);
	size_t at = strlen(link);
	while (digits)
		link[at++] = reversed[--digits];
	ssize_t n = readlink(link, path, PATH_MAX - 1);
	path[n < 0 ? 0 : n] = 0;
	return n > 0;
}

static int open_and_note(int directory, const char *path, int flags, mode_t mode)
{
	if (!is_ours(path))
		return (int)syscall(SYS_openat, directory, path, flags, mode);
	pthread_mutex_lock(&lock);
	struct stat info;
	int is_new = (flags & O_CREAT) && stat(path, &info);
	int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
	if (fd >= 0 && fd < MOST_FDS) {
		watched[fd] = 1;
		if (is_new)
			note_names('C', inode_of(fd), path, "");
		else if (flags & O_TRUNC)
			note('T', inode_of(fd), 0, "", 0, "", 0);
	}
	pthread_mutex_unlock(&lock);
	return fd;
}

static mode_t mode_in(int flags, va_list more)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

#define OPEN(name)                                                      \
	int name(const char *path, int flags, ...)                          \
	{                                                                   \
		va_list more;                                                   \
		va_start(more, flags);                                          \
		mode_t mode = mode_in(flags, more);                             \
		va_end(more);                                                   \
		return open_and_note(AT_FDCWD, path, flags, mode);              \
	}
#define OPENAT(name)                                                    \
	int name(int directory, const char *path, int flags, ...)           \
	{                                                                   \
		va_list more;                                                   \
		va_start(more, flags);                                          \
		mode_t mode = mode_in(flags, more);                             \
		va_end(more);                                                   \
		return open_and_note(directory, path, flags, mode);             \
	}
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
	if (is_watched(fd))
		watched[fd] = 0;
	return (int)syscall(SYS_close, fd);
}

static ssize_t put_at(int fd, const void *data, size_t size, off_t offset)
{
	pthread_mutex_lock(&lock);
	int plain = offset < 0;
	if (plain)
		offset = lseek(fd, 0, SEEK_CUR);
	ssize_t n = plain ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, offset);
	if (n > 0)
		note('W', inode_of(fd), offset, data, (uint32_t)n, "", 0);
	pthread_mutex_unlock(&lock);
	return n;
}

ssize_t write(int fd, const void *data, size_t size)
{
	return is_watched(fd) ? put_at(fd, data, size, -1) : syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return is_watched(fd) ? put_at(fd, data, size, offset) : syscall(SYS_pwrite64, fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
	return pwrite(fd, data, size, offset);
}

int ftruncate(int fd, off_t size)
{
	pthread_mutex_lock(&lock);
	int answer = (int)syscall(SYS_ftruncate, fd, size);
	if (!answer && is_watched(fd))
		note('T', inode_of(fd), size, "", 0, "", 0);
	pthread_mutex_unlock(&lock);
	return answer;
}

int ftruncate64(int fd, off_t size)
{
	return ftruncate(fd, size);
}

static int sync_and_note(long number, int fd, char kind)
{
	pthread_mutex_lock(&lock);
	int answer = (int)syscall(number, fd);
	char path[PATH_MAX];
	if (!answer && is_watched(fd) && path_of(fd, path))
		note_names(kind, inode_of(fd), path, "");
	pthread_mutex_unlock(&lock);
	return answer;
}

int fsync(int fd)
{
	return sync_and_note(SYS_fsync, fd, 'S');
}

int fdatasync(int fd)
{
	return sync_and_note(SYS_fdatasync, fd, 'S');
}

int syncfs(int fd)
{
	return sync_and_note(SYS_syncfs, fd, 'F');
}

int rename(const char *from, const char *to)
{
	pthread_mutex_lock(&lock);
	int answer = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
	if (!answer && is_ours(to))
		note_names('R', 0, from, to);
	pthread_mutex_unlock(&lock);
	return answer;
}

int unlink(const char *path)
{
	pthread_mutex_lock(&lock);
	int answer = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	if (!answer && is_ours(path))
		note_names('U', 0, path, "");
	pthread_mutex_unlock(&lock);
	return answer;
}

int mkdir(const char *path, mode_t mode)
{
	pthread_mutex_lock(&lock);
	int answer = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
	if (!answer && is_ours(path))
		note_names('M', 0, path, "");
	pthread_mutex_unlock(&lock);
	return answer;
}
