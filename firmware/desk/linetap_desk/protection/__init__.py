# SPDX-License-Identifier: Apache-2.0
"""The report on the protection of staff, monthly and yearly, by department; the calls that units ended; and the
evidence file for an accusation, with the draft of a statement. See docs/desk-protection.md."""
