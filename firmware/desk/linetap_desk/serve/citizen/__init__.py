# SPDX-License-Identifier: Apache-2.0
"""Citizens' requests for access to their own call (Personal Information Protection Act, art. 35): the register with its
ten days, the decision, the printed notices, the appointment and the end. docs/desk-citizen.md."""
