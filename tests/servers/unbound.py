"""A private Unbound: a resolver with a cache, so that what spreads takes its real time."""

import subprocess
from collections.abc import Sequence

from tests.servers.names import AuthoritativeServer, NameServer
from tests.servers.process import StartFailed, program


class Unbound(NameServer):
    """An Unbound that knows only the zones it was told of: `serve` one to it, then ask it."""

    name = "unbound"

    def start(self) -> None:
        daemon = program("unbound", "unbound")
        (self.directory / "conf").write_text(self._configuration())
        self.launch([daemon, "-d", "-c", self.directory / "conf"], self._ready)

    def serve(self, zone: str, servers: Sequence[AuthoritativeServer]) -> None:
        """Finds the zone at these servers, all of their addresses, on their port."""
        addresses = [
            f"{address}@{server.port}" for server in servers for address in server.addresses
        ]
        self._control("stub_add", zone, *addresses)

    def forget(self, zone: str) -> None:
        """Empties the cache of the zone and what is below it."""
        self._control("flush_zone", zone)

    def _ready(self) -> bool:
        return (self.directory / "control").exists() and self.answers()

    def _control(self, *words: str) -> None:
        done = subprocess.run(
            [program("unbound-control", "unbound"), "-c", self.directory / "conf", *words],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise StartFailed(f"unbound refused {words[0]}: {done.stdout}{done.stderr}")

    def _configuration(self) -> str:
        listen = "".join(f"    interface: {address}@{self.port}\n" for address in self.addresses)
        return f"""
server:
{listen}    username: ""
    chroot: ""
    directory: "{self.directory}"
    pidfile: "{self.directory}/pid"
    use-syslog: no
    logfile: ""
    num-threads: 1
    do-ip6: no
    do-daemonize: no
    module-config: "iterator"
    do-not-query-localhost: no
    local-zone: "test." nodefault
    cache-min-ttl: 0
    infra-host-ttl: 1
    access-control: 127.0.0.0/8 allow
remote-control:
    control-enable: yes
    control-interface: "{self.directory}/control"
    control-use-cert: no
"""
