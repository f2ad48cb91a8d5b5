# SPDX-License-Identifier: Apache-2.0
"""The coverage of the office's telephones: compares the register of extensions, imported from the PBX's list, with
lines, calls and the PBX's own records. See docs/coverage.md."""
