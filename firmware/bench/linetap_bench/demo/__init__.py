# SPDX-License-Identifier: Apache-2.0
"""`./build.sh demo`: a minute of real calls, watched and opened; `--desk`: a desk with its pages and ten more units."""
