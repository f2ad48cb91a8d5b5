/* SPDX-License-Identifier: Apache-2.0 */
/* The words of host/io.h on an emulated Cortex-M0 (QEMU's microbit), with input and output by the emulator. It runs the
   part's compiled code on a core that faults at an unaligned word. The part's peripherals are not emulated. */
#include "../host/io.h"

#define OPEN 0x01u
#define WRITE 0x05u
#define READ 0x06u
#define EXIT_EXTENDED 0x20u
#define FOR_READING 0u
#define FOR_WRITING 4u
#define EXITED 0x20026u /* ADP_Stopped_ApplicationExit */

static uint8_t in[512], out[512];
static size_t in_at, in_length, out_length;
static uint32_t input, output;

/* The operation, and the address of its arguments; returns r0. */
static uint32_t ask(uint32_t what, const uint32_t *words) {
    register uint32_t r0 __asm__("r0") = what;
    register const uint32_t *r1 __asm__("r1") = words;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uint32_t word_of(const void *at) {
    return (uint32_t)(uintptr_t)at;
}

static _Noreturn void end(uint32_t status) {
    const uint32_t words[] = {EXITED, status};
    for (;;) {
        ask(EXIT_EXTENDED, words);
    }
}

static void begin(void) {
    static const char terminal[] = ":tt";
    const uint32_t reading[] = {word_of(terminal), FOR_READING, sizeof terminal - 1};
    const uint32_t writing[] = {word_of(terminal), FOR_WRITING, sizeof terminal - 1};
    input = ask(OPEN, reading);
    output = ask(OPEN, writing);
}

bool io_read(uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (in_at == in_length) {
            const uint32_t words[] = {input, word_of(in), sizeof in};
            in_length = sizeof in - ask(READ, words); /* READ returns the number of bytes not read */
            in_at = 0;
            if (in_length == 0) {
                return false;
            }
        }
        bytes[i] = in[in_at++];
    }
    return true;
}

void io_flush(void) {
    const uint32_t words[] = {output, word_of(out), out_length};
    if (out_length > 0 && ask(WRITE, words) != 0) {
        end(2);
    }
    out_length = 0;
}

void io_write(const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (out_length == sizeof out) {
            io_flush();
        }
        out[out_length++] = bytes[i];
    }
}

_Noreturn void io_fail(const char *why) {
    (void)why;
    end(2);
}

int main(void);
void reset(void);
void stopped(void);

extern uint32_t bss_begin[], bss_end[], stack_top[];

__attribute__((used, section(".vectors"))) const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} VECTORS = {stack_top, {reset, stopped, stopped, [10] = stopped, [13] = stopped, [14] = stopped}};

void reset(void) {
    for (uint32_t *at = bss_begin; at < bss_end;) {
        *at++ = 0;
    }
    begin();
    end((uint32_t)main());
}

/* A fault: exits, so that a waiting test sees the end of the program. */
void stopped(void) {
    end(3);
}
