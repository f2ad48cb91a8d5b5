/* SPDX-License-Identifier: Apache-2.0
 * A clock that whoever feeds the lines moves: every clock of the process stands at its beginning plus the nanoseconds in
 * the file that LINETAP_TEST_HASTENED names, and whoever waits for a moment of it waits until it says so. Loaded before
 * libc. The kernel's clock is synchronised. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL
#define LOOK_NS 2000000LL

static volatile int64_t *elapsed; /* elapsed, then what CLOCK_REALTIME and CLOCK_MONOTONIC began with */
static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_sem)(sem_t *, clockid_t, const struct timespec *);
static int (*real_cond)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("LINETAP_TEST_HASTENED");
	int fd;

	if (elapsed)
		return;
	real_gettime = dlsym(RTLD_NEXT, "clock_gettime");
	real_sem = dlsym(RTLD_NEXT, "sem_clockwait");
	real_cond = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2"); /* dlsym would give that of 2.2.5 */
	fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	elapsed = mmap(NULL, 3 * sizeof *elapsed, PROT_READ, MAP_SHARED, fd, 0);
	if (fd < 0 || elapsed == MAP_FAILED || !real_gettime || !real_sem || !real_cond)
		abort();
	close(fd);
}

static int64_t ns_of(const struct timespec *at)
{
	return at->tv_sec * NS + at->tv_nsec;
}

static struct timespec as_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NS, .tv_nsec = ns % NS };
}

static int64_t real_ns(void)
{
	struct timespec now;

	real_gettime(CLOCK_MONOTONIC, &now);
	return ns_of(&now);
}

static int64_t now_ns(clockid_t id)
{
	begin();
	return elapsed[0] + elapsed[id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ? 1 : 2];
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	begin();
	if (id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID || id < 0)
		return real_gettime(id, now);
	*now = as_timespec(now_ns(id));
	return 0;
}

time_t time(time_t *at)
{
	time_t now = now_ns(CLOCK_REALTIME) / NS;

	if (at)
		*at = now;
	return now;
}

int gettimeofday(struct timeval *now, void *zone)
{
	int64_t ns = now_ns(CLOCK_REALTIME);

	(void)zone;
	now->tv_sec = ns / NS;
	now->tv_usec = ns % NS / 1000;
	return 0;
}

int sem_clockwait(sem_t *sem, clockid_t id, const struct timespec *until)
{
	for (;;) {
		struct timespec soon = as_timespec(real_ns() + LOOK_NS);

		if (sem_trywait(sem) == 0)
			return 0;
		if (now_ns(id) >= ns_of(until)) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (real_sem(sem, CLOCK_MONOTONIC, &soon) == 0)
			return 0;
		if (errno != ETIMEDOUT)
			return -1;
	}
}

/* Python's interpreter lock, a few milliseconds at a time: as long as it says, by the real clock. */
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
	int64_t left = ns_of(until) - now_ns(CLOCK_MONOTONIC);
	struct timespec at = as_timespec(real_ns() + (left > 0 ? left : 0));

	return real_cond(cond, mutex, &at);
}

int clock_nanosleep(clockid_t id, int flags, const struct timespec *length, struct timespec *left)
{
	int64_t end = ns_of(length) + (flags & TIMER_ABSTIME ? 0 : now_ns(id));
	struct timespec look = as_timespec(LOOK_NS);

	(void)left;
	while (now_ns(id) < end)
		nanosleep(&look, NULL);
	return 0;
}

int adjtimex(void *timex)
{
	(void)timex; /* all zero: no offset, and nobody steers */
	return 0;
}
