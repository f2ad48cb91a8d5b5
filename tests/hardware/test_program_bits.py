# SPDX-License-Identifier: Apache-2.0
"""Each address and bit named in the meter's program agrees with the table of the part's registers."""

from __future__ import annotations

import re

import pytest

from emulator.registers import layouts, table
from meterbuild import METER

FILES = METER / "stm32g0"
CORE = {  # ARMv6-M, B3.4.2 and B3.2.2
    "NVIC_ISER": 0xE000E100, "NVIC_ICER": 0xE000E180, "SCB_VTOR": 0xE000ED08, "SCB_AIRCR": 0xE000ED0C,
}  # fmt: skip
TOUCHED = re.compile(
    r"\b((?:RCC|FLASH|PWR|CRS|TIM2|IWDG|ADC|USB|I2C)_[A-Z0-9]+)(?:\([^)]*\))?\s*(?:[-+^|&]|<<|>>)?=\s*([^=].*?);",
    re.DOTALL,
)
NUMBER = re.compile(r"\b(?!0u?\b)(0x[0-9a-fA-F]+|\d+)u?\b")  # 0 is no bit
OF_A_MACRO = re.compile(r"\b[A-Z][A-Z0-9_]*\([^()]*\)")  # CR2_BYTES(1u), USB_CHEP(0): an index, no bit
# A key (IWDG_KR, FLASH_KEYR), a count, and a word of the packet memory: whole words without fields.
WHOLE = {"IWDG_KR", "FLASH_KEYR", "TIM2_PSC", "USB_MEMORY"}

# For each file: name of a value -> register, and its fields with their values. "all": all bits of the field.
BITS: dict[str, dict[str, tuple[str, str]]] = {
    "adc.c": {
        "APBENR2_CONVERTER": ("RCC.APBENR2", "ADCEN"),
        "CR_ENABLE": ("ADC.CR", "ADEN"), "CR_START": ("ADC.CR", "ADSTART"), "CR_REGULATOR": ("ADC.CR", "ADVREGEN"),
        "CR_CALIBRATE": ("ADC.CR", "ADCAL"),
        "ISR_READY": ("ADC.ISR", "ADRDY"), "ISR_ONE": ("ADC.ISR", "EOC"), "ISR_CHOSEN": ("ADC.ISR", "CCRDY"),
        "CFGR1_WAIT": ("ADC.CFGR1", "WAIT"), "CFGR2_SIXTEEN_TIMES": ("ADC.CFGR2", "OVSE OVSR=3"),
        "CFGR2_HALF_THE_BUS": ("ADC.CFGR2", "CKMODE=1"), "SMPR_12_CYCLES": ("ADC.SMPR", "SMP1=3"),
        "CCR_TEMPERATURE": ("ADC.CCR", "TSEN"),
    },
    "clock.c": {
        "ACR_LATENCY": ("FLASH.ACR", "LATENCY=all"), "ACR_TWO_WAITS": ("FLASH.ACR", "LATENCY=2"),
        "CR_HSEON": ("RCC.CR", "HSEON"), "CR_HSERDY": ("RCC.CR", "HSERDY"), "CR_HSEBYP": ("RCC.CR", "HSEBYP"),
        "CR_PLLON": ("RCC.CR", "PLLON"), "CR_PLLRDY": ("RCC.CR", "PLLRDY"),
        "PLL_FROM_HSI": ("RCC.PLLCFGR", "PLLSRC=2"), "PLL_FROM_HSE": ("RCC.PLLCFGR", "PLLSRC=3"),
        "PLL_BY_2": ("RCC.PLLCFGR", "PLLM=1"), "PLL_TIMES_16": ("RCC.PLLCFGR", "PLLN=16"),
        "PLL_R_ON": ("RCC.PLLCFGR", "PLLREN"), "PLL_R_BY_2": ("RCC.PLLCFGR", "PLLR=1"),
        "CFGR_SWITCH": ("RCC.CFGR", "SW=all"), "CFGR_SWITCHED": ("RCC.CFGR", "SWS=all"),
        "SWITCH_TO_PLL": ("RCC.CFGR", "SW=2"), "SWITCHED_TO_PLL": ("RCC.CFGR", "SWS=2"),
        "APBENR1_TIMER": ("RCC.APBENR1", "TIM2EN"), "EGR_UPDATE": ("TIM2.EGR", "UG"), "CR1_COUNTS": ("TIM2.CR1", "CEN"),
        "PR_BY_8": ("IWDG.PR", "PR=1"), "RLR_125_MS": ("IWDG.RLR", "RL=500"), "SR_UPDATES": ("IWDG.SR", "PVU RVU WVU"),
    },
    "pins.c": {"IOPENR_A_B_C": ("RCC.IOPENR", "GPIOAEN GPIOBEN GPIOCEN")},
    "usb.c": {
        "CHEP_RECEIVED": ("USB.CHEP0", "VTRX"), "CHEP_SENT": ("USB.CHEP0", "VTTX"),
        "CHEP_SETUP": ("USB.CHEP0", "SETUP"),
        "CHEP_RX_STATE": ("USB.CHEP0", "STATRX=all"), "CHEP_RX_TOGGLE": ("USB.CHEP0", "DTOGRX"),
        "CHEP_TX_STATE": ("USB.CHEP0", "STATTX=all"), "CHEP_TX_TOGGLE": ("USB.CHEP0", "DTOGTX"),
        "CHEP_KEPT": ("USB.CHEP0", "UTYPE=all EPKIND EA=all"),
        "BULK": ("USB.CHEP0", "UTYPE=0"), "CONTROL": ("USB.CHEP0", "UTYPE=1"), "INTERRUPT": ("USB.CHEP0", "UTYPE=3"),
        "APBENR1_POWER": ("RCC.APBENR1", "PWREN"), "APBENR1_RECOVERY": ("RCC.APBENR1", "CRSEN"),
        "APBENR1_USB": ("RCC.APBENR1", "USBEN"), "CR2_USB_SUPPLY": ("PWR.CR2", "USV"),
        "CR_HSI48_ON": ("RCC.CR", "HSI48ON"), "CR_HSI48_READY": ("RCC.CR", "HSI48RDY"),
        "CR_COUNTS": ("CRS.CR", "CEN"), "CR_TRIMS": ("CRS.CR", "AUTOTRIMEN"),
        "CNTR_RESET": ("USB.CNTR", "USBRST"), "CNTR_TRANSFERS": ("USB.CNTR", "CTRM"),
        "CNTR_RESETS": ("USB.CNTR", "RESETM"), "ISTR_RESET": ("USB.ISTR", "RST_DCON"),
        "ISTR_TRANSFER": ("USB.ISTR", "CTR"), "ISTR_CHANNEL": ("USB.ISTR", "IDN=all"),
        "DADDR_ON": ("USB.DADDR", "EF"), "BCDR_PULL_UP": ("USB.BCDR", "DPPU_DPD"),
    },
    "wire.c": {
        "APBENR1_WIRE": ("RCC.APBENR1", "I2C1EN"), "CR1_ON": ("I2C1.CR1", "PE"),
        # RM0444's example of 100 kHz from 4 MHz (PRESC 0, SCLDEL 4, SDADEL 2, SCLH 0x0f, SCLL 0x13), with 64 MHz
        # divided by 16
        "TIMING_100_KHZ": ("I2C1.TIMINGR", "PRESC=15 SCLDEL=4 SDADEL=2 SCLH=15 SCLL=19"),
        "CR2_READ": ("I2C1.CR2", "RD_WRN"), "CR2_START": ("I2C1.CR2", "START"), "CR2_STOPS": ("I2C1.CR2", "AUTOEND"),
        "ISR_WANTS": ("I2C1.ISR", "TXIS"), "ISR_CAME": ("I2C1.ISR", "RXNE"), "ISR_REFUSED": ("I2C1.ISR", "NACKF"),
        "ISR_STOPPED": ("I2C1.ISR", "STOPF"), "ISR_OVER": ("I2C1.ISR", "TC"), "ISR_LOST": ("I2C1.ISR", "BERR ARLO"),
    },
    "loader/flash.c": {
        "SR_ERRORS": ("FLASH.SR", "OPERR PROGERR WRPERR PGAERR SIZERR PGSERR MISERR FASTERR RDERR OPTVERR"),
        "SR_BUSY": ("FLASH.SR", "BSY BSY2 CFGBSY"), "CR_WRITE": ("FLASH.CR", "PG"), "CR_ERASE": ("FLASH.CR", "PER"),
        "CR_START": ("FLASH.CR", "STRT"), "CR_LOCKED": ("FLASH.CR", "LOCK"),
    },
    "loader/startup.c": {"ECCR_DETECTED": ("FLASH.ECCR", "ECCD")},
}  # fmt: skip
# Numbers that are no register bits: loop counts, pins and channels, buffers, places in the packet memory, the values of
# its descriptors and of a channel's two states, endpoints by bit.
OTHERS = {
    "adc.c": {"WAIT", "INPUTS", "TEMPERATURE"},
    "clock.c": {"WAIT"},
    "pins.c": {"POWER_FAIL", "LAMP_CLOCK", "LAMP_LATCH", "LAMP_DATA", "RELAY_1"},
    "usb.c": {"SENT", "HEARD", "WAIT", "STALL", "NAK", "VALID", "CONTROL_OUT", "CONTROL_IN", "BULK_OUT", "BULK_IN",
              "NOTICES_IN", "ONE_BLOCK_OF_32", "BULK_HEARS", "BULK_SENDS", "NOTICES"},
    "wire.c": {"SCL", "SDA", "CLOCKS", "HALF_US"},
    "loader/flash.c": {"BEGINNING", "WAIT"},
    "main.c": {"NEAR", "HEARD_AT_ONCE"},
    "loader/main.c": {"PATIENCE_US"},
}  # fmt: skip


def source(file: str) -> str:
    return (FILES / file).read_text()


def defined(text: str) -> dict[str, int]:
    """Every number with a name in a file."""
    found = re.findall(r"^#define (\w+) ([^/\n]+?)(?: /\*.*)?$", text, re.MULTILINE)
    numbers = {name: re.sub(r"\b(0x[0-9a-fA-F]+|\d+)u\b", r"\1", value) for name, value in found}
    return {name: eval(value) for name, value in numbers.items() if re.fullmatch(r"[0-9a-fx|<() ]+", value)}


def meant(register: str, fields: str) -> int:
    peripheral, name = register.split(".")
    value = 0
    for each in fields.split():
        field, _, number = each.partition("=")
        bit, width = layouts()[peripheral].registers[name].fields[field]
        value |= ((1 << width) - 1 if number == "all" else int(number or 1)) << bit
    return value


def wrong(file: str, text: str) -> list[str]:
    """Names whose number differs from the table."""
    numbers = defined(text)
    return [name for name, (at, fields) in BITS[file].items() if numbers[name] != meant(at, fields)]


def bare(text: str) -> list[str]:
    """Unnamed numbers written to a register."""
    return [
        f"{name} = {value}"
        for name, value in TOUCHED.findall(text)
        if name not in WHOLE and NUMBER.search(OF_A_MACRO.sub("", value))
    ]


@pytest.mark.parametrize("file", BITS)
def test_each_bit_is_the_field_that_it_is_named_for(file: str) -> None:
    assert wrong(file, source(file)) == []


def test_no_file_has_a_number_that_nothing_is_said_of() -> None:
    files = [str(path.relative_to(FILES)) for path in FILES.rglob("*.c")]
    found = {file: defined(source(file)).keys() - BITS.get(file, {}).keys() - OTHERS.get(file, set()) for file in files}
    assert not {file: names for file, names in found.items() if names}
    assert set(BITS) <= set(files)


def test_what_is_written_to_a_register_has_a_name() -> None:
    """Except whole words (WHOLE), and masks of pins for the ports' registers."""
    assert [each for path in FILES.rglob("*.c") for each in bare(path.read_text())] == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("adc.c", "CR_CALIBRATE (1u << 31)", "CR_CALIBRATE (1u << 30)"),
        ("clock.c", "CR_HSEBYP (1u << 18)", "CR_HSEBYP (1u << 19)"),
        ("wire.c", "TIMING_100_KHZ 0xf0420f13u", "TIMING_100_KHZ 0xf0420f14u"),
    ],
)
def test_a_wrong_bit_is_found(file: str, old: str, new: str) -> None:
    assert old in source(file)
    assert wrong(file, source(file).replace(old, new)) == [old.split()[0]]


@pytest.mark.parametrize(
    "line",
    [
        "RCC_APBENR1 |= 1u << 21;", "RCC_APBENR1 |= 1u<<21;", "TIM2_CR1 = 1u;", "FLASH_ACR = (FLASH_ACR & ~7u) | 2u;",
        "RCC_APBENR1 |= 0x200000u;", "RCC_CR = 0x10000u;", "ADC_CR &= ~1u;", "RCC_CR |=\n    65536;",
        "USB_CHEP(channel + 1u) = CHEP_SENT | 0x80u;", "I2C_CR2 = CR2_BYTES(1u) | 0x2000u;", "RCC_CR ^= CR_PLLON | 2;",
    ],
)  # fmt: skip
def test_a_number_without_a_name_is_found(line: str) -> None:
    assert bare(line)


@pytest.mark.parametrize("line", ["USB_CNTR = 0;", "I2C_CR2 = slave | CR2_BYTES(1u);", "if (RCC_CR == 3u) { x = 1; }"])
def test_a_name_or_a_comparison_is_none(line: str) -> None:
    assert not bare(line)


def test_the_programs_addresses_are_the_tables() -> None:
    text = source("registers.h") + source("adc.c").replace("#define CCR ", "#define ADC_CCR ")
    found = re.findall(r"#define (\w+?)_(\w+) REGISTER\((0x[0-9a-f]+)u\)", text)
    assert len(found) > 25
    for named, register, at in found:
        if f"{named}_{register}" in CORE:
            assert CORE[f"{named}_{register}"] == int(at, 16)
        else:
            known = layouts()["I2C1" if named == "I2C" else named]
            assert known.base + known.registers[register].offset == int(at, 16), f"{named}_{register}"
    ports = re.findall(r"#define (GPIO[A-C]) (0x[0-9a-f]+)u", text)
    assert {name: int(at, 16) for name, at in ports} == {
        name: layouts()[name].base for name in ("GPIOA", "GPIOB", "GPIOC")
    }
    for register, offset in re.findall(r"#define GPIO_(\w+)\(port\) REGISTER\(\(port\) \+ (0x[0-9a-f]+)u\)", text):
        assert {layouts()[name].registers[register].offset for name, _ in ports} == {int(offset, 16)}
    usb = layouts()["USB"]
    channels = [usb.base + usb.registers[f"CHEP{i}"].offset for i in range(8)]
    assert f"USB_CHEP(channel) REGISTER({usb.base:#x}u + 4u * (channel))" in text
    assert channels == [usb.base + 4 * i for i in range(8)]
    assert f"#define USB_IRQ {table()['usb_interrupt']}u" in text
    assert f"USB_MEMORY(at) REGISTER({table()['packet_memory']:#x}u" in text
    assert f"UNIQUE_ID(word) REGISTER({table()['unique_id']:#x}u" in text
