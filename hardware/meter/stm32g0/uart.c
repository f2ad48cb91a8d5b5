/* SPDX-License-Identifier: Apache-2.0 */
/* Both ways through a ring of bytes. One side of each is the interrupt, and each side moves only its own end. */
#include "machine.h"
#include "registers.h"

#include "../port.h"

#define SENT 1024u /* a whole worst frame, and what eight lines' edges come to in five milliseconds */
#define HEARD 256u

#define CR1_ON 1u
#define CR1_RECEIVE (1u << 2)
#define CR1_SEND (1u << 3)
#define CR1_TELL_HEARD (1u << 5)
#define CR1_TELL_ROOM (1u << 7)
#define CR1_FIFO (1u << 29)
#define ISR_HEARD (1u << 5)
#define ISR_ROOM (1u << 7)
#define ERRORS 0xfu /* parity, framing, noise, overrun: what is wrong with a byte its frame's CRC tells */

static uint8_t sent[SENT];
static struct {
    uint8_t byte;
    uint32_t at_us;
} heard[HEARD];
static volatile uint16_t sent_in, sent_out, heard_in, heard_out;

void uart_begin(void) {
    RCC_APBENR2 |= 1u << 14;
    USART1_BRR = (CPU_HZ + METER_BAUD / 2u) / METER_BAUD;
    USART1_CR1 = CR1_FIFO | CR1_RECEIVE | CR1_SEND | CR1_TELL_HEARD | CR1_ON;
    NVIC_ISER = 1u << USART1_IRQ;
}

size_t port_room(void) {
    return SENT - 1u - (uint16_t)(sent_in + SENT - sent_out) % SENT;
}

void port_put(const uint8_t *bytes, size_t length) {
    uint16_t in = sent_in;
    for (size_t i = 0; i < length; i++) {
        sent[in] = bytes[i];
        in = (uint16_t)((in + 1u) % SENT);
    }
    sent_in = in;
    USART1_CR1 |= CR1_TELL_ROOM;
}

bool uart_get(uint8_t *byte, uint32_t *at_us) {
    const uint16_t out = heard_out;
    if (out == heard_in) {
        return false;
    }
    *byte = heard[out].byte;
    *at_us = heard[out].at_us;
    heard_out = (uint16_t)((out + 1u) % HEARD);
    return true;
}

void usart1(void);
void usart1(void) {
    USART1_ICR = ERRORS;
    while (USART1_ISR & ISR_HEARD) {
        const uint16_t next = (uint16_t)((heard_in + 1u) % HEARD);
        const uint8_t byte = (uint8_t)USART1_RDR;
        if (next != heard_out) { /* else it is lost, as on a line */
            heard[heard_in].byte = byte;
            heard[heard_in].at_us = clock_us();
            heard_in = next;
        }
    }
    while (USART1_ISR & ISR_ROOM) {
        if (sent_out == sent_in) {
            USART1_CR1 &= ~CR1_TELL_ROOM;
            break;
        }
        USART1_TDR = sent[sent_out];
        sent_out = (uint16_t)((sent_out + 1u) % SENT);
    }
}
