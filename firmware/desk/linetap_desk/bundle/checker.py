# SPDX-License-Identifier: Apache-2.0
"""The published checker (docs/check-bundle.sh): which one a report names. It is in no bundle, and comes from elsewhere.

Whoever forges a bundle would write its checker too, and its report: so the hash is compared with the one that is
published, and `linetap verify` refuses a report that names another than these.
"""

from __future__ import annotations

NAME = "check-bundle.sh"
VERSION = 4
# By version; docs/check-bundle.sh.sha256 has that of the newest, and a test holds the three together.
SHA256 = {
    1: "4805366ec73c5090e9031c0db69eb2ea428f1e4d70620a76b218ec0760cda531",
    2: "fc4c610fdc181fb0c066395703c45b81307a9f5a9d713f578639246f181a836e",
    3: "9fae7c70890aafa2cb7aa9587b98298210566ead9d996b9d7a4e8bf040ecf32e",
    4: "d97ee3721f69a967588f165c0c727f0e18ebf6c7a5a6e3a0de582a44789b1409",
}
