#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lock file of an image's Debian packages: chosen once, kept as a list with hashes, and fetched by it again.

`packagelock.py choose` asks apt what the archive has today, and writes a line for each package:

    root adduser 3.152 all 5f2c... debian pool/main/a/adduser/adduser_3.152_all.deb

for what it goes into (the image's root, or the kit that builds it), its name, version, architecture and SHA-256, its
archive, and its path there. `packagelock.py fetch` brings exactly these and lays out an archive of them,
`INTO/root` and `INTO/kit`, of which mmdebstrap installs. So a build with a kept list takes the same way as the build
that made it, whatever the archive has by then. `packagelock.py add` appends packages that a builder gives from a folder
(LINETAP_KERNEL): who builds by that list must give the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

PARTS = ("root", "kit")
GIVEN = "folder"  # in place of an archive: supplied by the builder
ARCHITECTURE = "arm64"
SUITE = "trixie"
NEXT = "forky"  # only for firmware that is requested from it: of trixie's own, a Pi 4's does not start from a GPT
LIMIT_S = 60
BLOCK = 1 << 20
_URI = re.compile(r"'([^']+\.deb)' ")
_PATH = re.compile(r"pool/[A-Za-z0-9+.~_/-]+\.deb")


class Unusable(Exception):
    """An error; its text is the one line to print."""


@dataclass(frozen=True, order=True, slots=True)
class Locked:
    part: str
    name: str
    version: str
    architecture: str
    sha256: str
    archive: str  # "debian", "debian-security"
    path: str

    @property
    def given(self) -> bool:
        """Whether the package is from a folder: the build installs it itself."""
        return self.archive == GIVEN

    def line(self) -> str:
        words = (self.part, self.name, self.version, self.architecture, self.sha256, self.archive, self.path)
        return " ".join(words)


def read(lock: Path) -> list[Locked]:
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError as error:
        raise Unusable(f"{lock}: {error.strerror}") from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        words = line.split(" ")
        if len(words) != 7 or words[0] not in PARTS or not re.fullmatch("[0-9a-f]{64}", words[4]):
            raise Unusable(f"{lock}, line {number}: not `root|kit NAME VERSION ARCHITECTURE SHA256 ARCHIVE PATH`")
        package = Locked(*words)
        if package.archive not in ("debian", "debian-security", GIVEN) or not _PATH.fullmatch(package.path):
            raise Unusable(f"{lock}, line {number}: no package of Debian's archive: {package.archive} {package.path}")
        found.append(package)
    if {each.part for each in found} != set(PARTS):
        raise Unusable(f"{lock}: it lists no packages for {' and '.join(PARTS)}")
    return sorted(found)


def archives(mirror: str) -> dict[str, str]:
    """Debian's archive and its security archive; on a snapshot server both have the same date."""
    taken = re.fullmatch(r"(.*/archive)/debian/(\d{8}T\d{6}Z)", mirror)
    security = f"{taken[1]}/debian-security/{taken[2]}" if taken else f"{mirror}-security"
    return {"debian": mirror, "debian-security": security}


def choose(work: Path, mirror: str, keyring: Path, wanted: dict[str, list[str]]) -> list[Locked]:
    """The packages that apt would install today on an empty machine: `wanted`, their dependencies, and for the root all
    essential ones.
    """
    at = archives(mirror)
    dated = f"[signed-by={keyring} check-valid-until=no]"  # a snapshot, and a mirror that is a week behind
    signed = dated if "/archive/" in mirror else f"[signed-by={keyring}]"
    sources = [f"deb {signed} {at['debian']} {suite} main non-free-firmware" for suite in _suites()]
    sources.append(f"deb {dated} {at['debian']} {NEXT} non-free-firmware")
    sources.append(f"deb {signed} {at['debian-security']} {SUITE}-security main")
    for folder in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "sources.list").write_text("\n".join(sources) + "\n")
    (work / "etc/preferences.d/next").write_text(f"Package: *\nPin: release n={NEXT}\nPin-Priority: -1\n")
    (work / "status").write_text("")
    (work / "apt.conf").write_text(
        f'Dir::State "{work}/state";\nDir::State::status "{work}/status";\nDir::Cache "{work}/cache";\n'
        f'Dir::Etc "{work}/etc";\nDir::Etc::sourcelist "{work}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        f'APT::Architecture "{ARCHITECTURE}";\nAPT::Architectures "{ARCHITECTURE}";\nAPT::Install-Recommends "false";\n'
        'pkgCacheGen::ForceEssential ",";\nAcquire::Retries "3";\nAPT::Sandbox::User "root";\n'
        'Acquire::Languages "none";\n#clear DPkg::Pre-Install-Pkgs;\n'
    )
    _apt(work, "update")
    essential = f"?narrow(?codename(^{SUITE}$),?architecture({ARCHITECTURE}),?essential)"
    index = _index(work)
    found = set()
    for part, names in wanted.items():
        more = [essential] if part == "root" else []
        for line in _apt(work, "--yes", "--print-uris", "install", *more, *names).splitlines():
            if (matched := _URI.match(line)) is not None:
                archive, path = _place(unquote(matched[1]), at)
                if path not in index:
                    raise Unusable(f"{path}: the archive's index does not have it")
                found.add(Locked(part, *index[path], archive, path))
    return sorted(found)


def _suites() -> tuple[str, ...]:
    return SUITE, f"{SUITE}-updates", f"{SUITE}-backports"


def _apt(work: Path, *words: str) -> str:
    environment = {**os.environ, "APT_CONFIG": str(work / "apt.conf")}
    done = subprocess.run(
        ["apt-get", "--quiet=2", *words], capture_output=True, text=True, env=environment, timeout=900, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E: ")] or ["it said nothing"]
        raise Unusable(f"apt-get: {lines[0].removeprefix('E: ')}")
    return done.stdout


def _place(url: str, at: dict[str, str]) -> tuple[str, str]:
    for archive in sorted(at, key=lambda name: -len(at[name])):
        if url.startswith(f"{at[archive]}/"):
            return archive, url.removeprefix(f"{at[archive]}/")
    raise Unusable(f"{url} is in none of the archives")


def _index(work: Path) -> dict[str, tuple[str, str, str, str]]:
    """Name, version, architecture and SHA-256 of every path, from the indexes fetched and verified by apt."""
    said = ""
    for file in sorted((work / "state/lists").glob("*_Packages*")):
        words = ["/usr/lib/apt/apt-helper", "cat-file", str(file)]
        said += subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout + "\n\n"
    found = {}
    for paragraph in said.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if "Filename" in fields:
            found[fields["Filename"]] = tuple(fields[key] for key in ("Package", "Version", "Architecture", "SHA256"))
    return found  # type: ignore[return-value]


def fetch(packages: list[Locked], mirror: str, keep: Path) -> None:
    """Fetches the packages into `keep`, under their hashes; valid files are not fetched again, and files outside the
    list are removed.
    """
    at = archives(mirror)
    keep.mkdir(parents=True, exist_ok=True)
    for left in {*keep.glob("*.deb"), *keep.glob("*.part")} - {kept(keep, each) for each in packages}:
        left.unlink()
    for each in packages:
        file = kept(keep, each)
        if each.given or (file.exists() and _digest(file) == each.sha256):
            continue
        url = f"{at[each.archive]}/{quote(each.path)}"
        part = file.with_suffix(".part")
        try:
            with urllib.request.urlopen(url, timeout=LIMIT_S) as answer, part.open("wb") as out:
                while block := answer.read(BLOCK):
                    out.write(block)
        except (urllib.error.URLError, OSError) as error:
            why = f"{error.code} {error.reason}" if isinstance(error, urllib.error.HTTPError) else str(error)
            raise Unusable(
                f"{each.name} {each.version} cannot be had at {url} ({why}): LINETAP_MIRROR names an archive that "
                "keeps it, as http://snapshot.debian.org/archive/debian/20260801T000000Z does"
            ) from None
        if (got := _digest(part)) != each.sha256:
            part.unlink()
            raise Unusable(f"{url} is not the file of the list: its SHA-256 is {got}, not {each.sha256}")
        part.rename(file)


def add(lock: Path, keep: Path, part: str, files: list[Path]) -> None:
    """Adds packages of a folder, which the build itself installs. A list that already has them must match the given
    files.
    """
    known = {(each.part, each.name): each for each in read(lock)}
    keep.mkdir(parents=True, exist_ok=True)
    for file in files:
        words = ["dpkg-deb", "--show", "--showformat", "${Package} ${Version} ${Architecture}", str(file)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise Unusable(f"{file} is no package of Debian's form")
        name, version, architecture = done.stdout.split()
        # Not the file's own name: one fetched by apt has the version's epoch in it (NAME_1%3a6.12-1_arm64.deb).
        pool = f"pool/{name}_{version.rpartition(':')[2]}_{architecture}.deb"
        package = Locked(part, name, version, architecture, _digest(file), GIVEN, pool)
        before = known.get((part, package.name))
        if before is None:
            with lock.open("a", encoding="utf-8") as out:
                out.write(f"{package.line()}\n")
        elif before.sha256 != package.sha256:
            raise Unusable(f"{file} is not the {package.name} of the list: its SHA-256 is {package.sha256}")
        shutil.copyfile(file, kept(keep, package))


def kept(keep: Path, package: Locked) -> Path:
    return keep / f"{package.sha256}.deb"


def control_of(deb: Path) -> str:
    words = ["dpkg-deb", "--field", str(deb)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def lay(packages: list[Locked], keep: Path, into: Path) -> None:
    """Writes an archive in Debian's form for each part, with only its packages."""
    for part in PARTS:
        root = into / part
        folder = root / f"dists/{SUITE}/main/binary-{ARCHITECTURE}"
        folder.mkdir(parents=True)
        (root / "pool").mkdir()
        index = []
        for each in packages:
            if each.part == part and not each.given:
                file = kept(keep, each)
                name = f"pool/{Path(each.path).name}"
                (root / name).hardlink_to(file)
                control = control_of(file)
                index.append(
                    f"{control.rstrip()}\nFilename: {name}\nSize: {file.stat().st_size}\nSHA256: {each.sha256}\n"
                )
        text = "\n".join(index).encode()
        (folder / "Packages").write_bytes(text)
        digest = hashlib.sha256(text).hexdigest()
        (root / f"dists/{SUITE}/Release").write_text(
            f"Origin: Debian\nLabel: Debian\nSuite: {SUITE}\nCodename: {SUITE}\nArchitectures: {ARCHITECTURE}\n"
            f"Components: main\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n"
            f" {digest} {len(text)} main/binary-{ARCHITECTURE}/Packages\n"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("choose", "fetch"):
        command = commands.add_parser(name)
        command.add_argument("--lock", type=Path, required=True, help="the list")
        command.add_argument("--mirror", required=True, help="Debian's archive, or a snapshot of it")
    commands.choices["choose"].add_argument("--work", type=Path, required=True, help="an empty folder for apt")
    commands.choices["choose"].add_argument("--keyring", type=Path, required=True)
    for part in PARTS:
        commands.choices["choose"].add_argument(f"--{part}", required=True, help="packages, with commas between")
    commands.choices["fetch"].add_argument("--keep", type=Path, required=True, help="where fetched packages stay")
    commands.choices["fetch"].add_argument("--into", type=Path, required=True, help="where the archive is laid out")
    command = commands.add_parser("add")
    command.add_argument("--lock", type=Path, required=True, help="the list")
    command.add_argument("--keep", type=Path, required=True, help="where fetched packages stay")
    command.add_argument("--part", choices=PARTS, required=True)
    command.add_argument("files", type=Path, nargs="+")
    args = parser.parse_args()
    try:
        if args.command == "add":
            add(args.lock, args.keep, args.part, args.files)
            return 0
        mirror = args.mirror.rstrip("/")
        if args.command == "choose":
            wanted = {part: getattr(args, part).split(",") for part in PARTS}
            packages = choose(args.work.resolve(), mirror, args.keyring, wanted)
            args.lock.write_text("".join(f"{each.line()}\n" for each in packages))
        else:
            packages = read(args.lock)
            fetch(packages, mirror, args.keep)
            lay(packages, args.keep, args.into)
    except Unusable as why:
        print(f"packages: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
