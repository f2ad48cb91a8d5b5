# SPDX-License-Identifier: Apache-2.0
"""Electrical rules for the card's netlist, independent of its tables: each rule tests parts and nets, and copies none.

table.py names the rules, card.py is the tested card, mistakes.py lists mistakes that the rules must find.
"""
