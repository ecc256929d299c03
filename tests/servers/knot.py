"""A private Knot DNS 3.2."""

from tests.servers.names import MAIL_KINDS, AuthoritativeServer
from tests.servers.process import program


class Knot(AuthoritativeServer):
    """A Knot. What is updated lies in the zone file at once."""

    name = "knot"

    def __init__(self, *, addresses: int = 1, port: int = 0) -> None:
        super().__init__(addresses=addresses, port=port)
        self._remotes: list[str] = []

    def start(self) -> None:
        daemon = program("knotd", "knot")
        (self.directory / "run").mkdir(exist_ok=True)
        self.write(self.configuration(), self.directory / "conf")
        self.launch([daemon, "-c", self.directory / "conf"], self.answers)

    def configuration(self) -> str:
        remotes = "".join(dict.fromkeys(self._remotes))
        listen = ", ".join(f"{address}@{self.port}" for address in self.addresses)
        return f"""
server:
    rundir: "{self.directory}/run"
    listen: [ {listen} ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{self.directory}/run"
key:
  - id: {self.key.name}
    algorithm: {self.key.algorithm}
    secret: "{self.key.secret}"
remote:
{remotes}acl:
  - id: signed
    key: {self.key.name}
    action: update
  - id: narrow
    key: {self.key.name}
    action: update
    update-type: [ {", ".join(MAIL_KINDS)} ]
  - id: anybody
    action: transfer
template:
  - id: default
    storage: "{self.directory}"
    acl: [ signed, anybody ]
    zonefile-sync: 0
    zonefile-load: whole
    journal-content: none
    refresh-min-interval: 2
    retry-min-interval: 1
zone:
{"".join(self.zones.values())}"""

    def primary_block(self, name: str, *, signed: bool, narrow: bool) -> str:
        return (
            f'  - domain: {name}\n    file: "{self.zone_file(name)}"\n'
            f"    dnssec-signing: {'on' if signed else 'off'}\n"
            f"    acl: [ {'narrow' if narrow else 'signed'}, anybody ]\n"
        )

    def secondary_block(self, name: str, primary: AuthoritativeServer) -> str:
        self._remotes.append(_remote(primary))
        return (
            f'  - domain: {name}\n    file: "{self.zone_file(name)}"\n'
            f"    master: of-{primary.token}\n"
        )


def _remote(server: AuthoritativeServer) -> str:
    return f"  - id: of-{server.token}\n    address: {server.address}@{server.port}\n"
