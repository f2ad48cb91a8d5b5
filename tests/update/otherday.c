/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded: whoever asks for the time is OTHERDAY_S seconds off. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

time_t time(time_t *told) {
  struct timespec now;
  const char *off = getenv("OTHERDAY_S");
  clock_gettime(CLOCK_REALTIME, &now);
  now.tv_sec += off ? atol(off) : 0;
  if (told) *told = now.tv_sec;
  return now.tv_sec;
}
