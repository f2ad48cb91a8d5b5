/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of the STM32G0B1 that the program uses (RM0444). Tests compare addresses, and the bits named by each
   file, with ../../part/registers.toml, which is compared with ST's own description of the part. There is no vendor's
   header, so that Debian's compiler alone can build it. */
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
#define FLASH_KEYR REGISTER(0x40022008u)
#define FLASH_SR REGISTER(0x40022010u)
#define FLASH_CR REGISTER(0x40022014u)
#define FLASH_ECCR REGISTER(0x40022018u)
#define PWR_CR2 REGISTER(0x40007004u)
#define CRS_CR REGISTER(0x40006c00u)

#define GPIOA 0x50000000u
#define GPIOB 0x50000400u
#define GPIOC 0x50000800u
#define GPIO_MODER(port) REGISTER((port) + 0x00u)
#define GPIO_OTYPER(port) REGISTER((port) + 0x04u)
#define GPIO_IDR(port) REGISTER((port) + 0x10u)
#define GPIO_BSRR(port) REGISTER((port) + 0x18u)
#define GPIO_AFRL(port) REGISTER((port) + 0x20u)

#define ADC_ISR REGISTER(0x40012400u)
#define ADC_CR REGISTER(0x40012408u)
#define ADC_CFGR1 REGISTER(0x4001240cu)
#define ADC_CFGR2 REGISTER(0x40012410u)
#define ADC_SMPR REGISTER(0x40012414u)
#define ADC_CHSELR REGISTER(0x40012428u)
#define ADC_DR REGISTER(0x40012440u)

#define USB_CHEP(channel) REGISTER(0x40005c00u + 4u * (channel))
#define USB_CNTR REGISTER(0x40005c40u)
#define USB_ISTR REGISTER(0x40005c44u)
#define USB_DADDR REGISTER(0x40005c4cu)
#define USB_BCDR REGISTER(0x40005c58u)
#define USB_MEMORY(at) REGISTER(0x40009800u + (at)) /* only word access */

#define I2C_CR1 REGISTER(0x40005400u)
#define I2C_CR2 REGISTER(0x40005404u)
#define I2C_TIMINGR REGISTER(0x40005410u)
#define I2C_ISR REGISTER(0x40005418u)
#define I2C_ICR REGISTER(0x4000541cu)
#define I2C_RXDR REGISTER(0x40005424u)
#define I2C_TXDR REGISTER(0x40005428u)

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
#define NVIC_ICER REGISTER(0xe000e180u)
#define SCB_VTOR REGISTER(0xe000ed08u)
#define SCB_AIRCR REGISTER(0xe000ed0cu)
#define UNIQUE_ID(word) REGISTER(0x1fff7590u + 4u * (word))

#define USB_IRQ 8u

#endif
