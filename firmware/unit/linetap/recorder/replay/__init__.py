# SPDX-License-Identifier: Apache-2.0
"""The replay: runs the recorder's code on a recording of the lines, with the same records every time."""
