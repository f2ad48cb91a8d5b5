#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the kernel calls for a module that it asks for by name; those that are not there are listed.
/usr/sbin/modprobe "$@" && exit 0
echo "$*" >>/run/hil/unanswered
exit 1
