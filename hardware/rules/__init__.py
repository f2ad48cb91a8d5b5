# SPDX-License-Identifier: Apache-2.0
"""What the card's netlist must mean, whoever draws it: each rule is a question to the parts and nets, never a copy of
them. table.py names the rules, card.py is the card that they are asked of, mutations.py asks what they would miss.
"""
