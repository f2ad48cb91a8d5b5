# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Our kernel modules: modules/. Built in the kit against the headers of the installed kernel.

lay_module() {
  local version into
  version=$(kernel)
  into=$ROOT/usr/lib/modules/$version/updates
  say "modules: tryboot, what throttles a Pi, the clock chip, the key in a Pi's fuses"
  [ -d "$KIT/usr/lib/modules/$version" ] || fail "the kit has no headers of kernel $version"
  mkdir -p "$KIT/linetap" "$KIT/tools" "$into"
  cp image/modules/* "$KIT/linetap/"
  # Programs called by Kbuild besides compiler and make: busybox has them all. The shell needs its usual path.
  chroot "$KIT" /usr/bin/busybox sh -c "busybox --install -s /tools && ln -sf busybox /usr/bin/sh &&
    PATH=/usr/bin:/tools make -s -C /usr/lib/modules/$version/build M=/linetap modules &&
    strip --strip-debug /linetap/*.ko" >"$WORK/module.log" 2>&1 ||
    { tail -n 15 "$WORK/module.log" >&2; fail "a module could not be built"; }
  # Only the initramfs contains it (boot.sh): no running system loads it, and none may.
  mv "$KIT/linetap/linetap_otp.ko" "$WORK/"
  install -m 644 -t "$into" "$KIT"/linetap/*.ko
}
