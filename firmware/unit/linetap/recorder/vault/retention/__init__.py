# SPDX-License-Identifier: Apache-2.0
"""How long a call is kept and how it ends: retention time, epochs, holds, amendments, expiry and destruction."""
