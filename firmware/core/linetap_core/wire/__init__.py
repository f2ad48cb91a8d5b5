# SPDX-License-Identifier: Apache-2.0
"""The vocabulary between unit and desk: topics and payloads, alerts, the legend of the LEDs, a PBX's columns. Pure."""
