# SPDX-License-Identifier: Apache-2.0
"""Rules for buses: addresses, pull-ups, transmit to receive, the two USB wires, straps, resets, supplies."""

from __future__ import annotations

from collections.abc import Iterator

from rules.card import Card, Fitted
from rules.pins import pads

I2C_PULL_OHM = (1e3, 10e3)
PI_PULLS_UP = "GPIO2"  # the Pi itself has 1.8 kohm on GPIO2 and GPIO3
ADDRESSES = {  # kind: its address, and the pins that add 1, 2, 4 when high
    "eeprom": (0x50, ("a0", "a1", "a2")),  # the Pi reads 0x50 (HAT specification)
    "rtc": (0x52, ()),
    "adc4": (0x4A, ("ad",)),
}
HIGH = {"+3V3", "PI3V3", "+5V", "/audio/v33d"}  # supplies of a bus
STRAPS = {  # kind, pin: the pin of the same part whose net it must share
    ("shift8", "oe"): "gnd",
    ("shift8", "clr"): "vcc",
    ("oneshot", "b"): "vcc",
    ("oneshot", "clr"): "vcc",
    ("ldo", "en"): "in",
    ("adc4", "xi"): "dgnd",
    ("adc4", "iovdd"): "dvdd",  # pin 14 beside 13
    ("dac8", "vcc2"): "vcc1",
    ("hub", "vddc"): "vdd",
    ("adc4", "md0"): "dgnd",
    ("dac8", "din2"): "dgnd",
    ("dac8", "din3"): "dgnd",
    ("dac8", "din4"): "dgnd",
    ("dac8", "fmt0"): "vdd",
    ("dac8", "fmt1"): "vdd",
    ("dac8", "demp"): "dgnd",
    ("dac8", "mute"): "dgnd",
    ("holdup", "chgen"): "gnd",
    ("holdup", "bsten"): "gnd",
    ("holdup", "capsel"): "vsys",
    ("holdup", "ovsns"): "vin",
    ("holdup", "rstfb"): "bstfb",
    ("clock_8MHz", "en"): "vdd",
    ("rtc", "evi"): "vss",
    ("eeprom", "a0"): "vss",
    ("eeprom", "a1"): "vss",
    ("eeprom", "a2"): "vss",
    ("hub", "test"): "vss",
    **{("hub", f"ocs{port}"): "vdd" for port in range(1, 5)},  # low reports an overcurrent, and the port is off
    ("rs232", "din2"): "gnd",
}
LED = {  # the same, by a resistor with no other part on its pin: least and most
    ("dac8", "msel"): ("dgnd", 209e3, 231e3),  # 220 kohm within 5 % (SLES211C, table 7)
    # Read at the reset, and outputs (two) or inputs afterwards; ground or another strap would short an output. The
    # maker's range for a low level is 47 to 100 kohm; at 100 kohm the leakage of up to 10 uA gives 1 V, and the low
    # level is 0.8 V (DS00001692C, table 6-1).
    ("hub", "nonrem0"): ("vss", 9e3, 11e3),
    ("hub", "nonrem1"): ("vdd", 9e3, 11e3),
    ("hub", "cfg0"): ("vss", 9e3, 11e3),
    ("hub", "cfg1"): ("vss", 9e3, 11e3),
    ("hub", "rbias"): ("vss", 11.88e3, 12.12e3),  # 12.0 kohm, 1 %: the currents of both USB wires (DS00001692C)
}
RESETS = {("meter", "nrst"), ("hub", "reset")}
# Its supply may rise for 0.4 ms, or for 100 ms if a chip holds the reset until then (DS00001692C, note 6-2).
WATCHED = {("hub", "reset"): "supervisor"}
# Kind: its supply, and the pins fed from it through a ferrite (SC571231).
ANALOG = {"hub": ("vdd", ("vdda", "vddb", "vddd", "vdde"))}
OFF_OHM = (9e3, 11e3)  # from the hub's supply to both data lines of a disabled port (SC571231 has one at each)
RESET_OHM = (4e3, 100e3)  # a chip's own reset pulls its pin down against it; from memory
RESET_F = (10e-9, 1e-6)  # AN5096 has 100 nF; 10 uF at 10 kohm would be 0.1 s, and a burst into the pin
DECOUPLING_F = 90e-9
BULK_F = 4e-6
# Pins with 4.7 uF nearby, on both sides of the hub's ferrite (SC571231; AN5096); a regulator's output has it anyway.
BULK = {("hub", "vdd"), ("hub", "vdda"), ("meter", "vdd")}
RESERVE_F = 8e-6
RESERVE = {("adc4", "avdd"), ("adc4", "dvdd")}  # each with 10 uF of its own (SLAS831D, pin functions)
BESIDE_ANOTHER = {("adc4", "iovdd")}  # pin 14 beside 13, its dvdd, on the same net
RS232 = {("pi_header", "GPIO4"): "din", ("pi_header", "GPIO5"): "rout"}  # TXD and RXD of the Pi, as pins.toml has them
FARTHER = {"din": "dout", "rout": "rin"}  # the same signal on the plug's side
PLUG_PIN = {"dout": "tx", "rin": "rx"}
USB_PAIRS = (("up_dp", "up_dm"), ("dp1", "dm1"), ("dp2", "dm2"), ("dp3", "dm3"), ("dp4", "dm4"))
CC_OHM = (4.6e3, 5.6e3)  # 5.1 kohm, 10 %: a device that draws no power (USB Type-C)


def i2c(card: Card) -> Iterator[str]:
    """Each bus has pull-ups on its two wires, and no two of its parts have the same address."""
    for data, ends in card.nets.items():
        chips = [part for part, pin in ends if pin == "sda" and part.type_of(pin) == "bidirectional"]
        if not chips:
            continue
        clocks = {part.nets.get("scl", "") for part in chips}
        if len(clocks) != 1:
            yield f"{data}: its parts are on different clocks"
        if any(pin == "scl" for _, pin in ends):
            yield f"{data}: data and clock are exchanged"
        if not any(pin == PI_PULLS_UP for _, pin in ends):
            for net in (data, *clocks):
                yield from _pulled_up(card, net)
        answers: dict[int, str] = {}
        for part in chips:
            if part.kind_name in ADDRESSES:
                base, pins = ADDRESSES[part.kind_name]
                address = base + sum(1 << i for i, pin in enumerate(pins) if part.nets.get(pin) != "GND")
                if (other := answers.setdefault(address, part.reference)) != part.reference:
                    yield f"{data}: {other} and {part.reference} both answer to {address:#x}"


def _pulled_up(card: Card, net: str) -> Iterator[str]:
    pulls = [each for each in card.on(net, "R") if each.other(net) in HIGH]
    if len(pulls) != 1 or not I2C_PULL_OHM[0] <= pulls[0].value <= I2C_PULL_OHM[1]:
        yield f"{net}: asked one pull-up of {I2C_PULL_OHM[0]:g} to {I2C_PULL_OHM[1]:g} ohm"


def serial(card: Card) -> Iterator[str]:
    """The Pi's transmitter is wired to the driver, its receiver to the receiver, each with its own pin of the plug."""
    for (kind, pin), want in RS232.items():
        for header in card.of(kind):
            found = {(part.kind_name, name) for part, name in card.nets.get(header.nets.get(pin, ""), [])}
            if ("rs232", want) not in found:
                yield f"{pin} of the Pi does not reach {want}"
    for chip in card.of("rs232"):
        for far in FARTHER.values():
            found = {(part.kind_name, name) for part, name in card.nets.get(chip.nets.get(far, ""), [])}
            if ("db9", PLUG_PIN[far]) not in found or len(found) != 2:
                yield f"{far} of {chip.reference} does not reach {PLUG_PIN[far]} of the plug"
    for plug in card.of("db9"):
        if plug.nets.get("rts") != plug.nets.get("cts") or len(card.on(plug.nets.get("rts", ""))) != 1:
            yield f"{plug.reference}: RTS is not CTS and nothing else, so that the exchange may send"


def usb(card: Card) -> Iterator[str]:
    """D+ is wired to D+ and D- to D-; a plug of type C has the resistors of a device that draws no power.

    The protection of the plug's wires is between its own supply and ground; a device's 5 V comes through a fuse alone.
    """
    for array in card.of("usb_esd"):
        if array.nets.get("vbus") not in {plug.nets.get("vbus") for plug in card.of("usb")}:
            yield f"{array.reference}: its supply is not the plug's"
    for socket in card.of("usb_a"):
        fuses = card.on(socket.nets.get("vbus", ""), "F")
        if [each.other(socket.nets.get("vbus", "")) for each in fuses] != ["+5V"]:
            yield f"{socket.reference}: its 5 V does not come through one fuse"
    for net, ends in card.nets.items():
        wires = {pin.replace("up_", "").rstrip("1234") for _, pin in ends} & {"dp", "dm"}
        if len(wires) > 1 and not _off(card, net):
            yield f"{net}: D+ and D- are joined"
    for hub in card.of("hub"):
        for plus, minus in USB_PAIRS:
            far = [{each.reference for each in card.on(hub.nets.get(pin, ""))} for pin in (plus, minus)]
            if far[0] != far[1]:
                yield f"{hub.reference}: {plus} and {minus} go to different parts"
            for pin in (plus, minus):
                ends = [(each, name) for each, name in card.nets.get(hub.nets.get(pin, ""), []) if each is not hub]
                if wrong := [f"{name} of {each.reference}" for each, name in ends if not _same_wire(each, name, pin)]:
                    yield f"{hub.reference}: {pin} goes to {' and '.join(wrong)}"
    for plug in card.of("usb"):
        seen = set()
        for pin in ("cc1", "cc2"):
            net = plug.nets.get(pin, "")
            pulls = card.between(net, "GND", "R")
            if (
                len(pulls) != 1
                or len(card.nets[net]) != 2
                or not CC_OHM[0] <= pulls[0].value <= CC_OHM[1]
                or net in seen
            ):
                yield f"{plug.reference}: {pin} has not 5.1 kohm to ground of its own"
            seen.add(net)


def _same_wire(part: Fitted, name: str, pin: str) -> bool:
    """Whether a pin is the same wire of USB as the hub's; protection, and a resistor that disables a port, are both."""
    return part.symbol == "R" or part.kind_name == "usb_esd" or name == pin.replace("up_", "").rstrip("1234")


def _off(card: Card, net: str) -> bool:
    """Whether both data lines of a hub's port have resistors to its supply, which disables the port."""
    hubs = [part for part, _ in card.nets[net] if part.kind_name == "hub"]
    by = card.on(net, "R")
    up = bool(hubs) and [hubs[0].nets.get("vdd")] == [each.other(net) for each in by]
    return up and len(hubs) == 2 and len(card.nets[net]) == 3 and OFF_OHM[0] <= by[0].value <= OFF_OHM[1]


def strapped(card: Card) -> Iterator[str]:
    """Strap pins have their required levels; the converter's reference is the supply of VM."""
    for (kind, pin), to in STRAPS.items():
        for part in card.of(kind):
            if part.nets.get(pin) != part.nets.get(to):
                yield f"{part.reference} ({part.kind.value}): {pin} is not where {to} is"
    for (kind, pin), (to, least, most) in LED.items():
        for part in card.of(kind):
            net = part.nets.get(pin, "")
            by = [each.ends for each in card.between(net, part.nets.get(to, ""), "R")]
            if len(card.nets.get(net, [])) != 2 or len(by) != 1 or not least <= by[0][0] <= by[0][1] <= most:
                yield f"{part.reference} ({part.kind.value}): {pin} is not led to {to} by {least:g} to {most:g} ohm"
    for part in card.parts.values():
        for pin in part.nets:
            if (part.kind_name, pin) in RESETS:
                net = part.nets[pin]
                pulls = [each for each in card.on(net, "R") if _is_fed(card, each.other(net))]
                if not any(RESET_OHM[0] <= each.value <= RESET_OHM[1] for each in pulls):
                    yield f"{part.reference}: {pin} is not pulled up"
                watch = WATCHED.get((part.kind_name, pin))
                if watch and not any((each.kind_name, name) == (watch, "out") for each, name in card.nets[net]):
                    yield f"{part.reference}: no {watch} holds {pin} until the supply is there"
                stores = sum(each.value for each in card.between(net, "GND", "C"))
                if not watch and not RESET_F[0] <= stores <= RESET_F[1]:
                    yield f"{part.reference}: {pin} has no capacitor of {RESET_F[0]:g} to {RESET_F[1]:g} F"
    for chip in card.of("supervisor"):
        if not any(part.nets.get("vdd") == chip.nets.get("vcc") for part in card.of("hub")):
            yield f"{chip.reference}: watches {chip.nets.get('vcc')}, which is not the hub's supply"
    for part in card.of(*ANALOG):
        supply, pins = ANALOG[part.kind_name]
        for net in {part.nets.get(pin, "") for pin in pins}:
            if not card.between(net, part.nets.get(supply, ""), "L"):
                yield f"{part.reference}: no ferrite leads from {supply} to {net}"
    sources = {part.nets.get("out") for part in card.of("reference")}
    for part in card.of("meter"):
        if {part.nets.get("vref")} != sources:
            yield f"{part.reference}: measures against {part.nets.get('vref')}, not the reference"


def _is_fed(card: Card, net: str) -> bool:
    return net != "GND" and any(part.type_of(pin) == "power_in" for part, pin in card.nets[net])


def decoupled(card: Card) -> Iterator[str]:
    """Each supply pin has a capacitor to ground on its chip's sheet, and some chips need a bulk capacitor nearby."""
    for (sheet, net), feeds in _supplies(card).items():
        beside = [each.value for each in card.on(net, "C") if each.sheet == sheet and _is_ground(each, net)]
        own = [part.reference for part, pin in card.nets[net] if part.sheet == sheet and pin in part.kind.feeds[1:]]
        bulk = sorted({part.reference for part, pin in feeds if (part.kind_name, pin) in BULK})
        reserve = sorted(part.reference for part, pin in feeds if (part.kind_name, pin) in RESERVE)
        for asking, least, said in ((bulk, BULK_F, "4.7"), (reserve, RESERVE_F, "10")):
            if asking and sum(each >= least for each in beside) < len(asking) + len(own):
                who = " and ".join(asking + own)
                yield f"{net}: on the sheet {sheet} fewer capacitors of {said} uF than {who} ask for"
        small = [each for each in beside if each >= DECOUPLING_F and not (bulk and each >= BULK_F)]
        asked = _asked(feeds)
        if len(small) < asked:
            pins = " ".join(f"{part.reference}.{pin}" for part, pin in feeds)
            yield f"{net}: on the sheet {sheet} {len(small)} capacitors for {asked} of {pins}"


def _supplies(card: Card) -> dict[tuple[str, str], list[tuple[Fitted, str]]]:
    """Sheet and net -> the chips' supply pins on it, each as often as the chip has pads for it."""
    found: dict[tuple[str, str], list[tuple[Fitted, str]]] = {}
    for part in card.parts.values():
        for pin in part.kind.pin_rows():
            net = part.nets.get(pin.name, "")
            if part.reference.startswith("U") and pin.type == "power_in" and net not in ("", "GND", "/supply/ret"):
                many = pads(part.kind_name).count(pin.number)
                found.setdefault((part.sheet, net), []).extend([(part, pin.name)] * many)
    return found


def _asked(feeds: list[tuple[Fitted, str]]) -> int:
    """The number of required capacitors: two amplifiers share one, and so do adjacent supply pins of a chip."""
    amplifiers = sum(part.symbol == "amp" for part, _ in feeds)
    alone = [pin for part, pin in feeds if part.symbol != "amp" and (part.kind_name, pin) not in BESIDE_ANOTHER]
    return len(alone) + (amplifiers + 1) // 2


def _is_ground(part: Fitted, net: str) -> bool:
    return part.other(net) in ("GND", "/supply/ret")
