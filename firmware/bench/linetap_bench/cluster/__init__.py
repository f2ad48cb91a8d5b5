# SPDX-License-Identifier: Apache-2.0
"""A cluster of brokers on one machine: RabbitMQ nodes in networks of their own, and one address in front of them."""
