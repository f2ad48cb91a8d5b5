# SPDX-License-Identifier: Apache-2.0
"""The container of firmware/debian/container in podman: built on a bare Debian 13, set up by the commands of the page,
then replaced by another container with the same volumes. `./build.sh deb --try`.

ENTER mounts control groups of version 2 alone, as podman and crun require. On a machine whose controllers are in
version 1, version 2 has none: therefore processes are not limited.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bare
import pytest
import yaml
from guest import until
from installed import OF_THE_GUEST

pytestmark = [pytest.mark.deb, pytest.mark.timeout(1800)]

CONTAINER = bare.ROOT / "firmware/debian/container"
ENTER = 'mount --make-rprivate / && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
LIMITS = ("--ulimit", "nproc=4096:4096", "--ulimit", "nofile=1024:4096")  # within the host's own limits
SERVICES = ("mosquitto", "linetap-ingest", "linetap-serve")


class Podman:
    """Podman with images, containers and volumes in a folder of their own, which is removed at the end."""

    def __init__(self, folder: Path) -> None:
        self._words = ["unshare", "--mount", "--cgroup", "--fork", "bash", "-c", ENTER, "_", "podman"]
        for name in ("root", "runroot", "tmpdir"):
            self._words += [f"--{name}", str(folder / name)]
        self._words += ["--cgroup-manager", "cgroupfs", "--storage-driver", "overlay"]
        self._folder = folder

    def run(self, *words: str, check: bool = True, stdin: int = subprocess.DEVNULL) -> str:
        done = subprocess.run(
            [*self._words, *words], stdin=stdin, capture_output=True, text=True, timeout=1500, check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(self._folder)},
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def take(self, root: Path) -> None:
        """Imports a folder as an image."""
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as packed:
            assert packed.stdout is not None
            self.run("import", "-", "localhost/debian13", stdin=packed.stdout.fileno())

    def start(self, name: str) -> None:
        """Starts the container by compose.yaml, without a network."""
        desk = yaml.safe_load((CONTAINER / "compose.yaml").read_text())["services"]["desk"]
        words = [f"--cap-add={each}" for each in desk["cap_add"]] + [f"--volume={each}" for each in desk["volumes"]]
        words += [f"--tmpfs={each}" for each in desk["tmpfs"]] + [f"--hostname={desk['hostname']}"]
        self.run("run", "--detach", f"--name={name}", "--network=none", "--pids-limit=0", *words, "localhost/desk")
        ready = ("exec", name, "systemctl", "is-system-running")
        until(lambda: self.run(*ready, check=False).strip() in ("running", "degraded"), "systemd is up")

    def end(self, name: str) -> None:
        self.run("stop", "--time=60", name)
        self.run("rm", "--force", name)


@pytest.fixture
def podman() -> Iterator[Podman]:
    if why := bare.cannot() or (None if shutil.which("podman") else "podman is not installed"):
        pytest.fail(why)  # requested by name: no skip
    folder = Path(tempfile.mkdtemp(prefix="linetap-podman-", dir="/dev/shm"))
    try:
        yield Podman(folder)
    finally:
        shutil.rmtree(folder)


def wrong(podman: Podman, name: str) -> list[str]:
    said = podman.run("exec", name, "linetap", "desk", "doctor", "--quiet", check=False)
    lines = [line.removeprefix("WRONG ") for line in said.splitlines()]
    return [line for line in lines if line.partition(":")[0] not in OF_THE_GUEST]


def test_a_container_is_a_desk_and_another_goes_on_with_its_volumes(podman: Podman) -> None:
    podman.take(bare.base())
    words = ["--isolation=chroot", "--network=host", "--build-arg=BASE=localhost/debian13", "--tag=localhost/desk"]
    podman.run("build", *words, *LIMITS, f"--file={CONTAINER / 'Containerfile'}", str(bare.PACKAGES))
    image = json.loads(podman.run("image", "inspect", "localhost/desk"))[0]
    assert set(image["Config"]["ExposedPorts"]) == {"8443/tcp", "8883/tcp"}
    podman.start("first")
    said = podman.run("exec", "first", "linetap", "desk", "setup", "--name", "desk.city.example", "--admin", "kim")
    assert "https://desk.city.example:8443/first#kim/" in said
    assert wrong(podman, "first") == []
    podman.end("first")
    podman.start("second")
    active = ("exec", "second", "systemctl", "is-active", *SERVICES)
    until(lambda: podman.run(*active, check=False).split() == ["active"] * 3, "the services of the first one")
    assert "kim: has an account" in podman.run("exec", "second", "linetap", "desk", "setup", "--admin", "kim")
    assert wrong(podman, "second") == []
    podman.end("second")
