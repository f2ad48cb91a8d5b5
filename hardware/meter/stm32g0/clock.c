/* SPDX-License-Identifier: Apache-2.0 */
/* 64 MHz from the 8 MHz oscillator at OSC_IN: the part's own is 1 % off, and linetap can follow only a drift of 300
   ppm. */
#include "machine.h"
#include "registers.h"

#define WAIT 100000u /* iterations of a loop: about ten milliseconds at 16 MHz */

#define ACR_LATENCY 7u
#define ACR_TWO_WAITS 2u
#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLL_FROM_HSI 2u
#define PLL_FROM_HSE 3u
#define PLL_BY_2 (1u << 4)
#define PLL_TIMES_16 (16u << 8)
#define PLL_R_ON (1u << 28)
#define PLL_R_BY_2 (1u << 29)
#define CFGR_SWITCH 7u
#define CFGR_SWITCHED (7u << 3)
#define SWITCH_TO_PLL 2u
#define SWITCHED_TO_PLL (2u << 3)
#define APBENR1_TIMER 1u
#define EGR_UPDATE 1u
#define CR1_COUNTS 1u
#define PR_BY_8 1u
#define RLR_125_MS 500u /* of 32 kHz divided by 8 */
#define SR_UPDATES 7u

static bool comes(volatile uint32_t *where, uint32_t mask, uint32_t value) {
    for (uint32_t i = 0; i < WAIT; i++) {
        if ((*where & mask) == value) {
            return true;
        }
    }
    return false;
}

static void begin_pll(void) {
    RCC_CR |= CR_HSEBYP | CR_HSEON;
    /* Without its oscillator the meter still measures; linetap reports that its clock drifts. */
    const bool outside = comes(&RCC_CR, CR_HSERDY, CR_HSERDY);
    RCC_PLLCFGR = (outside ? PLL_FROM_HSE : PLL_FROM_HSI | PLL_BY_2) | PLL_TIMES_16 | PLL_R_ON | PLL_R_BY_2;
    RCC_CR |= CR_PLLON;
    if (comes(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
        RCC_CFGR = (RCC_CFGR & ~CFGR_SWITCH) | SWITCH_TO_PLL;
        comes(&RCC_CFGR, CFGR_SWITCHED, SWITCHED_TO_PLL);
    }
}

void clock_begin(void) {
    FLASH_ACR = (FLASH_ACR & ~ACR_LATENCY) | ACR_TWO_WAITS; /* above 48 MHz */
    if ((RCC_CR & CR_PLLRDY) == 0) { /* otherwise the loader has done it */
        begin_pll();
    }
    RCC_APBENR1 |= APBENR1_TIMER;
    TIM2_PSC = CPU_HZ / 1000000u - 1u;
    TIM2_ARR = UINT32_MAX;
    TIM2_EGR = EGR_UPDATE;
    TIM2_CR1 = CR1_COUNTS;
}

uint32_t clock_us(void) {
    return TIM2_CNT;
}

void restart_part(void) {
    SCB_AIRCR = 0x05fa0004u;
    for (;;) {
    }
}

/* Resets the part, which opens its relays, after more than a tenth of a second without a sample. */
void watchdog_begin(void) {
    IWDG_KR = 0xccccu;
    IWDG_KR = 0x5555u;
    IWDG_PR = PR_BY_8;
    IWDG_RLR = RLR_125_MS;
    comes(&IWDG_SR, SR_UPDATES, 0);
    watchdog_feed();
}

void watchdog_feed(void) {
    IWDG_KR = 0xaaaau;
}
