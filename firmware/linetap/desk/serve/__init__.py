# SPDX-License-Identifier: Apache-2.0
"""`linetap desk serve`: the desk in a browser."""
