# SPDX-License-Identifier: Apache-2.0
"""The report on the protection of staff, monthly and yearly, by department; and the calls that units ended. See
docs/desk-protection.md."""
