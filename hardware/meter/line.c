/* SPDX-License-Identifier: Apache-2.0 */
/* The same as linetap's own decider (firmware/unit/linetap/board/meter/decide.py), written for one sample at a time;
   tests compare their edges on the same samples. */
#include "line.h"

_Static_assert(METER_RING_WINDOW_MS < WINDOW_PAST && METER_FALL_MS < WINDOW_PAST && WINDOW_PAST < 255, "the window");
_Static_assert(METER_NO_LINE_MS < UINT16_MAX && METER_BREAK_MAX_MS + METER_LIFT_MIN_MS < UINT16_MAX, "the counts");
_Static_assert(METER_LIFT_MIN_MS < 255 && METER_MAKE_MIN_MS < 255 && METER_OPEN_MIN_MS < 255, "the counts");

const struct limits LINE_LIMITS = {METER_OFF_BELOW, METER_ON_ABOVE, METER_FALL, METER_NO_LINE};

static int16_t size_of(int16_t volts) {
    return (int16_t)(volts < 0 ? -volts : volts);
}

static int16_t clamped(int16_t volts) {
    return volts == INT16_MIN ? -INT16_MAX : volts;
}

void line_begin(struct line *line) {
    line->limits = LINE_LIMITS;
    line->started = false;
}

/* Starts from the first sample. */
static void start(struct line *line, int16_t volts) {
    const int16_t size = size_of(volts);
    const int32_t middle = ((int32_t)line->limits.off_below + line->limits.on_above) / 2;
    window_begin(&line->window, volts);
    line->loop = line->hook = size >= line->limits.no_line && size < middle;
    line->ring = false;
    line->contrary = 0;
    line->fell_ago = UINT16_MAX;
    line->dead = 0;
    line->started = true;
}

/* Off-hook is a fall, or a steady voltage: a slowly sinking one is a cut wire that discharges. */
static bool fell_or_stays(const struct line *line, int16_t size) {
    int16_t highest = 0;
    for (unsigned i = 1; i <= METER_FALL_MS; i++) {
        const int16_t before = size_of(window_back(&line->window, i));
        highest = before > highest ? before : highest;
    }
    if ((int32_t)highest - size >= line->limits.fall) {
        return true;
    }
    const int32_t moved = (int32_t)size - size_of(window_back(&line->window, METER_STEADY_MS));
    return (moved < 0 ? -moved : moved) * 1000 < (int32_t)size * (int32_t)METER_STEADY_PERMILLE;
}

/* Updates the loop from this sample alone; between the limits, and without a line, it keeps its state. */
static void follow_loop(struct line *line, int16_t size) {
    const bool alive = size >= line->limits.no_line;
    line->dead = alive ? 0 : (uint16_t)(line->dead + (line->dead < UINT16_MAX));
    if (alive && size < line->limits.off_below && fell_or_stays(line, size)) {
        line->loop = true;
    } else if (size > line->limits.on_above || line->dead > METER_NO_LINE_MS) {
        line->loop = false;
    }
}

static unsigned lasting(const struct line *line) {
    if (line->hook) {
        return METER_OPEN_MIN_MS;
    }
    const unsigned broken = line->fell_ago - (line->contrary - 1u);
    return broken <= METER_BREAK_MAX_MS ? METER_MAKE_MIN_MS : METER_LIFT_MIN_MS;
}

/* Whether the hook has changed; if so, `ago` is the number of samples since the loop changed. */
static bool follow_hook(struct line *line, uint8_t *ago) {
    line->fell_ago = (uint16_t)(line->fell_ago + (line->fell_ago < UINT16_MAX));
    if (line->loop == line->hook) {
        line->contrary = 0;
        return false;
    }
    line->contrary++;
    if (line->contrary < lasting(line)) {
        return false;
    }
    *ago = (uint8_t)(line->contrary - 1u);
    line->hook = line->loop;
    line->contrary = 0;
    if (!line->hook) {
        line->fell_ago = *ago;
    }
    return true;
}

unsigned line_sample(struct line *line, int16_t volts, struct change changes[LINE_MOST_CHANGES]) {
    unsigned found = 0;
    uint8_t ago = 0;
    volts = clamped(volts);
    const bool first = !line->started;
    if (first) {
        start(line, volts);
    }
    follow_loop(line, size_of(volts));
    if (first) {
        line->told = line->loop; /* a level without an observed change is no edge */
    }
    if (follow_hook(line, &ago)) {
        changes[found++] = (struct change){METER_EDGE_HOOK, line->hook, ago};
    }
    window_push(&line->window, volts);
    const bool rings = window_rings(&line->window);
    if (rings != line->ring) {
        line->ring = rings;
        changes[found++] = (struct change){METER_EDGE_RING, rings, 0};
    }
    /* Ringing crosses the limits four times a cycle: eight ringing lines would fill the UART. */
    if (!rings && line->loop != line->told) {
        line->told = line->loop;
        changes[found++] = (struct change){METER_EDGE_PULSE, line->loop, 0};
    }
    return found;
}
