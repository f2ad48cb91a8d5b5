# SPDX-License-Identifier: Apache-2.0
"""What unit and desk say to one another: topics and payloads, and the legend of the LEDs. Pure."""
