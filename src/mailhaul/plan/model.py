"""A plan as mailhaul holds it: what is to move from where to where, when, and under which rules.

These are the models of the edge: `plan.load` makes one from plan.toml and mailboxes.csv and names
every mistake by its line; the JSON Schema for editors is drawn from them. Their docstrings and
descriptions are what a person reads in an editor. A plan holds references to secrets, never one.
"""

from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
)

from mailhaul.plan.actions import ACTIONS
from mailhaul.plan.durations import duration, duration_text


def _like(example: str) -> Any:
    """What an editor shows as an example."""
    return Field(json_schema_extra={"examples": [example]})


def _day(value: object) -> object:
    if not isinstance(value, date | str):
        raise ValueError("it is no date and time")
    return value


def _moment(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        raise ValueError("it has no time of day")
    if not isinstance(value, datetime | str):
        raise ValueError("it is no date and time")
    return value


def _wall(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("hours are in the plan's time zone; leave the offset out")
    return value


def _written(value: object) -> object:
    if not isinstance(value, time | str):
        raise ValueError("it is no time of day")
    return value


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    PlainSerializer(duration_text),
    Field(json_schema_extra={"type": "string", "format": None, "examples": ["90s", "1h", "48h"]}),
]
"""Written `90s`, `15m`, `1h`, `2d`."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
Url = Annotated[str, Field(min_length=1, max_length=2000)]
Count = Annotated[int, Strict(), Field(ge=1)]
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
Yes = Annotated[bool, Strict()]
Rate = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
Moment = Annotated[datetime, BeforeValidator(_moment), _like("2030-01-31 20:00:00")]
"""Without an offset: in the plan's time zone."""
Day = Annotated[datetime, BeforeValidator(_day), _like("2020-01-01")]
"""A date begins at midnight; without an offset: in the plan's time zone."""
Wall = Annotated[time, BeforeValidator(_written), AfterValidator(_wall), _like("20:00")]
"""A time of day in the plan's time zone."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Budget(_Model):
    """What may be asked of one mail system, by all mailboxes and all workers together."""

    connections: Count | None = None
    """Open at the same time; each mailbox takes `connections_each` of them."""
    messages_per_second: Rate | None = None
    """All mailboxes together."""
    octets_per_day: Count | None = None
    """Message octets; a new day begins at midnight in the plan's time zone."""
    messages_per_second_each: Rate | None = None
    """Of one mailbox: Gmail, Exchange Online and others limit accounts, not their customers."""
    octets_per_day_each: Count | None = None
    """Of one mailbox."""


class ProviderKind(StrEnum):
    LAB = "lab"
    OVH_DOMAIN = "ovh-domain"
    OVH_MXPLAN = "ovh-mxplan"
    OVH_PRO = "ovh-pro"
    OVH_EXCHANGE = "ovh-exchange"
    MICROSOFT365 = "microsoft365"
    CYRUS = "cyrus"
    DOVECOT = "dovecot"
    STATIC = "static"


class ProviderSection(_Model):
    """The control plane of one side: where its accounts are listed, made and renamed."""

    kind: ProviderKind
    """Whose it is; docs/providers has a page for each."""
    service: str = ""
    """The service's name at its provider, such as a domain or a tenant."""
    url: str = ""
    """Where it is asked. Left out: its vendor's usual place."""
    values: dict[str, str] = {}
    """What else this kind needs; its page says what."""
    secret: str = ""
    """Reference to what logs in to the control plane."""


class System(_Model):
    """One side: a mail system, how a mailbox there is addressed, and where its secrets lie."""

    url: Url
    """Endpoint of a mailbox, with {address}, {user} (its part before the @) and {domain} filled in
    for each, or without where mailboxes.csv names one endpoint a row."""
    secret: str = ""
    """Reference: file:PATH, env:NAME, keyring:SERVICE/USER, vault:NAME, oauth:NAME or
    command:WORDS; with {address}, {user}, {domain}."""
    preset: str = ""
    """gmail, exchange-online, ovh, yahoo or generic: limits that are known of it."""
    budget: Budget = Budget()
    """Overrides the preset's figures."""
    connections_each: Annotated[int, Strict(), Field(ge=1, le=20)] = 1
    """Connections that one mailbox is carried over."""
    provider: ProviderSection | None = None
    """Its control plane. Left out: of accounts is known only what their mail server says."""


class Order(StrEnum):
    OLDEST_FIRST = "oldest-first"
    NEWEST_FIRST = "newest-first"


class Delete(StrEnum):
    NEVER = "never"
    MIRROR = "mirror"


class Carry(_Model):
    """What is carried, and how."""

    folders: tuple[str, ...] = ()
    """Only folders whose path matches one of these; * matches “/” too. None: all."""
    exclude: tuple[str, ...] = ()
    """No folder whose path matches one of these."""
    map: dict[str, str] = {}
    """Source folder to target folder, joined by “/”."""
    since: Day | None = None
    """Older messages are left out, by received date."""
    delete: Delete = Delete.NEVER
    """Until the cutover; after it nothing is ever removed."""
    max_delete: Count = 100
    """With mirror: no pass removes more messages than this."""
    prestage_older_than: Duration | None = None
    """First everything older than this, later the rest: what users look at moves last."""
    order: Order = Order.OLDEST_FIRST
    """Which messages of the initial copy go first."""
    newest_window: Duration = timedelta(days=30)
    """With newest-first: so much of the newest is carried first, then the rest."""
    verify_deep: Yes = False
    """Verification reads every message on both sides."""


class Sweeps(_Model):
    """The passes after the cutover, for mail that still went to the old system."""

    every: Duration = timedelta(hours=1)
    """From the end of one sweep to the begin of the next."""
    for_: Annotated[Duration, Field(alias="for")] = timedelta(hours=48)
    """Counted from the cutover."""
    until_quiet: Annotated[int, Strict(), Field(ge=0)] = 3
    """The time over, sweeps go on until so many in a row carried nothing. What could not be read in
    all that time is told by the verification."""

    model_config = ConfigDict(populate_by_name=True)


class Deltas(_Model):
    """The passes between the initial copy and the cutover."""

    every: Duration = timedelta(hours=24)
    """From the end of one pass to the begin of the next."""


class Hours(_Model):
    """When initial copies and deltas may run. The final pass and sweeps always may."""

    start: Wall
    """When work may begin, in the plan's time zone."""
    end: Wall
    """Before `start`: on the next day."""
    days: tuple[Annotated[int, Strict(), Field(ge=1, le=7)], ...] = (1, 2, 3, 4, 5, 6, 7)
    """1 is Monday; a night counts to the day on which it begins."""


class Gates(_Model):
    """Who may open which gate. A gate without names is opened by anybody who gives a name."""

    objects: tuple[Name, ...] | None = None
    """The accounts at the target have been looked at. Left out: there is no such gate."""
    go: tuple[Name, ...] = ()
    """Go or no-go: the cutover may be made."""
    sign_off: tuple[Name, ...] = ()
    """All is there; the journey is complete."""
    accounts: tuple[Name, ...] = ()
    """Accounts may be renamed, handed over or made, and old ones disabled. Needs [accounts]."""


class Wave(_Model):
    """Mailboxes that move together."""

    name: Name
    """As mailboxes.csv calls it."""
    cutover: Moment | None = None
    """When this wave's mail is switched. Left out: the plan's cutover."""


class WriterKind(StrEnum):
    MANUAL = "manual"
    RFC2136 = "rfc2136"
    OVH = "ovh"


class Writer(_Model):
    """How the zone is changed at the switch."""

    kind: WriterKind = WriterKind.MANUAL
    """manual: the records are shown to whoever holds the zone, and watched for; rfc2136: they are
    written by a signed dynamic update; ovh: they are written by OVHcloud's API."""
    server: str = ""
    """Host or address of the zone's primary server."""
    port: Port = 53
    """Where that server takes updates."""
    zone: str = ""
    """The zone that holds the domain. Left out: the domain itself."""
    key: str = ""
    """Name of the TSIG key that signs the updates."""
    algorithm: str = "hmac-sha256"
    """Of the TSIG key: hmac-sha256, hmac-sha384 or hmac-sha512."""
    secret: str = ""
    """Reference to the TSIG key, which is in base64, or to OVHcloud's three keys, separated by
    blanks; with {domain}."""
    place: str = ""
    """Where OVHcloud's API is asked: ovh-eu, ovh-ca, ovh-us or an address. Left out: ovh-eu."""


class Dns(_Model):
    """What the mail's way through DNS is, and how it is switched. Left out: nobody looks at DNS,
    and whoever opens the gate go has switched the mail himself."""

    domains: tuple[Name, ...] = ()
    """Whose mail is switched. Left out: the domains of the mailboxes."""
    profile: str = ""
    """exchange-online, ovh-exchange, google or generic: what is known of the new system."""
    values: dict[str, str] = {}
    """What the profile leaves open, such as tenant."""
    expect: str = ""
    """A file that says what the zones are to hold, relative to this one."""
    mx: tuple[Name, ...] = ()
    """Mail hosts of the new system, like "10 mx.new.example"; go before the profile's."""
    spf: tuple[Name, ...] = ()
    """SPF terms of the new system, like "include:spf.new.example"; go before the profile's."""
    old_hosts: tuple[Name, ...] = ()
    """Mail hosts of the old system. Left out: those that MX names when it is first looked at."""
    filter: str = ""
    """Name of the third-party filter in front: MX stays, and what changes is where the filter
    forwards to. Left out: there is none."""
    ttl: Duration = timedelta(minutes=5)
    """What the records' TTL is to be lowered to before the switch."""
    every: Duration = timedelta(minutes=15)
    """How often DNS is looked at before the switch."""
    resolvers: tuple[Name, ...] = ()
    """Addresses of recursive resolvers that are asked too, like "9.9.9.9" or "127.0.0.1@5353"."""
    port: Port = 53
    """Where the zones' own servers are asked."""
    allow_networks: tuple[Name, ...] = ()
    """Networks that are not public and may be connected to nonetheless, like "10.0.0.0/8"."""
    writer: Writer = Writer()
    """Who changes the zone."""


class Canary(_Model):
    """Marked messages that show which way mail goes. Needs [dns]."""

    on: Yes = False
    """Before the switch every address is probed at the new system without a message; after it one
    marked message goes to each, and is removed once it has arrived."""
    per_minute: Rate = 10.0
    """So many probes or messages at most."""
    name: str = ""
    """What mailhaul calls itself to mail hosts: this machine's full name, as its address has it in
    DNS. Left out: its address."""
    sender: str = ""
    """An address of yours that the messages are from; best of a domain that lets this machine send.
    Left out: nobody, to whom nothing bounces."""
    port: Port = 25
    """Where mail hosts are spoken to."""


class AccountPath(StrEnum):
    AUTO = "auto"
    LEGACY = "legacy"
    NEW = "new"
    CREATE = "create"
    NONE = "none"


class ExtrasRule(StrEnum):
    REFUSE = "refuse"
    CARRY = "carry"
    REMOVE = "remove"


class Guard(StrEnum):
    AUTO = "auto"
    ALIAS = "alias"
    RELAY = "relay"
    NONE = "none"


class Accounts(_Model):
    """How the accounts themselves are moved at their providers, before any mail is. Needs a
    provider at the target, and at the source unless accounts are only created."""

    path: AccountPath = AccountPath.AUTO
    """legacy: the provider carries each account itself, and mailhaul proves it; new: each is
    renamed and its address made at the target; create: the address is made at the target, and the
    source left alone; auto: what the services say decides; none: accounts are left alone."""
    temporary: str = ""
    """What is added before the @ to the address of an account at the source once its own has moved,
    like "-old". Left out, or where that is taken: 01, 02 …"""
    extras: ExtrasRule = ExtrasRule.REFUSE
    """Redirections, auto-replies, filters, aliases and delegations: refuse: an account that has any
    isn't moved; carry: they are removed at the source and put up again at the target; remove: they
    are removed at the source, and only listed."""
    guard: Guard = Guard.AUTO
    """What takes mail while an address is nowhere: alias: the renamed account answers to it;
    relay: the source passes on what it doesn't know; auto: whichever the provider can; none."""
    keep_temporary: Duration = timedelta(days=30)
    """How long the account at the source is left after its mailbox is verified, at least."""
    begin: Moment | None = None
    """No account is moved before. Left out: as soon as a named person has agreed."""
    patience: Duration = timedelta(hours=24)
    """How long a provider's task may take before a person is asked."""
    password: str = ""
    """Reference to the password that a new account gets; with {address}, {user}, {domain}. Left
    out: the target's secret."""
    safety_copy: str = "safety"
    """Directory for what accounts hold before they are handed over, relative to the
    installation's."""


class Webhook(_Model):
    """Where to tell of chosen events, as JSON by POST."""

    url: Url
    """A web address: https, or http on this machine."""
    events: tuple[Annotated[str, Field(json_schema_extra={"enum": [*ACTIONS]})], ...] = ()
    """Actions of the log; all when left out."""
    secret: str = ""
    """Reference to the key that signs each delivery (HMAC-SHA-256)."""


class ListedMailbox(_Model):
    """One mailbox, as its row in mailboxes.csv says. Empty: by the plan's templates."""

    address: Url
    wave: str = ""
    source: str = ""
    target: str = ""
    source_secret: str = ""
    target_secret: str = ""
    line: int = 0


class Plan(_Model):
    """A whole plan."""

    name: Name
    """What the plan is called in lists, reports and the log."""
    cutover: Moment | None = None
    """When mail is switched to the target; a wave can have its own."""
    time_zone: str = "UTC"
    """IANA name; of every time that is written without an offset, and of [hours]."""
    mailboxes_file: str = "mailboxes.csv"
    """The list of mailboxes, relative to this file."""
    source: System
    """Where the mail is. Nothing is ever written there."""
    target: System
    """Where the mail goes."""
    carry: Carry = Carry()
    """What is carried of each mailbox, and how."""
    deltas: Deltas = Deltas()
    """How often what is new is carried before the cutover."""
    sweeps: Sweeps = Sweeps()
    """How often, and how long, what is new is carried after it."""
    hours: Hours | None = None
    """When initial copies and deltas may run. Left out: always."""
    gates: Gates = Gates()
    """Who may open which gate."""
    waves: tuple[Wave, ...] = ()
    """Mailboxes that move together, in this order. Left out: all in one."""
    webhooks: tuple[Webhook, ...] = ()
    """Where to tell of chosen events."""
    dns: Dns | None = None
    """What the mail's way through DNS is, and how it is switched. Left out: nobody looks at DNS."""
    canary: Canary | None = None
    """Marked messages that show which way mail goes. Left out: there are none."""
    accounts: Accounts | None = None
    """How the accounts themselves are moved. Left out: they are left alone."""
    mailboxes: tuple[ListedMailbox, ...] = ()
    expect_text: str | None = None
    """What the file says that [dns] names, so that nobody changes it between gate and switch."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def cutover_of(self, wave: str) -> datetime | None:
        """When that wave's mail is switched, aware; None when no time has been set."""
        for each in self.waves:
            if each.name == wave and each.cutover is not None:
                return _aware(each.cutover, self.zone)
        return None if self.cutover is None else _aware(self.cutover, self.zone)


LOADED = frozenset({"mailboxes", "expect_text"})
"""What stands in files beside plan.toml, and is no key of it."""


def _aware(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
