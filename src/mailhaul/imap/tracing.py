"""What a server said, in one line for a trace."""

from mailhaul.core.text import printable
from mailhaul.imap.responses import Body, Event, Fetched, Listing, Status, Untagged


def described(event: Event) -> str:
    """One printable line for the trace; never a message's octets."""
    if isinstance(event, Listing):
        return f"* {len(event.entries)} listing lines"
    if isinstance(event, Body):
        return f"* UID {event.uid} body of {event.blob.size if event.blob else 'NIL'}"
    if isinstance(event, Fetched):
        return f"* UID {event.uid} FETCH"
    if isinstance(event, Untagged):
        first = event.fragments[0]
        words = printable(first, 200) if isinstance(first, bytes) else ""
        number = "" if event.number is None else f"{event.number} "
        return f"* {number}{printable(event.name, 40)} {words}"
    if isinstance(event, Status):
        tag = printable(event.tag or b"*", 40)
        code = f"[{printable(event.code, 40)} {printable(event.arguments, 100)}] "
        kind = event.kind.decode()
        return f"{tag} {kind} {code if event.code else ''}{printable(event.text, 200)}"
    return f"+ ({len(event.text)} octets)"
