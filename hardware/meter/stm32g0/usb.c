/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of the protocol over USB (../usbcontrol.h). Each direction has a ring of bytes; one end of it is used by
   the interrupt, and each side moves only its own index. A host that does not read is like an unplugged cable: the ring
   fills, and the meter's frames are lost. */
#include "machine.h"
#include "registers.h"

#include "../port.h"
#include "../usbcontrol.h"

#define SENT 1024u /* one frame of the largest size, and the edges of eight lines in five milliseconds */
#define HEARD 256u
#define WAIT 100000u

/* A channel register: writing 1 toggles the toggle and state bits; these bits are only cleared by writing 0. */
#define CHEP_RECEIVED (1u << 15)
#define CHEP_SENT (1u << 7)
#define CHEP_SETUP (1u << 11)
#define CHEP_RX_STATE (3u << 12)
#define CHEP_RX_TOGGLE (1u << 14)
#define CHEP_TX_STATE (3u << 4)
#define CHEP_TX_TOGGLE (1u << 6)
#define CHEP_KEPT (3u << 9 | 1u << 8 | 15u)
#define BULK (0u << 9)
#define CONTROL (1u << 9)
#define INTERRUPT (3u << 9)
#define STALL 1u
#define NAK 2u
#define VALID 3u

#define APBENR1_POWER (1u << 28)
#define APBENR1_RECOVERY (1u << 16)
#define APBENR1_USB (1u << 13)
#define CR2_USB_SUPPLY (1u << 10)
#define CR_HSI48_ON (1u << 22)
#define CR_HSI48_READY (1u << 23)
#define CR_COUNTS (1u << 5)
#define CR_TRIMS (1u << 6)

#define CNTR_RESET 1u
#define CNTR_TRANSFERS (1u << 15)
#define CNTR_RESETS (1u << 10)
#define ISTR_RESET (1u << 10)
#define ISTR_TRANSFER (1u << 15)
#define ISTR_CHANNEL 15u
#define DADDR_ON (1u << 7)
#define BCDR_PULL_UP (1u << 15)

/* The part's packet memory, in bytes from its beginning: first the descriptors, eight bytes an endpoint. */
#define CONTROL_OUT 64u
#define CONTROL_IN 128u
#define BULK_OUT 192u
#define BULK_IN 256u
#define NOTICES_IN 320u
#define ONE_BLOCK_OF_32 (1u << 31 | 1u << 26) /* i.e. 64 bytes */

/* Bits of `halted`. */
#define BULK_HEARS 1u
#define BULK_SENDS 2u
#define NOTICES 4u

static uint8_t sent[SENT];
static struct {
    uint8_t byte;
    uint32_t at_us;
} heard[HEARD];
static volatile uint16_t sent_in, sent_out, heard_in, heard_out;
static volatile bool sending;     /* a packet waits in the part's memory */
static bool full_packet;          /* the last packet was full: an empty one follows unless there is more data */
static bool held_back;            /* the part's memory holds a packet for which the ring has no room */

static struct usb_control control;
static uint16_t replied;          /* bytes of the reply sent so far */
static bool short_reply;          /* an empty packet ends it */
static uint8_t address_to_be;     /* 0: none */
static bool taking;
static volatile bool loader_wished;

static uint32_t states(uint32_t channel, uint32_t rx, uint32_t tx) {
    const uint32_t is = USB_CHEP(channel);
    uint32_t turn = (is & CHEP_KEPT) | CHEP_RECEIVED | CHEP_SENT;
    turn |= rx == 0 ? 0 : ((is & CHEP_RX_STATE) ^ rx << 12);
    turn |= tx == 0 ? 0 : ((is & CHEP_TX_STATE) ^ tx << 4);
    return turn;
}

/* Sets the states of a channel; 0 leaves a direction unchanged. */
static void become(uint32_t channel, uint32_t rx, uint32_t tx) {
    USB_CHEP(channel) = states(channel, rx, tx);
}

static void open_channel(uint32_t channel, uint32_t kind, uint32_t rx, uint32_t tx) {
    const uint32_t is = USB_CHEP(channel);
    uint32_t turn = kind | channel;
    turn |= is & (CHEP_RX_TOGGLE | CHEP_TX_TOGGLE); /* both start with the first toggle */
    turn |= (is & CHEP_RX_STATE) ^ rx << 12;
    turn |= (is & CHEP_TX_STATE) ^ tx << 4;
    USB_CHEP(channel) = turn;
}

/* The packet memory permits only word access. */
static void give(uint32_t channel, uint32_t at, const uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length; i += 4) {
        uint32_t word = 0;
        for (uint32_t j = 0; j < 4 && i + j < length; j++) {
            word |= (uint32_t)bytes[i + j] << 8u * j;
        }
        USB_MEMORY(at + i) = word;
    }
    USB_MEMORY(8u * channel) = at | length << 16;
}

static uint32_t take(uint32_t channel, uint32_t at, uint8_t *bytes) {
    /* The count may lag the interrupt by some cycles (ST's own driver waits too). */
    for (volatile uint32_t i = 0; i < 10; i++) {
    }
    uint32_t length = USB_MEMORY(8u * channel + 4u) >> 16 & 0x3ffu;
    length = length > USB_PACKET ? USB_PACKET : length;
    for (uint32_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(USB_MEMORY((at + i) & ~3u) >> 8u * ((at + i) & 3u));
    }
    return length;
}

static void ready_for(uint32_t channel, uint32_t at) {
    USB_MEMORY(8u * channel + 4u) = at | ONE_BLOCK_OF_32;
}

void usb_begin(void) {
    const uint32_t unique[3] = {UNIQUE_ID(0), UNIQUE_ID(1), UNIQUE_ID(2)};
    usb_control_begin(&control, unique);
    RCC_APBENR1 |= APBENR1_POWER;
    PWR_CR2 |= CR2_USB_SUPPLY; /* the supply is present */
    RCC_CR |= CR_HSI48_ON; /* the part's own 48 MHz, the reset value of CCIPR2 for USB ... */
    for (uint32_t i = 0; i < WAIT && !(RCC_CR & CR_HSI48_READY); i++) {
    }
    RCC_APBENR1 |= APBENR1_RECOVERY | APBENR1_USB;
    CRS_CR |= CR_TRIMS | CR_COUNTS; /* ... synchronised to the host's frames, the reset value of CFGR */
    USB_CNTR = CNTR_RESET;
    const uint32_t begun = clock_us();
    while (clock_us() - begun < 10u) {
    }
    USB_CNTR = 0;
    USB_ISTR = 0;
    USB_CNTR = CNTR_TRANSFERS | CNTR_RESETS;
    NVIC_ISER = 1u << USB_IRQ;
    USB_BCDR |= BCDR_PULL_UP; /* now the host detects the device */
}

size_t port_room(void) {
    return SENT - 1u - (uint16_t)(sent_in + SENT - sent_out) % SENT;
}

/* What an endpoint that is ready becomes: a halted one refuses until the host clears it. */
static uint32_t unless_halted(uint8_t bit, uint32_t state) {
    return control.halted & bit ? STALL : state;
}

static void send_next(void) {
    uint8_t packet[USB_PACKET];
    uint32_t length = 0;
    uint16_t out = sent_out;
    while (length < USB_PACKET && out != sent_in) {
        packet[length++] = sent[out];
        out = (uint16_t)((out + 1u) % SENT);
    }
    sending = length != 0 || full_packet;
    full_packet = length == USB_PACKET;
    sent_out = out;
    if (sending) {
        give(USB_BULK, BULK_IN, packet, length);
        become(USB_BULK, 0, unless_halted(BULK_SENDS, VALID));
    }
}

void port_put(const uint8_t *bytes, size_t length) {
    uint16_t in = sent_in;
    for (size_t i = 0; i < length; i++) {
        sent[in] = bytes[i];
        in = (uint16_t)((in + 1u) % SENT);
    }
    sent_in = in;
    NVIC_ICER = 1u << USB_IRQ; /* the interrupt sends, too */
    if (control.configuration != 0 && !sending) {
        send_next();
    }
    NVIC_ISER = 1u << USB_IRQ;
}

static uint16_t heard_room(void) {
    return (uint16_t)(HEARD - 1u - (uint16_t)(heard_in + HEARD - heard_out) % HEARD);
}

static void take_bulk(void) {
    uint8_t packet[USB_PACKET];
    held_back = heard_room() < USB_PACKET;
    if (held_back) { /* the host waits until there is room */
        return;
    }
    const uint32_t at_us = clock_us(), length = take(USB_BULK, BULK_OUT, packet);
    for (uint32_t i = 0; i < length; i++) {
        heard[heard_in].byte = packet[i];
        heard[heard_in].at_us = at_us;
        heard_in = (uint16_t)((heard_in + 1u) % HEARD);
    }
    become(USB_BULK, unless_halted(BULK_HEARS, VALID), 0);
}

bool usb_get(uint8_t *byte, uint32_t *at_us) {
    const uint16_t out = heard_out;
    if (out == heard_in) {
        return false;
    }
    *byte = heard[out].byte;
    *at_us = heard[out].at_us;
    heard_out = (uint16_t)((out + 1u) % HEARD);
    if (held_back) {
        NVIC_ICER = 1u << USB_IRQ;
        take_bulk();
        NVIC_ISER = 1u << USB_IRQ;
    }
    return true;
}

bool usb_wants_loader(void) {
    return loader_wished;
}

static void was_reset(void) {
    usb_control_reset(&control);
    address_to_be = 0;
    taking = sending = full_packet = held_back = false;
    ready_for(0, CONTROL_OUT);
    open_channel(0, CONTROL, VALID, NAK);
    USB_DADDR = DADDR_ON;
}

static void begin_anew(void) {
    control.fresh = false;
    control.changed = 0;
    sending = full_packet = held_back = false;
    sent_out = sent_in; /* a new host gets no old data */
    const bool is_on = control.configuration != 0;
    ready_for(USB_BULK, BULK_OUT);
    open_channel(USB_BULK, BULK, !is_on ? 0 : VALID, !is_on ? 0 : NAK);
    give(USB_NOTICES, NOTICES_IN, control.reply, 0);
    open_channel(USB_NOTICES, INTERRUPT, 0, !is_on ? 0 : NAK);
}

/* Halts endpoints, or clears them: then the first toggle, and what is in the part's memory stays there to be sent or
   taken. A packet whose flag is still up is on_bulk's. */
static void follow_halts(void) {
    const uint32_t is = USB_CHEP(USB_BULK), notices = USB_CHEP(USB_NOTICES);
    const uint8_t cleared = (uint8_t)(control.changed & ~control.halted);
    uint32_t turn = states(USB_BULK, unless_halted(BULK_HEARS, is & CHEP_RECEIVED || held_back ? NAK : VALID),
                           unless_halted(BULK_SENDS, sending && !(is & CHEP_SENT) ? VALID : NAK));
    turn |= cleared & BULK_HEARS ? is & CHEP_RX_TOGGLE : 0;
    turn |= cleared & BULK_SENDS ? is & CHEP_TX_TOGGLE : 0;
    USB_CHEP(USB_BULK) = turn;
    USB_CHEP(USB_NOTICES) = states(USB_NOTICES, 0, unless_halted(NOTICES, NAK)) |
                            (cleared & NOTICES ? notices & CHEP_TX_TOGGLE : 0);
    control.changed = 0;
}

static void send_reply(void) {
    uint32_t length = (uint32_t)(control.reply_length - replied);
    length = length > USB_PACKET ? USB_PACKET : length;
    give(0, CONTROL_IN, control.reply + replied, length);
    replied = (uint16_t)(replied + length);
    short_reply = short_reply && length == USB_PACKET;
    become(0, VALID, VALID); /* the host may end it early with its empty packet */
}

static void setup(void) {
    uint8_t packet[USB_PACKET];
    if (take(0, CONTROL_OUT, packet) != 8) {
        become(0, STALL, STALL);
        return;
    }
    taking = false;
    replied = 0;
    switch (usb_control_setup(&control, packet)) {
    case USB_REPLY:
        short_reply = control.reply_length < (packet[6] | packet[7] << 8);
        send_reply();
        break;
    case USB_TAKE:
        taking = true;
        become(0, VALID, NAK);
        break;
    case USB_DONE:
        address_to_be = packet[1] == 5 && (packet[0] & 0x7fu) == 0 ? (uint8_t)(DADDR_ON | control.address) : 0;
        control.reply_length = 0;
        short_reply = false;
        give(0, CONTROL_IN, control.reply, 0);
        become(0, VALID, VALID);
        break;
    default:
        become(0, STALL, STALL);
        break;
    }
    if (control.fresh) {
        begin_anew();
    } else if (control.changed != 0) {
        follow_halts();
    }
}

static void was_sent(bool goes_on) {
    if (address_to_be != 0) { /* the empty packet is sent from the old address */
        USB_DADDR = address_to_be;
        address_to_be = 0;
    }
    loader_wished = loader_wished || control.wants_loader;
    if (goes_on && (replied < control.reply_length || short_reply)) {
        send_reply();
    }
}

static void was_received(void) {
    uint8_t packet[USB_PACKET];
    const uint32_t length = take(0, CONTROL_OUT, packet);
    if (taking) {
        taking = false;
        usb_control_taken(&control, packet, length);
        give(0, CONTROL_IN, packet, 0);
        become(0, VALID, VALID);
    } else {
        become(0, VALID, 0);
    }
}

/* A packet was sent before the SETUP that is seen with it, and belongs to the transfer that the SETUP has ended. */
static void on_control(void) {
    const uint32_t is = USB_CHEP(0);
    const bool begins = (is & CHEP_RECEIVED) && (is & CHEP_SETUP);
    if (is & CHEP_SENT) {
        USB_CHEP(0) = (is & CHEP_KEPT) | CHEP_RECEIVED;
        was_sent(!begins);
    }
    if (is & CHEP_RECEIVED) {
        USB_CHEP(0) = (is & CHEP_KEPT) | CHEP_SENT;
        if (begins) {
            setup();
        } else {
            was_received();
        }
    }
}

static void on_bulk(void) {
    const uint32_t is = USB_CHEP(USB_BULK);
    USB_CHEP(USB_BULK) = (is & CHEP_KEPT) | (~is & (CHEP_RECEIVED | CHEP_SENT)); /* clears only the flags just read */
    if (control.configuration == 0) { /* of before a bus reset, which has made the channel one of endpoint 0 */
        return;
    }
    if (is & CHEP_RECEIVED) {
        take_bulk();
    }
    if (is & CHEP_SENT) {
        send_next();
    }
}

void usb_interrupt(void);
void usb_interrupt(void) {
    if (USB_ISTR & ISTR_RESET) {
        USB_ISTR = ~ISTR_RESET;
        was_reset();
        return;
    }
    for (unsigned i = 0; i < 16u && USB_ISTR & ISTR_TRANSFER; i++) {
        const uint32_t channel = USB_ISTR & ISTR_CHANNEL;
        if (channel == 0) {
            on_control();
        } else if (channel == USB_BULK) {
            on_bulk();
        } else {
            USB_CHEP(channel) = USB_CHEP(channel) & CHEP_KEPT;
        }
    }
}
