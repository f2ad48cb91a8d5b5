# SPDX-License-Identifier: Apache-2.0
"""A cluster of brokers on one machine: RabbitMQ nodes, each in a network namespace, behind one address."""
