# SPDX-License-Identifier: Apache-2.0
"""The simulated exchange: it plays a script on lines of audio, levels and voltages, in real time or into files."""
