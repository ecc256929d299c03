"""What is known of the limits of mail systems, as data; each row says where from.

Providers write limits for one account, rarely for a customer: nearly all figures here are for each
mailbox. What nobody publishes is left out; mailhaul listens to throttling anyway.
"""

from dataclasses import dataclass
from enum import StrEnum

from mailhaul.plan.model import Budget, System


class Side(StrEnum):
    """Which way the mail goes: limits on taking out and putting in differ."""

    SOURCE = "source"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of mail system. `hosts` are the ends of its hosts' names; `connections_each` is what
    it takes from one mailbox at most; `remark` is for whoever writes a plan."""

    source: Budget
    target: Budget
    hosts: tuple[str, ...] = ()
    connections_each: int = 20
    remark: str = ""


_FOUR_A_SECOND = Budget(messages_per_second_each=4.0)

PRESETS = {
    # 2,500 MB a day out and 500 MB a day in by IMAP, for each account; 15 connections an account:
    # support.google.com/a/answer/1071518 and support.google.com/mail/answer/7126229.
    "gmail": Preset(
        source=Budget(octets_per_day_each=2_500_000_000),
        target=Budget(octets_per_day_each=500_000_000),
        hosts=("gmail.com", "googlemail.com", "google.com"),
        connections_each=15,
        remark="each account: 2.5 GB a day out, 0.5 GB a day in, 15 connections",
    ),
    # No figure is published for IMAP. Four messages a second is what imapsync's FAQ.Office365 found
    # not to be throttled; the server's own “Suggested Backoff Time” is obeyed besides.
    "exchange-online": Preset(
        source=_FOUR_A_SECOND,
        target=_FOUR_A_SECOND,
        hosts=("office365.com", "outlook.com", "outlook.cn"),
        connections_each=8,
        remark="each mailbox: 4 messages a second",
    ),
    # No figure is published. Ten is what Dovecot takes of one user from one address unless told
    # otherwise (doc.dovecot.org, mail_max_userip_connections).
    "ovh": Preset(
        source=Budget(),
        target=Budget(),
        hosts=("mail.ovh.net", "mail.ovh.ca", "ovh.net"),
        connections_each=10,
        remark="each mailbox: 10 connections",
    ),
    # No figure is published; users report limits of five to ten connections an account.
    "yahoo": Preset(
        source=Budget(),
        target=Budget(),
        hosts=("yahoo.com", "yahoo.co.jp", "yahoodns.net", "aol.com"),
        connections_each=5,
        remark="each mailbox: 5 connections",
    ),
    # Our own caution where nothing is known: a server of medium size hardly feels it.
    "generic": Preset(
        source=Budget(connections=20),
        target=Budget(connections=20),
        connections_each=10,
        remark="20 connections in all, 10 for each mailbox",
    ),
}


def budget_of(system: System, side: Side) -> Budget:
    """What may be asked of `system` as that side of the plan: the preset's figures, overridden by
    its own. No figure: no limit known."""
    preset = PRESETS.get(system.preset)
    if preset is None:
        return system.budget
    known = preset.source if side is Side.SOURCE else preset.target
    own = {name: getattr(system.budget, name) for name in system.budget.model_fields_set}
    return known.model_copy(update=own)


def preset_for(host: str) -> str:
    """The preset of the system that `host` belongs to, by its name; "generic" when nobody's."""
    host = host.lower().rstrip(".")
    for name, preset in PRESETS.items():
        if any(host == end or host.endswith(f".{end}") for end in preset.hosts):
            return name
    return "generic"
