"""References to secrets, looked at without following them: is this one, or is it the secret?"""

from mailhaul.core.endpoint import DEFAULT_PORTS

KINDS = ("file", "env", "keyring", "vault", "oauth", "command")
FORMS = "write file:PATH, env:NAME, keyring:SERVICE/USER, vault:NAME, oauth:NAME or command:WORDS"


def reference_fault(text: str) -> tuple[str, str] | None:
    """Why `text` is no reference, and the cure; None when it is one, or empty. What `vault` makes
    of it stands in `vault.references`. Never repeats the text: it may be a password."""
    if not text:
        return None
    kind, colon, place = text.partition(":")
    if not colon or kind not in KINDS:
        if kind in DEFAULT_PORTS:
            return "this is an endpoint, not a reference to a secret", FORMS
        return "this is no reference to a secret; is it the secret itself?", FORMS
    if not place.strip():
        return f"{kind}: names nothing", FORMS
    if kind == "keyring" and not all(place.partition("/")):
        return "a keyring's entry has a service and a user", "write keyring:SERVICE/USER"
    if kind == "oauth" and (place.startswith("/") or place.endswith("/")):
        return "that login has no name, or acts for nobody", "write oauth:NAME or oauth:NAME/PERSON"
    return None
