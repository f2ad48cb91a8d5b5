/* SPDX-License-Identifier: Apache-2.0 */
/* What one line's voltage means, a sample at a time: ../meter-protocol.md, "What an edge is". */
#ifndef LINETAP_METER_LINE_H
#define LINETAP_METER_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"
#include "window.h"

/* Hundredths of a volt, without sign. */
struct limits {
    int16_t off_below;
    int16_t on_above;
    int16_t fall;
    int16_t no_line;
};

struct line {
    struct limits limits;
    struct window window;
    bool started;
    bool loop;         /* by the last voltage that said anything */
    bool hook;         /* what lasted */
    bool ring;
    bool told;         /* the loop, as the last `pulse` edge said */
    uint8_t contrary;  /* samples for which `loop` has not been `hook` */
    uint16_t fell_ago; /* samples since the hook fell; stops at its end */
    uint16_t dead;     /* samples without a line; stops at its end */
};

/* One change. `ago`: how many samples before this one it was. */
struct change {
    uint8_t edge; /* METER_EDGE_... */
    bool level;
    uint8_t ago;
};

#define LINE_MOST_CHANGES 3u

/* Before anything is told: the profile's. */
extern const struct limits LINE_LIMITS;

void line_begin(struct line *line);

/* A sample in hundredths of a volt, tip against ring. How many changes it has brought. */
unsigned line_sample(struct line *line, int16_t volts, struct change changes[LINE_MOST_CHANGES]);

#endif
