/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "wires.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RELAYS_AT 64u
#define CONTACTS_AT 256u
#define SAMPLES_AT 4096u
#define STAMP_SHIFT 19u

struct header {
    char magic[8];
    uint32_t lines, capacity_ms;
};

/* Another process writes each word whole. */
static _Atomic uint8_t *relays;
static _Atomic int64_t *contacts;
static const _Atomic uint64_t *samples;
static uint32_t lines, capacity_ms;

static _Noreturn void fail(const char *path) {
    fprintf(stderr, "meter: %s: no simulated lines here\n", path);
    exit(2);
}

void wires_attach(const char *path) {
    struct header header;
    struct stat file;
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &file) != 0 || read(fd, &header, sizeof header) != sizeof header) {
        fail(path);
    }
    lines = header.lines;
    capacity_ms = header.capacity_ms;
    const uint64_t size = SAMPLES_AT + (uint64_t)lines * capacity_ms * sizeof(uint64_t);
    if (memcmp(header.magic, "LTWIRE1", sizeof header.magic) != 0 || lines < 1 || lines > METER_MOST_CHANNELS ||
        capacity_ms < 1 || (uint64_t)file.st_size != size) {
        fail(path);
    }
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        fail(path);
    }
    close(fd);
    relays = (_Atomic uint8_t *)(memory + RELAYS_AT);
    contacts = (_Atomic int64_t *)(void *)(memory + CONTACTS_AT);
    samples = (const _Atomic uint64_t *)(void *)(memory + SAMPLES_AT);
}

void wires_volts(int64_t at_ms, int16_t volts[METER_MOST_CHANNELS]) {
    const uint64_t stamp = (uint64_t)at_ms + 1u;
    for (uint32_t line = 0; line < METER_MOST_CHANNELS; line++) {
        volts[line] = 0;
        if (line < lines) {
            const uint64_t word = samples[(uint64_t)line * capacity_ms + (uint64_t)at_ms % capacity_ms];
            volts[line] = word >> STAMP_SHIFT == stamp ? (int16_t)(word & UINT16_MAX) : 0;
        }
    }
}

void wires_relays(uint8_t closed) {
    for (uint32_t line = 0; line < lines; line++) {
        relays[line] = closed >> line & 1u;
    }
}

void wires_contacts_edge(uint8_t open, int64_t now_ms) {
    for (uint32_t line = 0; line < lines; line++) {
        if (open >> line & 1u) {
            contacts[line] = now_ms;
        }
    }
}
