/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int ours;
static const char *link_path;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "meter: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* Under another name first: a link is replaced at once, also that of a killed meter. */
static void make_link(const char *to) {
    char fresh[PATH_MAX];
    if (snprintf(fresh, sizeof fresh, "%s.new", link_path) >= (int)sizeof fresh) {
        errno = ENAMETOOLONG;
        fail(link_path);
    }
    unlink(fresh);
    if (symlink(to, fresh) != 0 || rename(fresh, link_path) != 0) {
        fail(link_path);
    }
}

void terminal_open(const char *path) {
    struct termios raw;
    ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (ours < 0 || grantpt(ours) != 0 || unlockpt(ours) != 0) {
        fail("a pseudo-terminal");
    }
    const int theirs = open(ptsname(ours), O_RDWR | O_NOCTTY | O_CLOEXEC); /* kept open */
    if (theirs < 0 || tcgetattr(theirs, &raw) != 0) {
        fail("a pseudo-terminal");
    }
    cfmakeraw(&raw);
    if (tcsetattr(theirs, TCSANOW, &raw) != 0) {
        fail("a pseudo-terminal");
    }
    link_path = path;
    make_link(ptsname(ours));
}

size_t terminal_read(uint8_t *bytes, size_t room) {
    int waiting = 0;
    if (ioctl(ours, FIONREAD, &waiting) != 0 || waiting <= 0) { /* a read might wait: linetap.board.meter.port */
        return 0;
    }
    const ssize_t length = read(ours, bytes, room);
    return length < 0 ? 0 : (size_t)length;
}

void terminal_write(const uint8_t *bytes, size_t length) {
    if (write(ours, bytes, length) < 0 && errno != EAGAIN) {
        fail(link_path);
    }
}

void terminal_close(void) {
    unlink(link_path);
}
