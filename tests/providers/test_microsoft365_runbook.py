"""A runbook says what it is to say, and no text in it is ever a command."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhaul.core.errors import BadInput
from mailhaul.providers.extras import Alias, Delegation, Group, Redirection, Right
from mailhaul.providers.microsoft365_runbook import Needs, runbook
from mailhaul.providers.powershell import command, quoted, remark

CLIENT = "0a6f1c2e-5b7d-4c1f-9d0e-112233445566"
ENTERPRISE = "0a6f1c2e-5b7d-4c1f-9d0e-665544332211"
QUOTES = "'\u2018\u2019\u201a\u201b"

needs_pwsh = pytest.mark.skipif(shutil.which("pwsh") is None, reason="no pwsh here to parse with")


def literal(script: str, at: int) -> tuple[str, int]:
    """The text of the literal that begins there, and where it ends: as PowerShell's tokenizer reads
    one between single quotes, any of five."""
    assert script[at] in QUOTES
    found: list[str] = []
    at += 1
    while True:
        if script[at] in QUOTES:
            if script[at + 1 : at + 2] not in (*QUOTES,):
                return "".join(found), at + 1
            at += 1
        found.append(script[at])
        at += 1


def skeleton(line: str) -> tuple[str, list[str]]:
    """The line without its literals, and these."""
    shown, texts, at = "", [], 0
    if line.startswith("#"):
        return "#", []
    while at < len(line):
        if line[at] in QUOTES:
            text, at = literal(line, at)
            texts.append(text)
            shown += "?"
        else:
            shown += line[at]
            at += 1
    return re.sub(r"\?(, \?)*", "?", shown), texts


def full(text: Callable[[str], str] = lambda text: text) -> Needs:
    """Everything that a runbook can be about; names and targets are as `text` has them."""
    return Needs(
        addresses=("ann@example.org", "o'brien@example.org"),
        tenant=text("contoso.onmicrosoft.com"),
        application=CLIENT,
        enterprise=ENTERPRISE,
        extras=(
            Alias("ann@example.org", text("a@example.org")),
            Redirection("ann@example.org", text("b@example.org"), copy=True),
            Delegation("ann@example.org", text("c@example.org"), Right.FULL),
            Delegation("ann@example.org", text("d@example.org"), Right.SEND_AS),
            Delegation("ann@example.org", text("e@example.org"), Right.SEND_ON_BEHALF),
            Group("all@example.org", (text("f@example.org"), "g@example.org"), text("All")),
        ),
        relays={"example.org": text("mx.old.example")},
        domains=(text("example.org"),),
    )


def test_all_that_graph_can_not_do_is_said() -> None:
    said = runbook(full())
    for each in (
        f"New-ServicePrincipal -AppId '{CLIENT}' -ObjectId '{ENTERPRISE}'",
        "Set-CASMailbox -Identity 'ann@example.org' -ImapEnabled $true",
        f"Add-MailboxPermission -Identity 'o''brien@example.org' -User '{ENTERPRISE}' "
        "-AccessRights 'FullAccess' -AutoMapping $false",
        "-MaxReceiveSize '150MB' -MaxSendSize '150MB'",
        "-EmailAddresses @{Add='smtp:a@example.org'}",
        "# Set-Mailbox -Identity 'ann@example.org' -ForwardingSmtpAddress 'smtp:b@example.org' "
        "-DeliverToMailboxAndForward $true",
        "Add-RecipientPermission -Identity 'ann@example.org' -Trustee 'd@example.org'",
        "-GrantSendOnBehalfTo @{Add='e@example.org'}",
        "-Members @('f@example.org', 'g@example.org')",
        "Set-AcceptedDomain -Identity 'example.org' -DomainType 'InternalRelay'",
        "-SmartHosts 'mx.old.example'",
        "New-DkimSigningConfig -DomainName 'example.org' -Enabled $false",
        f"# Remove-MailboxPermission -Identity 'ann@example.org' -User '{ENTERPRISE}'",
    ):
        assert each in said


def test_ids_that_nobody_knows_are_shown_where_they_go() -> None:
    said = runbook(Needs(("ann@example.org",)))
    assert "Put in the two ids first" in said
    assert "-AppId 'CLIENT-ID'" in said
    assert "-DomainType" not in said


@pytest.mark.parametrize(
    "needs",
    [
        Needs(("ann@example.org; Remove-Mailbox bob",)),
        Needs(("ann",)),
        Needs(("ann@example.org",), application="$(whoami)"),
        Needs(("ann@example.org",), enterprise="mailhaul"),
        Needs((), tenant="contoso\nRemove-Mailbox bob"),
        Needs((), extras=(Group("all@example.org", (), "All\u202efdp"),)),
        Needs((), relays={"example.org": "mx\x00"}),
        Needs((), domains=("x" * 3000,)),
    ],
)
def test_what_can_not_be_reviewed_is_refused(needs: Needs) -> None:
    with pytest.raises(BadInput) as caught:
        runbook(needs)
    assert str(caught.value).isprintable()


TEXTS = st.text(alphabet=st.sampled_from([*QUOTES, *'";`$(){}@#|&<>\\,= \u00e9ax-']), max_size=30)


@given(TEXTS)
def test_a_literal_is_its_text_and_nothing_after_it(text: str) -> None:
    said = f"{quoted(text)}; Get-Mailbox"
    found, end = literal(said, 0)
    assert (found, said[end:]) == (text, "; Get-Mailbox")


@given(TEXTS)
@settings(max_examples=40)
def test_no_text_is_a_command(text: str) -> None:
    lines = [skeleton(line) for line in runbook(full(lambda usual: text + usual)).splitlines()]
    usual = [skeleton(line) for line in runbook(full()).splitlines()]
    assert [shown for shown, _ in lines] == [shown for shown, _ in usual]
    assert sum(text in each for _, texts in lines for each in texts) >= 8


@given(st.text(max_size=50))
def test_a_remark_is_one_line(text: str) -> None:
    assert len(remark(text).splitlines()) == 1
    assert remark(text).startswith("# ")


def test_a_command_of_everything() -> None:
    said = command("Do-It", Text="a'b", Number=3, Yes=True, Some=("a", "b"), Table={"Add": "x"})
    assert said == "Do-It -Text 'a''b' -Number 3 -Yes $true -Some @('a', 'b') -Table @{Add='x'}"


@needs_pwsh
def test_powershell_itself_can_parse_it(tmp_path: Path) -> None:
    script = tmp_path / "runbook.ps1"
    script.write_text(runbook(full(lambda usual: f"a’b'`$(x) {usual}")), "utf-8")
    parse = (
        "$e = $null; [void][System.Management.Automation.Language.Parser]::ParseFile("
        f"'{script}', [ref]$null, [ref]$e); exit $e.Count"
    )
    subprocess.run(["pwsh", "-NoProfile", "-Command", parse], check=True, timeout=60)
