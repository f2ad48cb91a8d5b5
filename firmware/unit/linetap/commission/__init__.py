# SPDX-License-Identifier: Apache-2.0
"""Commissioning of a unit: configuration, signing key, learning of lines and tones, walk test, commands in files."""
