/* SPDX-License-Identifier: Apache-2.0 */
/* The meter of a simulated card: the meter's own program, with the wires of the simulated exchange as its ADC and a
   terminal as its USB. Like the part it takes a sample each millisecond of its clock, and sends at once. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "../host/codes.h"
#include "../meter.h"
#include "../port.h"
#include "terminal.h"
#include "wires.h"

#define PRIORITY 40   /* like the exchange: a real meter's processor has no other task */
#define LATE_MS 50    /* with the samples' own delay, enough for linetap to report the meter as silent */
#define SILENT_MS 100 /* linetap.board.meter.reader: what was missed for so long is left out, like lost frames */
#define MOST_NOISE 200u
#define LOOP_CLOSED 32768u
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

static volatile sig_atomic_t stopped;
static int64_t began_ns, now_ns;
static double rate = 1.0; /* of the meter's clock */
static uint32_t lost_share, noise_share; /* of UINT32_MAX */
static uint8_t open_contacts;
static uint8_t out[1u << 16];
static size_t out_length;

/* It allocates nothing; a search for leaks at its end would fail where tracing is forbidden. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

static void stop(int number) {
    (void)number;
    stopped = 1;
}

static int64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static uint32_t random32(void) {
    uint32_t value;
    while (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value) {
    }
    return value;
}

static uint64_t us_at(int64_t mono_ns) {
    return (uint64_t)((double)(mono_ns - began_ns) * rate) / 1000u;
}

static int64_t mono_ns_at(uint64_t us) {
    return began_ns + (int64_t)((double)us * 1000.0 / rate);
}

size_t port_room(void) {
    return sizeof out - MOST_NOISE - out_length;
}

static bool happens(uint32_t share) {
    return share > 0 && random32() < share;
}

void port_put(const uint8_t *bytes, size_t length) { /* one frame */
    if (happens(lost_share)) {
        return;
    }
    if (happens(noise_share)) {
        for (uint32_t left = random32() % (MOST_NOISE - 1u) + 1u; left > 0; left--) {
            out[out_length++] = (uint8_t)random32();
        }
    }
    memcpy(out + out_length, bytes, length);
    out_length += length;
}

void port_relays(uint8_t closed) {
    wires_relays(closed);
}

void port_contacts(uint8_t open) {
    open_contacts = open;
}

void port_contacts_edge(void) {
    wires_contacts_edge(open_contacts, now_ns / NS_PER_MS);
}

void port_lamps(uint8_t green, uint8_t red) { /* nobody sees them */
    (void)green;
    (void)red;
}

static void send(void) {
    if (out_length > 0) {
        terminal_write(out, out_length);
        out_length = 0;
    }
}

static void sample(uint64_t at_us) {
    struct measured measured = {.tamper = LOOP_CLOSED};
    int16_t volts[METER_MOST_CHANNELS];
    wires_volts(mono_ns_at(at_us) / NS_PER_MS, volts);
    for (unsigned i = 0; i < METER_MOST_CHANNELS; i++) {
        measured.lines[i] = code_of(volts[i]);
    }
    meter_sample(&measured, at_us);
}

static void hear(void) {
    uint8_t heard[4096];
    const size_t length = terminal_read(heard, sizeof heard);
    for (size_t i = 0; i < length; i++) {
        meter_hear(heard[i], us_at(now_ns));
    }
}

/* linetap_bench.stage.cable.Late, for tests/rigs/held_up.py: a test that fails after it is repeated. */
static void report_late(double late_ms) {
    const char *path = getenv("LINETAP_LATENESS");
    char line[128];
    if (path == NULL || late_ms <= 0.0) {
        return;
    }
    const int length = snprintf(line, sizeof line, "{\"who\":\"the meter\",\"late_ms\":%.1f,\"mono_ns\":%" PRId64 "}\n",
                                late_ms, now_ns);
    const int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file < 0 || write(file, line, (size_t)length) != length) {
        fprintf(stderr, "meter: %s: %s\n", path, strerror(errno));
    }
    close(file);
}

static void run(void) {
    now_ns = began_ns = monotonic_ns();
    meter_start(random32());
    for (uint64_t next_us = METER_SAMPLE_US; !stopped;) {
        const int64_t due_ns = mono_ns_at(next_us), turned_ns = now_ns;
        const struct timespec due = {.tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        now_ns = monotonic_ns();
        report_late((double)(now_ns - turned_ns) / NS_PER_MS - LATE_MS);
        if (now_ns - turned_ns > SILENT_MS * NS_PER_MS) {
            next_us = (us_at(now_ns) / METER_SAMPLE_US + 1u) * METER_SAMPLE_US;
        }
        for (; next_us <= us_at(now_ns); next_us += METER_SAMPLE_US) {
            sample(next_us);
            send();
        }
        hear();
        send();
    }
}

static uint32_t share_of(const char *text) {
    const double share = strtod(text, NULL);
    return (uint32_t)((share < 0.0 ? 0.0 : share > 1.0 ? 1.0 : share) * UINT32_MAX);
}

static _Noreturn void bad_usage(void) {
    fprintf(stderr, "usage: meter --wires RUN_DIR/capture/wires-1 --port PATH [--drift-ppm N] [--lost SHARE]"
                    " [--noise SHARE]\n");
    exit(2);
}

int main(int count, char **words) {
    static const struct option options[] = {
        {"wires", required_argument, NULL, 'w'},  {"port", required_argument, NULL, 'p'},
        {"drift-ppm", required_argument, NULL, 'd'}, {"lost", required_argument, NULL, 'l'},
        {"noise", required_argument, NULL, 'n'},  {NULL, 0, NULL, 0},
    };
    const char *wires = NULL, *port = NULL;
    for (int found; (found = getopt_long(count, words, "", options, NULL)) != -1;) {
        switch (found) {
        case 'w':
            wires = optarg;
            break;
        case 'p':
            port = optarg;
            break;
        case 'd':
            rate = 1.0 + strtod(optarg, NULL) / 1e6;
            break;
        case 'l':
            lost_share = share_of(optarg);
            break;
        case 'n':
            noise_share = share_of(optarg);
            break;
        default:
            bad_usage();
        }
    }
    if (wires == NULL || port == NULL || optind != count) {
        bad_usage();
    }
    const struct sigaction ends = {.sa_handler = stop};
    sigaction(SIGTERM, &ends, NULL);
    sigaction(SIGINT, &ends, NULL);
    const struct sched_param realtime = {.sched_priority = PRIORITY};
    sched_setscheduler(0, SCHED_FIFO, &realtime); /* without the right to it, as any process */
    wires_attach(wires);
    terminal_open(port);
    run();
    terminal_close();
    return 0;
}
