# SPDX-License-Identifier: Apache-2.0
"""`linetap command`: makes, cosigns and sends signed commands to units."""
