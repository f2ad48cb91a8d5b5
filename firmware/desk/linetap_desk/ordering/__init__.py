# SPDX-License-Identifier: Apache-2.0
"""`linetap command`: signed commands to units, made, cosigned and sent."""
