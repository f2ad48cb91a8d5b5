# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Builds the root: linetap and modules that Debian lacks, our files, permissions to start programs, and removal of the
# rest.

readonly PYTHON=/usr/bin/python3 BIN=.venv/bin
readonly MODULES=$ROOT/usr/lib/python3/dist-packages

lay_python() {
  local wheels=$WORK/wheels
  say "linetap, and the wheels that Debian has not"
  mkdir -p "$wheels" "$KIT/src"
  rm -rf firmware/{core,unit}/build # of an earlier wheel: removed files would stay in the new one
  "$BIN/pip" --quiet wheel --no-deps --no-build-isolation --wheel-dir "$wheels" ./firmware/core ./firmware/unit
  rm -rf firmware/{core,unit}/build
  "$BIN/pip" --quiet download --no-deps --no-build-isolation --no-binary :all: --require-hashes --dest "$WORK" \
    -r <(grep '^pyalsaaudio==' requirements.lock)
  tar -xf "$WORK"/pyalsaaudio-*.tar.gz -C "$KIT/src" --strip-components=1
  chroot "$KIT" /usr/bin/busybox sh -c 'cd /src && CFLAGS="-O2 -g0" python3 setup.py --quiet bdist_wheel' >"$WORK/wheel.log" 2>&1 ||
    { tail -n 15 "$WORK/wheel.log" >&2; fail "pyalsaaudio could not be built"; }
  cp "$KIT"/src/dist/*.whl "$wheels"
  "$BIN/pip" --quiet download --no-deps --require-hashes --only-binary :all: --python-version 3.13 \
    --platform manylinux2014_aarch64 --dest "$wheels" -r image/pi.lock
  local wheel metadata
  for wheel in "$wheels"/*.whl; do "$BIN/python" -m zipfile -e "$wheel" "$MODULES"; done
  [ -z "$(find "$MODULES" -maxdepth 1 -name '*.data')" ] || fail "a wheel has files for elsewhere: $(ls -d "$MODULES"/*.data)"
  for metadata in "$MODULES"/*.dist-info; do
    [ ! -e "$metadata/RECORD" ] || [ -e "$metadata/INSTALLER" ] || echo linetap-image >"$metadata/INSTALLER"
  done
  install -D -m 755 image/linetap "$ROOT/usr/bin/linetap"
}

# Copies files to the places listed in systemd/README.md.
lay_files() {
  local name
  # A clone has modes by its maker's umask and its own times: only a file's executable bit is kept.
  tar --create --directory image/root --mode=u=rwX,go=rX . |
    tar --extract --directory "$ROOT" --preserve-permissions --no-same-owner --keep-directory-symlink --touch
  find systemd -maxdepth 1 -name '*linetap*' -exec cp -r -t "$ROOT/etc/systemd/system" {} +
  for name in sysusers.d tmpfiles.d sysctl.d; do install -D -m 644 -t "$ROOT/etc/$name" "systemd/$name"/*; done
  for name in journald.conf.d journald@linetap.conf.d system.conf.d; do
    install -D -m 644 -t "$ROOT/etc/systemd/$name" "systemd/$name"/*
  done
  install -D -m 644 -t "$ROOT/etc/udev/rules.d" systemd/udev/*
  install -D -m 644 systemd/chrony/linetap.conf "$ROOT/etc/chrony/chrony.conf"
  install -m 644 image/fstab "$ROOT/etc/fstab"
  install -D -m 644 -t "$ROOT/etc/linetap" hardware/pins.toml
  install -D -m 644 -t "$ROOT/etc/linetap/notices" build/notices/*
  ln -s /state/config/unit.toml "$ROOT/etc/linetap/unit.toml"
  link_kept
  mkdir -p "$ROOT/state" "$ROOT/boot/firmware" "$ROOT/var/lib/linetap"
  printf 'ID=linetap\nVERSION=%s\nCOMMIT=%s\n' "$VERSION" "$COMMIT" >"$ROOT/usr/lib/linetap/release"
  chmod -R go-w,a+rX "$ROOT/etc/systemd" "$ROOT/usr/lib/linetap"
}

# The stored files of /etc are listed in usr/lib/linetap/kept; readers get the checked copies (usr/lib/linetap/state).
link_kept() {
  local path
  (cd image/root/usr/lib/linetap/kept && find . -type f -printf '%P\n') | while read -r path; do
    mkdir -p "$ROOT/etc/$(dirname "$path")"
    ln -s "/run/linetap-etc/$path" "$ROOT/etc/$path"
  done
}

# Debian units that no unit of ours needs: logins, first-start tasks of a writable root, the kernel's debugging
# interfaces.
readonly NOT_HERE=(
  getty@.service serial-getty@.service console-getty.service container-getty@.service ssh.service ssh.socket
  systemd-logind.service systemd-hostnamed.socket systemd-creds.socket ctrl-alt-del.target wpa_supplicant.service
  systemd-hibernate.service systemd-suspend.service systemd-rfkill.socket systemd-pstore.service
  ldconfig.service systemd-update-done.service systemd-journal-catalog-update.service systemd-hwdb-update.service
  systemd-firstboot.service systemd-machine-id-commit.service systemd-sysusers.service systemd-network-generator.service
  systemd-pcrphase.service systemd-pcrphase-sysinit.service systemd-tpm2-setup.service systemd-tpm2-setup-early.service
  systemd-udev-load-credentials.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount
  dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount
  modprobe@drm.service modprobe@fuse.service modprobe@efi_pstore.service e2scrub_all.timer e2scrub_reap.service
  dracut-shutdown.service systemd-networkd-persistent-storage.service systemd-random-seed.service
)

enable_units() {
  local systemctl=(systemctl --quiet "--root=$ROOT")
  # The same numbers in every version: they own the files on the data partition.
  systemd-sysusers "--root=$PWD/$ROOT" 2>"$WORK/sysusers.log" || fail "$(tail -n 3 "$WORK/sysusers.log")"
  "${systemctl[@]}" enable linetap.target linetap-{recorder,reporter,panel}.service linetap-capture@1.service \
    linetap-clock.timer linetap_removal.path linetap_update.path linetap_good.timer linetap_overdue.timer linetap_scrub.timer linetap_eeprom.timer \
    provision-linetap.service linetap_adopt.service linetap_adopted.path data-linetap.service ssh-linetap.service \
    lockdown-linetap.service timeservers-linetap.path timeservers-linetap.service \
    systemd-networkd.service systemd-resolved.service nftables.service chrony.service
  "${systemctl[@]}" mask "${NOT_HERE[@]}"
  "${systemctl[@]}" set-default multi-user.target
}

# Prepares the read-only root: files normally made at every boot are made now, natively on this machine.
strip_root() {
  say "kernel $(kernel)"
  rm -rf "$ROOT"/usr/lib/python3.13/{ensurepip,idlelib,turtledemo,tkinter} "$ROOT"/usr/share/{doc,man,info,locale}/*
  find "$ROOT/usr/lib/python3" "$ROOT/usr/lib/python3.13" -depth -name __pycache__ -exec rm -rf {} +
  "$PYTHON" -m compileall -q -j 2 -s "$ROOT" -p / --invalidation-mode unchecked-hash \
    "$ROOT/usr/lib/python3" "$ROOT/usr/lib/python3.13" >"$WORK/compileall.log" || true # bad examples in packages cause errors
  # No account has a password, and no program raises its caller's rights.
  find "$ROOT/usr" -xdev -type f -perm /6000 -exec chmod ug-s {} +
  sed -i -E 's/^([^:]+):[^:]*:.*/\1:*:19000:0:99999:7:::/' "$ROOT/etc/shadow"
  install -D -m 644 "$ROOT/var/lib/dpkg/status" "$WORK/packages/status"
  rm -rf "${ROOT:?}"/var/* "${ROOT:?}"/boot/initrd* "${ROOT:?}"/boot/System.map* "${ROOT:?}"/boot/config-* "${ROOT:?}"/run/* \
    "${ROOT:?}"/tmp/* "$ROOT"/etc/ssh/ssh_host_* "$ROOT"/etc/{passwd,group,shadow,gshadow,subuid,subgid}- "$ROOT"/etc/.pwd.lock \
    "$ROOT"/etc/apt
  : >"$ROOT/etc/machine-id" # created at the first boot, which systemd must not treat as a first boot
  printf 'linetap\n' >"$ROOT/etc/hostname"
  printf '127.0.0.1 localhost\n::1 localhost\n' >"$ROOT/etc/hosts"
  ln -sf ../run/systemd/resolve/resolv.conf "$ROOT/etc/resolv.conf"
}

readonly KIT_SHIPPED=(raspi-firmware busybox-static) # kit packages with files in the image: contents.py fails for any other

# Copies the text of every licence to Debian's place: of its packages, of our files, and of the one wheel without a
# text.
lay_licences() {
  local documents=$ROOT/usr/share/doc
  say "licences"
  "$PYTHON" image/copyrights.py --lock "$WORK/packages.lock" --keep "$POOL" --files "$WORK/files" \
    "${KIT_SHIPPED[@]/#/--also=}" "$documents" || exit 1
  mkdir -p "$documents/linetap" "$documents/adafruit-lgpio"
  cat image/NOTICE LICENSE >"$documents/linetap/copyright"
  install -m 644 image/adafruit-lgpio.copyright "$documents/adafruit-lgpio/copyright"
}
