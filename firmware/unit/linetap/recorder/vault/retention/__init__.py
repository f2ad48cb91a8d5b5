# SPDX-License-Identifier: Apache-2.0
"""The retention and end of calls: retention time, epochs, holds, amendments, expiry and destruction."""
