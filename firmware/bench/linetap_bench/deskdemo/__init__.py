# SPDX-License-Identifier: Apache-2.0
"""`./build.sh demo --desk`: a unit, ten more that are simulated, a broker with TLS, and the desk with its pages."""
