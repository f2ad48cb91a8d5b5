/* SPDX-License-Identifier: Apache-2.0 */
/* Eight lines and the tamper loop, sixteen samples each, summed by the converter itself: 16 bit. */
#include "machine.h"
#include "registers.h"

#define WAIT 20000u
#define INPUTS 9u /* PA0 to PA7 are 0 to 7, PB0 is 8 */
#define TEMPERATURE 12u

#define APBENR2_CONVERTER (1u << 20)
#define CR_ENABLE (1u << 0)
#define CR_START (1u << 2)
#define CR_REGULATOR (1u << 28)
#define CR_CALIBRATE (1u << 31)
#define ISR_READY (1u << 0)
#define ISR_ONE (1u << 2)
#define ISR_CHOSEN (1u << 13)
#define CFGR1_WAIT (1u << 14) /* wait until the result has been read */
#define CFGR2_SIXTEEN_TIMES (1u | 3u << 2)
#define CFGR2_HALF_THE_BUS (1u << 30)
#define SMPR_12_CYCLES 3u
#define CCR REGISTER(0x40012708u)
#define CCR_TEMPERATURE (1u << 23)

static bool until(volatile uint32_t *where, uint32_t mask, uint32_t value) {
    for (uint32_t i = 0; i < WAIT; i++) {
        if ((*where & mask) == value) {
            return true;
        }
    }
    return false;
}

static void choose(uint32_t channels) {
    ADC_ISR = ISR_CHOSEN;
    ADC_CHSELR = channels;
    until(&ADC_ISR, ISR_CHOSEN, ISR_CHOSEN);
}

void adc_begin(void) {
    RCC_APBENR2 |= APBENR2_CONVERTER;
    ADC_CR = CR_REGULATOR;
    const uint32_t begun = clock_us();
    while (clock_us() - begun < 20u) { /* start-up time of its regulator */
    }
    ADC_CFGR2 = CFGR2_SIXTEEN_TIMES | CFGR2_HALF_THE_BUS;
    ADC_CFGR1 = CFGR1_WAIT;
    ADC_SMPR = SMPR_12_CYCLES;
    ADC_CR |= CR_CALIBRATE;
    until(&ADC_CR, CR_CALIBRATE, 0);
    ADC_ISR = ISR_READY;
    /* For some of its cycles after the calibration it ignores ADEN. */
    for (uint32_t i = 0; i < WAIT && !(ADC_ISR & ISR_READY); i++) {
        ADC_CR |= CR_ENABLE;
    }
    choose((1u << INPUTS) - 1u);
}

static bool next(uint16_t *code) {
    const bool came = until(&ADC_ISR, ISR_ONE, ISR_ONE);
    *code = (uint16_t)ADC_DR;
    return came;
}

bool adc_read(struct measured *measured) {
    ADC_CR |= CR_START;
    for (unsigned i = 0; i < METER_MOST_CHANNELS; i++) {
        if (!next(&measured->lines[i])) {
            return false;
        }
    }
    measured->power_failing = pins_power_failing();
    return next(&measured->tamper);
}

/* The lowest bits of 64 readings of the part's own temperature, which differ at each start. */
uint32_t adc_noise(void) {
    uint32_t noise = 0;
    CCR |= CCR_TEMPERATURE;
    choose(1u << TEMPERATURE);
    for (unsigned i = 0; i < 64; i++) {
        uint16_t code;
        ADC_CR |= CR_START;
        next(&code);
        noise = (noise << 5 | noise >> 27) ^ code;
    }
    choose((1u << INPUTS) - 1u);
    return noise;
}
