# SPDX-License-Identifier: Apache-2.0
"""Table of all faults of cardfaults.py: effect on a line's nets, number of lines that lose calls, detection, reason.

It is long because it is a table. `leaves` is a state of linestates.py. `told`: an alert of wire/alerts.py; OFFLINE, the
unit missing at the desk; "LED x", dark or wrongly lit; "row x" of the production test; "pad x" or "part x" of the bench
(commissioning.md); PROBE, the in-circuit test at the factory; empty if the fault may stay undetected. The behaviour of
a chip with an open pin is from memory of its kind unless its sheet is named.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from linetap_core.wire.alerts import ALERTS

OFFLINE, PROBE = "offline", "in-circuit"
CARD_GONE = ("meter_absent", "codec_absent")
HOLD_UP = ("pad TP1003", "part C1002")
NO_NOTICE = ("notice_doubtful", "notice_not_heard")
NOT_ARMED = (*NO_NOTICE, "contact_stuck")
DEAF = ("silent_off_hook", *NO_NOTICE)
UNSET = ("converter_unset", *DEAF)


class Row(NamedTuple):
    """A row; `stops`: number of lines not recorded, not heard or not announced while the fault lasts."""

    faults: str
    leaves: str
    stops: int
    told: tuple[str, ...]
    why: str


# fmt: off
ROWS = (
    # --- 12 V and 5 V
    Row(
        r"J1001\.[ab] open|J1001 a-b shorted|F1001 open|D1001 shorted|Q1001\.[ds] open|C10(01|11|18) shorted|"
        r"U1001\.\w+ (open|low)|C1010 shorted",
        "no power", 8, ("power_failing", OFFLINE, "LED power"),
        "the hold-up carries the unit for some seconds, in which calls are closed; then all is dark",
    ),
    Row(
        r"R1006 open|Q1002\.[ds] open", "no power", 8, (OFFLINE, "LED power"),
        "the manager still sees its input, and may not begin to give: then the unit goes off at once",
    ),
    Row(
        r"C10(04|08|12|15|16|17) shorted|C12(19|20|22|24) shorted|C1502 shorted|"
        r"J1301 (5VB-GNDA|3V3-5V) shorted|U1002\.vsys low|L1001 shorted",
        "no power", 8, (OFFLINE, "LED power"),
        "+5V is pulled down",
    ),
    Row(r"J1301\.(5V|5VB|GND[A-H]|3V3|3V3B) open", "nothing", 0, (), "another pin of the header carries the same net"),
    Row(
        r"Q1001\.g open|Q1001 g-[ds] shorted|R1005 open|D1002 shorted", "nothing", 0, (OFFLINE,),
        "its own diode carries the card's current, some 2 W warmer than it is made for, until it opens",
    ),
    Row(r"Q1001 d-s shorted", "nothing", 0, ("pad TP1002",), "a turned plug is then no longer kept out"),
    Row(
        r"D1001 open|D1002 open|F1001 shorted|R1005 shorted|C10(01|11|18) open|C1010 open|R1006 shorted",
        "nothing", 0, (PROBE,),
        "a protection or a filter is lost, and nothing else",
    ),
    Row(
        r"U1001\.vout high", "5 V at 6.2 V", 8, (OFFLINE, "pad TP1003"),
        "its own protection holds it there; chips of 5.5 V and the Pi may die of it, no line sees it",
    ),
    # --- hold-up
    Row(
        r"Q1002\.g open|Q1002 g-[ds] shorted|U1002\.igate (open|low)|U1002\.(vin|gnd|cln|ovsns) open",
        "5 V at 4.3 V", 0, ("under_voltage", *HOLD_UP),
        "the transistor's diode carries 4 A; the Pi sees less than 4.63 V",
    ),
    Row(
        r"Q1002 d-s shorted|U1002\.igate high|R1007 shorted|R1008 open|U1002\.pfi open", "nothing", 0, HOLD_UP,
        "at a power cut the booster feeds the converter too, or does not begin: the unit goes off at once",
    ),
    Row(r"U1002\.vsys high", "5 V at 6.2 V", 0, HOLD_UP, "+5V is what the converter gives, and gives back into it"),
    Row(
        r"R1007 open|R1008 shorted", "no power", 8, ("power_failing", OFFLINE, "row flags"),
        "the manager takes the input for lost, and lets it go until the cells are empty",
    ),
    Row(
        r"L1001 open|C100[23] (open|shorted)|C1014 (open|shorted)|"
        r"U1002\.(sw|cap|mid|capfb|prog|cpf|capflt|capsel|chgen|bsten) open|R10(09|10|11|12|13|14) (open|shorted)|"
        r"C1013 (open|shorted)|U1002\.(vsys|bstfb|rstfb) open",
        "nothing", 0, HOLD_UP,
        "charged wrongly or not at all, or given wrongly: it is missed at a power cut alone. A cell charged beyond "
        "2.7 V leaks",
    ),
    Row(
        r"U1002\.pfo low|R1001 open", "nothing", 0, ("power_failing", "row flags"),
        "the meter's flag of a failing supply stands, or comes and goes",
    ),
    Row(
        r"U1002\.pfo (open|high)|R1001 shorted|U1101\.pfo open", "nothing", 0, (PROBE,),
        "the flag never comes: a power cut is not told before the unit goes off",
    ),
    Row(
        r"C10(04|08|12|15|16|17) open|C12(19|20|22|24) open|C1502 open", "nothing", 0, (PROBE,),
        "eleven others are on +5V",
    ),
    # --- 3.3 V
    Row(
        r"U1003\.(in|gnd|en|out) open|U1003\.out low|C10(05|19) shorted|C11(10|11|14|15) shorted|"
        r"C12(13|14|26|29) shorted|C140[12] shorted|J1101 a-b shorted",
        "no 3.3 V", 8, ("meter_absent", "converter_unset"),
        "meter, converters' analog half and line amplifiers are dead; calls in progress go on by nothing, none "
        "begins",
    ),
    Row(
        r"U1003\.out high", "3.3 V at 5 V", 8, ("meter_absent", "converter_unset", "pad TP1004"),
        "meter and converters stand 4 V; what the dead meter's pins do, the rows of RELAY and CONTACT have",
    ),
    Row(
        r"C10(05|19) open|C11(10|11|14|15) open|C12(13|14|26|29) open|C140[12] open", "nothing", 0, (PROBE,),
        "others are on +3V3, the nearest in another part of the card",
    ),
    # --- reference
    Row(
        r"U1004\.(in|out) open|U1004\.out low|C1006 shorted|C111[23] shorted", "no reference", 8, ("battery_high",),
        "all lines read what none has; every contact stays closed",
    ),
    Row(
        r"U1004\.out high|U1004\.gnd open", "reference at 3.4 V", 0, ("row fed_v", "pad TP1005"),
        "all lines read 0.89 of what they have, which a line that is learned then takes for its own",
    ),
    Row(r"C1006 open|C111[23] open", "nothing", 0, (PROBE,), "two others are on VREF"),
    Row(r"U1101\.vref open", "nothing", 8, ("meter_absent", "battery_high"), "its converter has no reference"),
    Row(r"C90[1-5] open", "nothing", 0, (PROBE,), "noise of a reference"),
    Row(
        r"R903 open|R90[67] shorted|R908 open|C90[25] shorted", "nothing", 0, ("pad TP903",),
        "edges must charge to less, 0.2 V at the least: a contact opens sooner, and closes up to 0.3 s later",
    ),
    Row(
        r"R90[38] shorted|R90[67] open", "nothing", 0, ("contact_stuck", "pad TP903"),
        "edges must charge to more than they have: no contact opens",
    ),
    Row(
        r"C903 shorted|R90[45] (open|shorted)|U902 .*", "nothing", 8, ("row echo_db",),
        "the middle of the notices' drivers: half of each wave is played, far too quiet, and may still count as "
        "heard",
    ),
    # --- current of the coils
    Row(
        r"U1005\.(a|b|clr|q|vcc|gnd|cext|rcext) open|U1005\.q low|R1002 (open|shorted)|C1007 open|R100[34] shorted|"
        r"U1006\.(vin|on|gnd|vout|ilim) open|U1006\.vout low|R1015 open|C1009 shorted|R1016 shorted|"
        r"J1301\.GPIO16 open|J1308 a-b shorted|J1301 GNDG-GPIO16 shorted",
        "no coil current", 8, NOT_ARMED,
        "no notice is heard on any line and no contact opens. U1006 limits a short behind it to 1.05 A: +5V stays",
    ),
    Row(
        r"U1005\.q high|U1006\.vout high|C1007 shorted",
        "coil current for good", 0, ("row unarmed_db", "row unarmed_v"),
        "one of the bounds on relays and contacts is lost, the other ones remain",
    ),
    Row(r"R100[34] open|R1016 open|C1009 open|J1308\.[ab] open", "nothing", 0, (PROBE,), "what drives it remains"),
    Row(r"R1015 shorted", "nothing", 0, (PROBE,), "COIL is no longer limited: missed when a coil is shorted alone"),
    Row(
        r"J1301 GPIO19-(GPIO16|GNDG) shorted|J1301\.GPIO1[789] open|J1307\.[abcd] open|J1307 [abc]-[bcd] shorted|"
        r"J1301 (GNDB-GPIO17|GPIO17-GPIO18|GPIO18-GNDC) shorted",
        "no coil current", 8, NOT_ARMED,
        "the same of another card; two that are joined arm each other's",
    ),
    # --- meter
    Row(
        r"U1101\.(vdd|vss|osc|nrst|dp|dm) open|U1101\.d[pm] (high|low)|U1102\.\w+ (open|high|low)|C1109 shorted|"
        r"U1501\.d[pm]2 (open|high|low)",
        "no coil current", 8, ("meter_absent",),
        "capture hears no meter and gives no edges on ARM; calls are followed by their sound, none is announced",
    ),
    Row(
        r"U1101\.vm\d open|R110[1-8] open", "nothing", 1, ("row fed_v", "row absent_v"),
        "the pin drifts to anywhere; where it ends is not known, so no alert is promised",
    ),
    Row(r"C110[1-8] shorted", "meter's input at 0 V", 1, ("battery_high",), "the line reads -241 V"),
    Row(r"R110[1-8] shorted", "VM at the pin", 0, (PROBE,), "the line's own filters remain"),
    Row(r"C110[1-8] open", "nothing", 0, (PROBE,), "the line's own filters remain"),
    Row(
        r"U1101\.relay\d high", "relay pin high", 0, ("row silent_db",),
        "the notice's relay is closed while ARM lasts: 2 dB, and the load of two bells while it rings",
    ),
    Row(r"U1101\.relay\d (open|low)", "relay pin low", 1, NO_NOTICE, "the line's notice is never heard"),
    Row(r"U1101\.contact\d high", "contact pin high", 1, ("contact_stuck",), "its contact never opens: no edges"),
    Row(r"U1101\.contact\d (open|low)", "contact pin low", 1, ("contact_stuck",), "its contact never opens: no edges"),
    Row(
        r"U1101\.tamper open|R1304 (open|shorted)|J1305\.[ab] open|J1305 a-b shorted",
        "nothing", 0, ("unit_opened", "row lid"),
        "open and short are both tamper; the pin itself open may read either",
    ),
    Row(
        r"U1101\.sw(dio|clk) \w+|J1101\.[abcd] open|J1101 (a-[cd]|[bc]-[cd]) shorted", "nothing", 0, ("part J1101",),
        "the debug port, which is used once at the factory",
    ),
    Row(r"R1109 (open|shorted)|C1109 open", "nothing", 0, (PROBE,), "the part has a pull-up and a reset of its own"),
    # --- lamps
    Row(
        r"U1101\.(sck|data|latch) \w+|U140[12]\.\w+ (open|high|low)|R14[12][1-8] (open|shorted)|"
        r"D14[12][1-8] (open|shorted)",
        "nothing", 0, ("LED lines",),
        "a line's lamp is dark, lit or wrong; alerts and desk go by nothing of it",
    ),
    # --- audio
    Row(r"C120[1-8] open|U120[12]\.ain\d open", "nothing", 1, DEAF, "the line's channel hears nothing"),
    Row(
        r"C120[1-8] shorted", "RX held", 0, (PROBE,),
        "the converter's own bias meets RX's: some offset, which it filters",
    ),
    Row(
        r"U120[12]\.(avdd|agnd|mclk|sclk|lrck|sdout|vref) open|U120[12]\.sdout (high|low)|C12(09|10) (open|shorted)|"
        r"U1204\.din[12] open",
        "nothing", 4, DEAF,
        "four channels give nothing, or the same for ever",
    ),
    Row(
        r"U120[12]\.(dvdd|iovdd|dgnd|xi|ad|md0|ldo|sda|scl) open|C121[12] (open|shorted)|C12(28|31) shorted",
        "nothing", 4, UNSET,
        "the converter does not answer, or not at its address",
    ),
    Row(
        r"U120[12]\.sda (high|low)|U1101\.(sda|scl) \w+|R120[12] (open|shorted)", "nothing", 8, UNSET,
        "neither converter answers: set already they go on, and are 13 dB low after their next start",
    ),
    Row(
        r"U1205\.(in|gnd|en|out) open|U1205\.out (high|low)|C12(15|16|21|25|27|30) shorted", "nothing", 8, UNSET,
        "the converters' digital half is dead",
    ),
    Row(r"C12(15|16|18|21|25|27|28|30|31) open", "nothing", 0, (PROBE,), "noise"),
    Row(
        r"U1204\.(mclk|sclk|lrck) (open|high|low)|R120[567] open", "nothing", 8, DEAF,
        "no clock: all converters stand still, none is heard and none plays",
    ),
    Row(r"R120[5678] shorted", "nothing", 0, (PROBE,), "keeps an edge from ringing"),
    Row(
        r"U1203\.(mclk|sclk|lrck|din1|msel|fmt[01]|demp|mute|vcc[12]|agnd[12]|vdd|dgnd|vcom) open|C1218 shorted|"
        r"R1203 (open|shorted)|U1204\.dout1 (open|high|low)|R1208 open",
        "nothing", 8, NO_NOTICE,
        "no notice is played, or a wrong one, which is not taken for heard",
    ),
    Row(r"U1203\.din[234] open", "nothing", 0, (), "not used: two wires of its TDM have no channel of ours"),
    Row(r"U1203\.out\d high", "TX high", 1, NO_NOTICE, "C112 keeps it from the driver"),
    Row(r"U1203\.out\d (open|low)", "TX low", 1, NO_NOTICE, "C112 keeps it from the driver"),
    Row(
        r"F1201 open|C1223 shorted|J1202\.(vbus|dm|dp|gnd) open|J1202 \w+-\w+ shorted|U1501\.d[pm]1 (open|high|low)|"
        r"U1204\.gnd open",
        "nothing", 8, ("codec_absent",),
        "the module has no supply or no USB; a short of its 5 V opens F1201",
    ),
    Row(r"F1201 shorted|C1223 open|J1202\.shield open", "nothing", 0, (PROBE,), "a limit or a filter is lost"),
    # --- USB
    Row(
        r"J1501\.(dp|dm|gnd|vbus) open|J1501 (dp|dm)-\w+ shorted|J1501 (gnd|shield)-vbus shorted|D1501 .* shorted|"
        r"R1503 open|R1504 shorted|U1502\.(in|gnd|en|out) open|U1502\.out (high|low)|"
        r"C15(01|06|07|08|11|12|13|14|15|16) shorted|U1501\.up_d[pm] (open|high|low)|"
        r"U1501\.(vdd[a-e]?|vss|crfilt|pllfilt|rbias|xin|xout|reset|vbus) open|U1501\.xout (high|low)|"
        r"R1505 (open|shorted)|L1501 open|U1503\.out low|C150[345] shorted|"
        r"Y1501\.[ab] open|Y1501 .* shorted|C15(09|10) shorted|R1503 shorted",
        "no coil current", 8, CARD_GONE,
        "the hub is gone, and with it codec and meter; ARM then has no edges",
    ),
    Row(
        r"J1501\.(shield|cc[12]) open|J1501 (gnd|shield|vbus|cc1)-cc[12] shorted|R150[12] (open|shorted)",
        "nothing", 0, (PROBE,),
        "which way round a plug is, of which a cable with a plug of type A asks nothing",
    ),
    Row(r"D1501\.\w+ open", "nothing", 0, (PROBE,), "a protection is lost"),
    Row(
        r"R1504 open|R1506 (open|shorted)|C150[3459] open|C1510 open|C15(01|06|07|08|11|12|13|14|15|16) open|"
        r"Y1501\.gnd open|L1501 shorted|U1503\.(out (open|high)|vcc open|gnd open)",
        "nothing", 0, (PROBE,),
        "starts later or noisier, or not at all: then it is as the hub gone (meter_absent)",
    ),
    Row(
        r"U1501\.(d[pm][34]|test|ocs\d) open|U1501\.(nonrem[01]|cfg[01]) (open|high|low)|"
        r"R15(07|08|09|10|11|12) (open|shorted)",
        "nothing", 0, (*CARD_GONE, PROBE),
        "a strap: a port more or one that counts as removable; where it starts no hub, both are gone",
    ),
    # --- header, call log, identity, clock
    Row(
        r"J1301 3V3-GPIO2 shorted|J1301 GPIO[23]-(5V|5VB|GNDA|GPIO[34]) shorted|C130[567] shorted",
        "no coil current", 8, (OFFLINE, "LED run"),
        "the Pi's own 3.3 V or a pin of it is lost; where only the clock's bus is, call_undated after a power cut",
    ),
    Row(
        r"U1301\.\w+ (open|high|low)|C130[1-4] (open|shorted)|C1305 open|J1304\.\w+ open|J1304 .* shorted|"
        r"J1301\.GPIO[45] open|J1301 (GPIO4-GND[AB]|GPIO5-(GPIO6|ID_SC|GNDF)|ID_SD-GPIO5) shorted",
        "nothing", 0, ("smdr_unmatched",),
        "the exchange's call log is not read; no call depends on it",
    ),
    Row(
        r"U1302\.\w+ (open|high|low)|R130[123] (open|shorted)|C1306 open|J1306\.[ab] open|J1306 a-b shorted|"
        r"J1301\.ID_S[DC] open|J1301 (GNDE-ID_SD|ID_SD-ID_SC|ID_SC-GNDF|ID_SD-GPIO7|GPIO7-ID_SC) shorted",
        "nothing", 0, (),
        "read at a start alone, and config.txt names the overlay too; left open for writing it stays readable",
    ),
    Row(
        r"U1303\.\w+ (open|high|low)|C1307 open|C1308 (open|shorted)|J1301\.GPIO[23] open",
        "nothing", 0, ("clock_unsynced", "call_undated"),
        "the clock is missed after a power cut where no time server is reached",
    ),
    # --- panel
    Row(r"R1401 (open|shorted)|D1401 (open|shorted)", "nothing", 0, ("LED power",), "the lamp alone"),
    Row(
        r"(R1402|D1402|R1405) (open|shorted)|Q1401\.\w open|Q1401 .* shorted|J1301\.GPIO6 open|"
        r"J1301 GPIO6-GNDF shorted",
        "nothing", 0, ("LED run",),
        "the lamp alone; each is lit while the button is pressed",
    ),
    Row(
        r"(R1403|D1403|R1406) (open|shorted)|Q1402\.\w open|Q1402 .* shorted|J1301\.GPIO7 open|"
        r"J1301 (GNDE-GPIO7|GPIO8-GPIO7) shorted",
        "nothing", 0, ("LED call",),
        "the same",
    ),
    Row(
        r"(R1404|D1404|R1407) (open|shorted)|Q1403\.\w open|Q1403 .* shorted|J1301\.GPIO8 open|"
        r"J1301 GNDE-GPIO8 shorted",
        "nothing", 0, ("LED fault",),
        "the same; the desk has the alert whatever the lamp does",
    ),
    Row(
        r"J1401\.[ab] open|J1401 a-b shorted|R140[89] (open|shorted)|J1301\.GPIO27 open|"
        r"J1301 (GPIO17-GPIO27|GPIO27-GPIO18|GPIO27-GNDC) shorted",
        "nothing", 0, ("LED run",),
        "no lamp test at a press, or one that ends after 3 s; nothing is done before a release",
    ),
    # --- plugs of the lines
    Row(r"J1302\.[TR]\d open", "nothing", 1, ("line_cut", "battery_low"), "one wire of a line is not there"),
    Row(
        r"J1303\.[TR]\d open", "nothing", 1, (),
        "the telephone is dead, and its user says so: the card sees a line at rest",
    ),
    Row(
        r"J1302 T\d-R\d shorted", "pair shorted", 1, ("line_cut",),
        "the line's own wiring, shorted as a nail in its cable would",
    ),
    Row(r"J1303 T\d-R\d shorted", "telephone shorted", 1, ("line_cut",), "the same behind the contact"),
    Row(
        r"J130[23] ([TR])\d-\1\d shorted", "joined to a neighbour", 2, ("battery_24v", "battery_low", "stuck_off_hook"),
        "two lines' wires meet: of one polarity it is crosstalk, of two it holds both",
    ),
)
# fmt: on
KINDS = {
    "LED": "a lamp",
    "row": "the production test",
    "pad": "a bench's steps",
    "part": "a bench's steps",
    PROBE: "the factory's probe",
}
# Copper of the board, at which nothing can open or join: a contact to it equals a shorted capacitor there.
PADS = r"TP\d+"


def told_by(told: tuple[str, ...]) -> str:
    """The first detection that needs no test, in words: one in service before one at the factory."""
    if any(word in ALERTS for word in told):
        return "an alert"
    if OFFLINE in told:
        return "the unit's silence"
    kinds = {word.partition(" ")[0] for word in told}
    return next((words for kind, words in KINDS.items() if kind in kinds), "nobody, with a reason")


def rows_of(fault: str) -> list[Row]:
    return [row for row in ROWS if re.fullmatch(row.faults, fault)]
