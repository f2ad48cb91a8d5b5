/* SPDX-License-Identifier: Apache-2.0
 * adjtimex(2) as a kernel answers whose clock is synchronised, while the file that LINETAP_TEST_KEPT names is there; else
 * as one whose clock nobody keeps. Loaded before libc, beside libfaketime. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int adjtimex(void *timex)
{
	const char *kept = getenv("LINETAP_TEST_KEPT");

	(void)timex; /* all zero: no offset, and nobody steers */
	return kept && access(kept, F_OK) == 0 ? 0 : 5;
}
