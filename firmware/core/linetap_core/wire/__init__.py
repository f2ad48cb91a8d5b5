# SPDX-License-Identifier: Apache-2.0
"""The vocabulary between unit and desk: topics and payloads, alerts, and the legend of the LEDs. Pure."""
