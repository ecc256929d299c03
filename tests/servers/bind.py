"""A private BIND 9.18."""

from tests.servers.names import MAIL_KINDS, AuthoritativeServer
from tests.servers.process import HOST, program


class Bind(AuthoritativeServer):
    """A BIND, always on 127.0.0.1: it listens only where an interface says so, and a loopback
    interface names no other address though it takes them all. What is updated lies in its journal
    at once."""

    name = "bind"

    def __init__(self, *, port: int = 0) -> None:
        super().__init__(port=port)
        self.addresses = (HOST,)

    def start(self) -> None:
        daemon = program("named", "bind9")
        self.write(self.configuration(), self.directory / "conf")
        self.launch(
            [daemon, "-g", "-n", "1", "-c", self.directory / "conf"],
            self.answers,
        )

    def configuration(self) -> str:
        listen = " ".join(f"{address};" for address in self.addresses)
        return f"""
options {{
    directory "{self.directory}";
    listen-on port {self.port} {{ {listen} }};
    listen-on-v6 {{ none; }};
    pid-file "{self.directory}/named.pid";
    session-keyfile "{self.directory}/session.key";
    recursion no;
    dnssec-validation no;
    empty-zones-enable no;
    minimal-responses yes;
    allow-query {{ any; }};
    allow-transfer {{ any; }};
    notify no;
    min-refresh-time 1;
    max-refresh-time 2;
    min-retry-time 1;
}};
controls {{ }};
key "{self.key.name}" {{ algorithm {self.key.algorithm}; secret "{self.key.secret}"; }};
{"".join(self.zones.values())}"""

    def primary_block(self, name: str, *, signed: bool, narrow: bool) -> str:
        if signed:
            raise ValueError("the tests' BIND doesn't sign: take Knot")
        kinds = " ".join(MAIL_KINDS) if narrow else "ANY"
        return (
            f'zone "{name}" {{ type primary; file "{self.zone_file(name)}"; '
            f'update-policy {{ grant "{self.key.name}" zonesub {kinds}; }}; }};\n'
        )

    def secondary_block(self, name: str, primary: AuthoritativeServer) -> str:
        return (
            f'zone "{name}" {{ type secondary; file "{self.zone_file(name)}"; '
            f"primaries port {primary.port} {{ {primary.address}; }}; }};\n"
        )
