/* SPDX-License-Identifier: Apache-2.0 */
/* Decides the state of one line from its voltage, a sample at a time: ../meter-protocol.md, "What an edge is". */
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
    bool loop;         /* from the last voltage outside the limits */
    bool hook;         /* the debounced state */
    bool ring;
    bool told;         /* the loop's state in the last `pulse` edge */
    uint8_t contrary;  /* number of samples with `loop` different from `hook` */
    uint16_t fell_ago; /* samples since the hook fell; saturates */
    uint16_t dead;     /* samples without a line; saturates */
};

/* One change, `ago` samples before the current one. */
struct change {
    uint8_t edge; /* METER_EDGE_... */
    bool level;
    uint8_t ago;
};

#define LINE_MOST_CHANGES 3u

/* The profile's limits, in force until others are received. */
extern const struct limits LINE_LIMITS;

void line_begin(struct line *line);

/* Processes a sample in hundredths of a volt, tip against ring; returns the number of changes. */
unsigned line_sample(struct line *line, int16_t volts, struct change changes[LINE_MOST_CHANGES]);

#endif
