"""Where the switch is: what a person must turn on, at mail systems known by their host name (F8).

One row a system: how its hosts end, its name, and the cures for a refused login. Consoles move
their switches about; each row says what to look for, not only where.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Switches:
    """One mail system. `login` are the cures of a refused login, the likeliest first."""

    system: str
    hosts: tuple[str, ...]
    login: tuple[str, ...]


SYSTEMS = (
    Switches(
        "Gmail",
        ("gmail.com", "googlemail.com", "google.com"),
        (
            "the account's own password is never accepted: make an app password at "
            "myaccount.google.com/apppasswords (2-step verification must be on), "
            "or log in by OAuth 2: mailhaul oauth login NAME --google",
            "in Google Workspace an administrator allows IMAP in the Admin console under "
            "Apps > Google Workspace > Gmail > End User Access",
            "“web login required”: sign in once with a browser, then try again",
        ),
    ),
    Switches(
        "Exchange Online",
        ("outlook.office365.com", "office365.com", "outlook.com", "partner.outlook.cn"),
        (
            "passwords are not accepted at all any more: log in by OAuth 2, mailhaul oauth login "
            "NAME --microsoft TENANT (docs/oauth.md)",
            "IMAP may be off for this mailbox: Microsoft 365 admin center > Users > the user > "
            "Mail > Manage email apps > IMAP; or Set-CASMailbox -ImapEnabled $true",
            "“authenticated but not connected”: the mailbox has no Exchange licence, or the login "
            "has no full access to it",
        ),
    ),
    Switches(
        "Yahoo Mail",
        ("yahoo.com", "yahoodns.net", "aol.com", "ymail.com", "yahoo.co.uk"),
        (
            "the account's own password is never accepted: make an app password under "
            "Account info > Security > Generate app password",
        ),
    ),
    Switches(
        "iCloud Mail",
        ("mail.me.com", "icloud.com", "me.com"),
        (
            "the Apple Account's password is never accepted: make an app-specific password at "
            "account.apple.com under Sign-In and Security",
            "the user is the part before @icloud.com, or the whole address: try the other",
        ),
    ),
    Switches(
        "OVHcloud",
        ("mail.ovh.net", "mail.ovh.ca", "ovh.net", "mail.ovh.com"),
        (
            "the user is the whole address, and the password is the mailbox's, not the customer "
            "account's: set it in the Control Panel under Web Cloud > Emails (or Microsoft > "
            "Exchange) > the service > the account > Modify",
            "an account that was just made, or whose password was just changed, takes some minutes",
        ),
    ),
    Switches(
        "GMX and WEB.DE",
        ("gmx.net", "gmx.com", "gmx.de", "web.de"),
        (
            "IMAP is off unless switched on: in the web mail under Settings > POP3/IMAP retrieval, "
            "tick that external programs may fetch mail",
            "with two-factor login on, make an application-specific password under Account > "
            "Security",
        ),
    ),
    Switches(
        "Fastmail",
        ("fastmail.com", "messagingengine.com"),
        ("make an app password under Settings > Privacy & Security > Manage app passwords",),
    ),
    Switches(
        "Zoho Mail",
        ("zoho.com", "zoho.eu", "zoho.in"),
        (
            "IMAP is off unless switched on: Settings > Mail Accounts > the address > IMAP",
            "with two-factor login on, make an application-specific password at "
            "accounts.zoho.com under Security",
        ),
    ),
)

ANYWHERE = (
    "try user name and password in the provider's web mail; if they work there, look in its "
    "settings for “IMAP” or “external programs”, and for “app password” when two-factor login is "
    "on",
    "the user is the whole address at most providers, the part before the @ at some",
)


def system_of(host: str) -> Switches | None:
    """The mail system that `host` belongs to, by the end of its name; None when it isn't known."""
    name = host.lower().rstrip(".")
    for system in SYSTEMS:
        if any(name == end or name.endswith(f".{end}") for end in system.hosts):
            return system
    return None


def login_cures(host: str) -> tuple[str, ...]:
    """What to do about a refused login at `host`, the likeliest first."""
    system = system_of(host)
    return ANYWHERE if system is None else system.login
