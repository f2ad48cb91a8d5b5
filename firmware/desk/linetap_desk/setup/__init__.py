# SPDX-License-Identifier: Apache-2.0
"""`linetap desk setup`: sets up broker, keys, database, configuration, services and the first account of a desk's
server."""
