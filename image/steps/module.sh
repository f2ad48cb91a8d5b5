# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The one module that the kernel has not: tryboot/. Built by the kit against the headers of the kernel that was installed.

lay_module() {
  local version into
  version=$(kernel)
  into=$ROOT/usr/lib/modules/$version/updates
  say "the module that tells a Pi's firmware"
  [ -d "$KIT/usr/lib/modules/$version" ] || fail "the kit has no headers of kernel $version"
  mkdir -p "$KIT/tryboot" "$KIT/tools" "$into"
  cp image/tryboot/* "$KIT/tryboot/"
  # What Kbuild calls besides compiler and make: busybox has it all. A shell has to be where it always is.
  chroot "$KIT" /usr/bin/busybox sh -c "busybox --install -s /tools && ln -sf busybox /usr/bin/sh &&
    PATH=/usr/bin:/tools make -s -C /usr/lib/modules/$version/build M=/tryboot modules &&
    strip --strip-debug /tryboot/linetap_tryboot.ko" >"$WORK/module.log" 2>&1 ||
    { tail -n 15 "$WORK/module.log" >&2; fail "linetap_tryboot could not be built"; }
  install -m 644 "$KIT/tryboot/linetap_tryboot.ko" "$into/"
}
