/* SPDX-License-Identifier: Apache-2.0 */
/* What the program touches of an STM32G071 (RM0444). Addresses of the peripherals, and the bits of RCC and ADC, were
   compared with published headers; the other bits are from memory. No vendor's header, so that Debian's compiler alone
   builds it. */
#ifndef LINETAP_METER_REGISTERS_H
#define LINETAP_METER_REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define RCC_CR REGISTER(0x40021000u)
#define RCC_CFGR REGISTER(0x40021008u)
#define RCC_PLLCFGR REGISTER(0x4002100cu)
#define RCC_IOPENR REGISTER(0x40021034u)
#define RCC_APBENR1 REGISTER(0x4002103cu)
#define RCC_APBENR2 REGISTER(0x40021040u)
#define FLASH_ACR REGISTER(0x40022000u)

#define GPIOA 0x50000000u
#define GPIOB 0x50000400u
#define GPIOC 0x50000800u
#define GPIO_MODER(port) REGISTER((port) + 0x00u)
#define GPIO_PUPDR(port) REGISTER((port) + 0x0cu)
#define GPIO_IDR(port) REGISTER((port) + 0x10u)
#define GPIO_BSRR(port) REGISTER((port) + 0x18u)
#define GPIO_AFRH(port) REGISTER((port) + 0x24u)

#define ADC_ISR REGISTER(0x40012400u)
#define ADC_CR REGISTER(0x40012408u)
#define ADC_CFGR1 REGISTER(0x4001240cu)
#define ADC_CFGR2 REGISTER(0x40012410u)
#define ADC_SMPR REGISTER(0x40012414u)
#define ADC_CHSELR REGISTER(0x40012428u)
#define ADC_DR REGISTER(0x40012440u)

#define USART1_CR1 REGISTER(0x40013800u)
#define USART1_BRR REGISTER(0x4001380cu)
#define USART1_ISR REGISTER(0x4001381cu)
#define USART1_ICR REGISTER(0x40013820u)
#define USART1_RDR REGISTER(0x40013824u)
#define USART1_TDR REGISTER(0x40013828u)

#define TIM2_CR1 REGISTER(0x40000000u)
#define TIM2_EGR REGISTER(0x40000014u)
#define TIM2_CNT REGISTER(0x40000024u)
#define TIM2_PSC REGISTER(0x40000028u)
#define TIM2_ARR REGISTER(0x4000002cu)

#define IWDG_KR REGISTER(0x40003000u)
#define IWDG_PR REGISTER(0x40003004u)
#define IWDG_RLR REGISTER(0x40003008u)
#define IWDG_SR REGISTER(0x4000300cu)

#define NVIC_ISER REGISTER(0xe000e100u)
#define UNIQUE_ID(word) REGISTER(0x1fff7590u + 4u * (word))

#define USART1_IRQ 27u

#endif
