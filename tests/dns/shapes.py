"""Zone shapes for the tables: a domain on the move as it should be, and rows that depart."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mailhaul.dns.check_domain import diagnose
from mailhaul.dns.diagnosis import Aspect
from mailhaul.dns.expected import Expected, Moment, Wanted
from mailhaul.dns.guard import allowance
from mailhaul.dns.policy import Fetched
from mailhaul.dns.records import Kind, MailHost
from tests.dns.zones import DictResolver

DOCUMENTATION = allowance(["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32"])
SOA = "ns1.example.org hostmaster.example.org 7 3600 900 604800 300"
SPF = "v=spf1 include:spf.old.example include:spf.new.example -all"
RSA = {
    512: "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAPlPMHx+vu61ZaTVFTI7JueHSkExKlwvsNFrw+Xb2GLqkisdD76ckI1T"
    "C3jy1u2YZlg38t4wFVMXpOiV23BVRmECAwEAAQ==",
    1024: "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCoSi9js4aUqNXid1QU0LB3Mt8P7244OppyNGxqordCIOjJvk7"
    "G/GiZfUOCXpn3roDlVI8sqfT2UT6v9KX5XHisLBCtk7OcQN3cMqpFE/CUCFvolXI91K4VzKj/4mKARZxHG/X9lUKdVanU"
    "kLZn0cpG0qlWUsO+DKog3/9bL243IwIDAQAB",
    2048: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1Uc2CkhBBRcn0Y/oHxIVo0ce27i2l22TueRj97tX+zZ"
    "Tt+LX0SaYGePPLzIfR2zaXXOnfMlU0vz8+TuJgR/r/OueUf2d6mQ9jY8tfF3B296sesYUSs8bjeRty0UIE3yfQQDlQgIx"
    "rp87nUBTK1zteRPtXcMIwXlLjW1rT/Bo3zprY2UJYf+Gmn5XPPpBC2Mw8KkZ3bckmPTz5Kw2Cl0wdiUv9Yea5UO1Qa45J"
    "2hcvRnK5kATLXGxw2x1DkorGtwShUggDJoJTR/1VObDPgJ4yOiYrge86XHo4Sj0bmG4pDRS8UTl1BLeW9A4hsJReBHeY3"
    "HNtumEX5FnjFUvXy8VKwIDAQAB",
}
"""Public keys of keys that were thrown away, by their bits."""
CURVE = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgBRn6XTqaBweVgT0vJu2z2cA0kHRKKjA3c2jxT35jbfeadRF5dvKy/WP"
    "laVnum4MjfYnN+wk6N44fuEI8lMedw=="
)
ED25519 = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

NEW = Expected(
    "example.org",
    mx=(MailHost(10, "mx.new.example"),),
    old_mx=("mx.old.example",),
    spf=("include:spf.new.example",),
    spf_old=("include:spf.old.example",),
    dkim=("s1",),
    records=(
        Wanted("autodiscover", "autodiscover.example.org", Kind.CNAME, ("ad.new.example",),
               Moment.SWITCH),
        Wanted("autodiscover", "_autodiscover._tcp.example.org", Kind.SRV, (), Moment.SWITCH),
        Wanted("ownership", "example.org", Kind.TXT, ("MS=ms1",), Moment.NOW),
    ),
)  # fmt: skip
HYGIENE = Expected("example.org")
"""Nothing is expected: what is found is judged for itself."""

Node = Mapping[str, object]
Zone = dict[str, Node | None]

WORLD: dict[str, Node] = {
    "mx.new.example": {"A": "192.0.2.10", "AAAA": "2001:db8::10"},
    "mx2.new.example": {"A": "192.0.2.11"},
    "mx.old.example": {"A": "198.51.100.5"},
    "mx.other.example": {"A": "192.0.2.99"},
    "ad.new.example": {"A": "192.0.2.12"},
    "ad.old.example": {"A": "198.51.100.5"},
    "spf.new.example": {"TXT": "v=spf1 ip4:192.0.2.0/24 -all"},
    "spf.old.example": {"TXT": "v=spf1 ip4:198.51.100.0/24 -all"},
}
SWITCHED: dict[str, Node] = {
    **WORLD,
    "example.org": {
        "SOA": SOA,
        "MX": "10 mx.new.example",
        "TXT": [SPF, "MS=ms1"],
        "A": "192.0.2.80",
    },
    "s1._domainkey.example.org": {"TXT": f"v=DKIM1; k=rsa; p={RSA[2048]}"},
    "_dmarc.example.org": {"TXT": "v=DMARC1; p=none; rua=mailto:dmarc@example.org"},
    "autodiscover.example.org": {"CNAME": "ad.new.example"},
}
"""All is well, since the switch."""
BEFORE: dict[str, Node] = {
    **SWITCHED,
    "example.org": {**SWITCHED["example.org"], "MX": "10 mx.old.example"},
    "autodiscover.example.org": {"CNAME": "ad.old.example"},
}
"""All is well, before the switch."""
BEFORE_CODES = frozenset({"MX_TO_SWITCH", "RECORD_TO_WRITE"})


@dataclass(frozen=True)
class Shape:
    """A zone and exactly the codes that it gives, besides `usual`. `zone` is laid over the zone
    that is well, name by name (None: no such name); `org` over the domain's own records."""

    name: str
    codes: frozenset[str]
    zone: Mapping[str, Node | None] = field(default_factory=dict)
    org: Node = field(default_factory=dict)
    moment: Moment = Moment.SWITCH
    expected: Expected = NEW
    policy: Fetched | None = None
    ttl: int = 300
    secure: bool = False

    @property
    def resolver(self) -> DictResolver:
        base = BEFORE if self.moment is Moment.NOW else SWITCHED
        own = {key: value for key, value in {**base["example.org"], **self.org}.items() if value}
        names = {**base, "example.org": own, **self.zone}
        zone = {name: node for name, node in names.items() if node is not None}
        return DictResolver(zone, ttl=self.ttl, secure=self.secure)

    async def diagnosis(self) -> list[Aspect]:
        policy = self.policy

        async def fetch(domain: str) -> Fetched:
            assert policy is not None, f"a policy of {domain} was fetched"
            return policy

        return await diagnose(
            self.resolver,
            self.expected,
            moment=self.moment,
            allowance=DOCUMENTATION,
            fetch=fetch,
        )


def shape(name: str, codes: str = "", **more: object) -> Shape:
    """A row since the switch; `codes` in one text."""
    return replace(Shape(name, frozenset(codes.split())), **more)  # type: ignore[arg-type]


def before(name: str, codes: str = "", **more: object) -> Shape:
    """A row before the switch: what is still to be switched is told, and besides it `codes`."""
    every = frozenset(codes.split()) | BEFORE_CODES
    return replace(Shape(name, every, moment=Moment.NOW), **more)  # type: ignore[arg-type]


def bare(name: str, codes: str = "", **more: object) -> Shape:
    """A row with nothing expected."""
    return replace(Shape(name, frozenset(codes.split()), expected=HYGIENE), **more)  # type: ignore[arg-type]


def codes_of(aspects: list[Aspect]) -> set[str]:
    return {finding.code for aspect in aspects for finding in aspect.findings}
