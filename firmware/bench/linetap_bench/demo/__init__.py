# SPDX-License-Identifier: Apache-2.0
"""`./build.sh demo`: a minute of real calls, shown live, then opened; `--desk`: a desk and ten more units."""
