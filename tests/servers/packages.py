"""The Debian packages that the tests' servers come from.

Dovecot and Cyrus conflict in apt, so that cyrus-imapd is taken apart into a cache directory:
only its `imapd` is needed, everything else lies in cyrus-common.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import SYSTEM_PATH, Unavailable, is_root

INSTALLED = (
    "dovecot-imapd",
    "dovecot-lmtpd",
    "dovecot-sieve",
    "cyrus-common",
    "cyrus-caldav",
    "cyrus-admin",
    "cyrus-clients",
    "sasl2-bin",
    "libsasl2-modules",
    "libsasl2-modules-db",
    "isync",
    "postgresql",
    "knot",
    "knot-dnsutils",
    "bind9",
    "unbound",
)
POLICY = Path("/usr/sbin/policy-rc.d")
UNPACKED = "cyrus-imapd"
CURE = "run `make test` as root on Debian 12 once"


def cyrus_imapd() -> Path:
    """The unpacked imapd. Raises `Unavailable`."""
    found = cache() / "usr/lib/cyrus/bin/imapd"
    if not found.exists():
        raise Unavailable(f"Cyrus' imapd is not unpacked in {cache()}: {CURE}")
    return found


def cache() -> Path:
    """Where cyrus-imapd is unpacked to."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "mailhaul-tests" / UNPACKED


def missing() -> list[str]:
    """The packages that are not installed or unpacked."""
    asked = subprocess.run(
        ["/usr/bin/dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *INSTALLED],
        check=False,
        capture_output=True,
        text=True,
    )
    there = {line.split()[0] for line in asked.stdout.splitlines() if line.endswith(" installed")}
    absent = [package for package in INSTALLED if package not in there]
    return absent if (cache() / "usr").exists() else [*absent, UNPACKED]


def install() -> None:
    """Installs and unpacks what is missing. Raises `Unavailable` where that can't be done."""
    absent = missing()
    if not absent:
        return
    wanted = " ".join(absent)
    if not Path("/usr/bin/apt-get").exists():
        raise Unavailable(f"{wanted} missing, and this is no Debian: those tests are left out")
    if not is_root():
        raise Unavailable(f"{wanted} missing, and only root can install them: {CURE}")
    _run("apt-get", "-q", "update")
    packages = [package for package in absent if package != UNPACKED]
    if packages:
        with _services_kept_off():
            _run("apt-get", "-q", "-y", "install", "--no-install-recommends", *packages)
    if UNPACKED in absent:
        _unpack()


def _unpack() -> None:
    cache().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache().parent) as scratch:
        _run("apt-get", "-q", "download", UNPACKED, directory=scratch)
        (package,) = Path(scratch).glob("*.deb")
        _run("dpkg", "-x", str(package), str(Path(scratch) / "unpacked"))
        (Path(scratch) / "unpacked").rename(cache())


@contextmanager
def _services_kept_off() -> Iterator[None]:
    """Nobody wants a Dovecot on port 143 or a BIND on 53 for having run tests: Debian asks this
    script first."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _run(*command: str, directory: str | None = None) -> None:
    """Quiet unless it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH}
    result = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=directory,
        env=environment,
    )
    if result.returncode:
        raise Unavailable(f"{' '.join(command)} failed: {result.stderr.strip()[-2000:]}")
