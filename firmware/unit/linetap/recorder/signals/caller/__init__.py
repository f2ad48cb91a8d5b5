# SPDX-License-Identifier: Apache-2.0
"""Who calls: FSK and DTMF caller ID."""
