# SPDX-License-Identifier: Apache-2.0
"""`linetap desk doctor`: what is wrong with a desk's server, one line each with its cure."""
