"""An issuer of OAuth 2 tokens on loopback, as strict as the RFCs let one be; faults on request.

It keeps what it gave in memory: codes are good once, rotated refresh tokens too, and one that comes
a second time ends the whole login (RFC 9700 4.14.2). Whatever it doesn't expect it refuses, and
notes in `protests`: a test that leaves one there has asked in a way that no issuer takes.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CLIENT = {"client_id", "client_secret", "client_assertion", "client_assertion_type"}
FIELDS = {
    "client_credentials": {"scope"},
    "refresh_token": {"scope", "refresh_token"},
    "authorization_code": {"code", "redirect_uri", "code_verifier"},
    DEVICE: {"device_code"},
    ASSERTION: {"assertion"},
}
"""What each grant type's form may hold besides who the client is."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a JSON object, or any other octets."""

    status: int = 200
    shape: Mapping[str, object] | bytes = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def error(code: str, words: str = "", status: int = 400, **headers: str) -> Reply:
    shape = {"error": code, **({"error_description": words} if words else {})}
    return Reply(status, shape, {name.replace("_", "-"): text for name, text in headers.items()})


@dataclass(slots=True)
class _Login:
    """What stems from one consent: ended as a whole."""

    account: str
    scope: str
    client: str
    ended: bool = False


class Issuer:
    """See the module. `client` is the client's id; with `secret` or `public_key` it has to prove
    itself. `mint` makes an account's access token, `life` is what is told of how long it lasts.
    `rotates`: refresh tokens are good once; `forgiving`: an old one ends nothing (as Microsoft's).
    `replies` are given before anything true is. `before_answer` is called once the answer stands
    and nobody has it. `person` is who consents, `granted` what of the scopes (None: all)."""

    client = "mailhaul-test"

    def __init__(
        self,
        *,
        secret: str = "",
        public_key: rsa.RSAPublicKey | None = None,
        rotates: bool = True,
        forgiving: bool = False,
        mint: Callable[[str], str] | None = None,
        life: object = 3600,
    ) -> None:
        self.secret = secret
        self.public_key = public_key
        self.rotates = rotates
        self.forgiving = forgiving
        self.mint = mint or (lambda account: f"access-{secrets.token_urlsafe(12)}")
        self.life = life
        self.person = "anna@old.example"
        self.granted: str | None = None
        self.replies: deque[Reply] = deque()
        self.interval = 1.0
        self.polls: deque[str] = deque()
        """What the device flow answers before the person has entered the code."""
        self.before_answer: Callable[[], None] = lambda: None
        self.iss: str | None = None
        """What is told as `iss`; None: the truth."""
        self.metadata: dict[str, object] = {}
        """Put over what the metadata says."""
        self.basic_only = False
        self.delay = 0.0
        self.asked: Counter[str] = Counter()
        self.protests: list[str] = []
        self.given: list[str] = []
        """All access tokens, in order."""
        self._codes: dict[str, tuple[_Login, str, str]] = {}
        self._devices: dict[str, _Login] = {}
        self._refresh: dict[str, _Login] = {}
        self._used: dict[str, _Login] = {}
        self._assertions: set[str] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def token_url(self) -> str:
        return f"{self.url}/token"

    def first_refresh(self, account: str = "", scope: str = "mail") -> str:
        """A refresh token, as a login would have given."""
        return self._new_refresh(_Login(account or self.person, scope, self.client))

    def end_logins(self) -> None:
        """Everything that was granted is taken back."""
        for login in (*self._refresh.values(), *self._used.values()):
            login.ended = True

    def good_refresh(self, token: str) -> bool:
        """Whether that refresh token would be taken."""
        return token in self._refresh and not self._refresh[token].ended

    def browse(self, url: str, no: str = "") -> str:
        """What a person's browser does with an authorization request: where it is sent to at the
        end. `no`: the error that the person, or the issuer, answers with."""
        parts = urlsplit(url)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        wrong = [
            said
            for said, fine in {
                "the page": parts.path == "/authorize",
                "response_type": asked.get("response_type") == "code",
                "client_id": asked.get("client_id") == self.client,
                "S256": asked.get("code_challenge_method") == "S256",
                "code_challenge": len(asked.get("code_challenge", "")) == 43,
                "state": len(asked.get("state", "")) >= 32,
                "redirect_uri": urlsplit(asked.get("redirect_uri", "")).scheme == "http",
            }.items()
            if not fine
        ]
        self.protests += [f"authorize: {said}" for said in wrong]
        answer = {"state": asked["state"]}
        if self.iss != "":
            answer["iss"] = self.iss or self.url
        if no:
            answer["error"] = no
        else:
            code = secrets.token_urlsafe(16)
            login = _Login(self.person, asked["scope"], self.client)
            self._codes[code] = (login, asked["redirect_uri"], asked["code_challenge"])
            answer["code"] = code
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def answer(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """What is answered to a request; the server's threads ask it."""
        with self._lock:
            self.asked[path] += 1
            if method == "GET":
                return self._metadata(path)
            if headers.get("content-type", "") != "application/x-www-form-urlencoded":
                return self._protest("no form")
            fields = parse_qs(body.decode(), keep_blank_values=True)
            if any(len(values) != 1 for values in fields.values()):
                return self._protest("a field twice")
            form = {name: values[0] for name, values in fields.items()}
            if self.replies:
                return self.replies.popleft()
            match path:
                case "/token":
                    return self._token(form, headers)
                case "/device":
                    return self._device(form)
                case "/revoke":
                    login = self._refresh.get(form.get("token", ""))
                    if login is not None:
                        login.ended = True
                    return Reply()
            return self._protest(f"no such place: {path}", 404)

    def _protest(self, why: str, status: int = 400) -> Reply:
        self.protests.append(why)
        return error("invalid_request", why, status)

    def _metadata(self, path: str) -> Reply:
        if path != "/.well-known/oauth-authorization-server":
            return Reply(404, b"not here")
        methods = ["client_secret_basic"] + ([] if self.basic_only else ["client_secret_post"])
        shape: dict[str, object] = {
            "issuer": self.url,
            "token_endpoint": self.token_url,
            "authorization_endpoint": f"{self.url}/authorize",
            "device_authorization_endpoint": f"{self.url}/device",
            "revocation_endpoint": f"{self.url}/revoke",
            "authorization_response_iss_parameter_supported": True,
            "token_endpoint_auth_methods_supported": methods,
        }
        return Reply(200, shape | self.metadata)

    def _device(self, form: Mapping[str, str]) -> Reply:
        if set(form) - {"client_id", "scope", *_CLIENT}:
            return self._protest("device: fields")
        device = secrets.token_urlsafe(16)
        self._devices[device] = _Login(self.person, form.get("scope", ""), self.client)
        return Reply(
            200,
            {
                "device_code": device,
                "user_code": "BDWP-HQPK",
                "verification_uri": f"{self.url}/activate",
                "expires_in": 900,
                "interval": self.interval,
            },
        )

    def _token(self, form: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        kind = form.get("grant_type", "")
        if kind not in FIELDS:
            return error("unsupported_grant_type")
        if strange := set(form) - FIELDS[kind] - _CLIENT - {"grant_type"}:
            return self._protest(f"{kind}: {', '.join(sorted(strange))}")
        if kind != ASSERTION and (why := self._stranger(form, headers)):
            return error("invalid_client", why, 401)
        match kind:
            case "client_credentials":
                if not self.secret and self.public_key is None:
                    return error("unauthorized_client")
                return self._gives(_Login("", form.get("scope", ""), self.client), refreshed=False)
            case "refresh_token":
                return self._refreshed(form["refresh_token"])
            case "authorization_code":
                return self._by_code(form)
            case "urn:ietf:params:oauth:grant-type:device_code":
                return self._by_device(form["device_code"])
            case _:
                return self._by_assertion(form["assertion"])

    def _stranger(self, form: Mapping[str, str], headers: Mapping[str, str]) -> str:
        """Why that is not the client; empty: it is."""
        if self.public_key is not None:
            if form.get("client_assertion_type") != JWT_BEARER:
                return "no assertion"
            try:
                header, claims = self._opened(form["client_assertion"])
            except InvalidSignature:
                return "a wrong signature"
            fine = claims.get("iss") == claims.get("sub") == self.client and header["x5t#S256"]
            number = claims.get("jti", "")
            if not fine or number in self._assertions:
                return "a wrong assertion"
            self._assertions.add(number)
            return ""
        header_ = headers.get("authorization", "")
        if header_:
            user, _, secret = (
                base64.b64decode(header_.removeprefix("Basic ")).decode().partition(":")
            )
            fine = unquote_plus(user) == self.client and unquote_plus(secret) == self.secret
            return "" if fine and self.basic_only else "a wrong header"
        if self.basic_only and self.secret:
            return "no header"
        fine = form.get("client_id") == self.client and form.get("client_secret", "") == self.secret
        return "" if fine else "a wrong secret"

    def _opened(self, jwt: str) -> tuple[dict[str, Any], dict[str, Any]]:
        assert self.public_key is not None
        text, _, signature = jwt.rpartition(".")
        header, claims = (json.loads(_octets(part)) for part in text.split("."))
        assert header["alg"] == "RS256", header
        self.public_key.verify(
            _octets(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        assert claims["aud"] == self.token_url
        assert claims["iat"] < claims["exp"] <= claims["iat"] + 3600
        return header, claims

    def _by_code(self, form: Mapping[str, str]) -> Reply:
        login, redirect, challenge = self._codes.pop(form["code"], (None, "", ""))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if login is None or form.get("redirect_uri") != redirect:
            return error("invalid_grant", "no such code")
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != challenge:
            return error("invalid_grant", "another verifier")
        return self._gives(login)

    def _by_device(self, device: str) -> Reply:
        if device not in self._devices:
            return error("invalid_grant", "no such device code")
        if self.polls:
            return error(self.polls.popleft())
        return self._gives(self._devices.pop(device))

    def _by_assertion(self, assertion: str) -> Reply:
        header, claims = self._opened(assertion)
        if claims["iss"] != self.client or not header["kid"] or not claims["scope"]:
            return error("invalid_grant", "a wrong assertion")
        return self._gives(_Login(claims["sub"], claims["scope"], self.client), refreshed=False)

    def _refreshed(self, token: str) -> Reply:
        login = self._refresh.get(token) or self._used.get(token)
        if login is None or login.ended:
            return error("invalid_grant", "AADSTS700082: The refresh token has expired.")
        if token in self._used and not self.forgiving:
            login.ended = True
            return error("invalid_grant", "the refresh token was used before")
        if self.rotates:
            self._refresh.pop(token, None)
            self._used[token] = login
            return self._gives(login)
        return self._gives(login, refreshed=False)

    def _gives(self, login: _Login, *, refreshed: bool = True) -> Reply:
        access = self.mint(login.account)
        self.given.append(access)
        shape: dict[str, object] = {
            "token_type": "Bearer",
            "access_token": access,
            "scope": login.scope if self.granted is None else self.granted,
        }
        if self.life is not None:
            shape["expires_in"] = self.life
        if refreshed:
            shape["refresh_token"] = self._new_refresh(login)
        return Reply(200, shape)

    def _new_refresh(self, login: _Login) -> str:
        token = f"refresh-{secrets.token_urlsafe(12)}"
        self._refresh[token] = login
        return token


def _handler(issuer: Issuer) -> type[BaseHTTPRequestHandler]:
    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            lower = {name.lower(): text for name, text in self.headers.items()}
            reply = issuer.answer(self.command, self.path, body, lower)
            time.sleep(issuer.delay)
            issuer.before_answer()
            octets = reply.shape if isinstance(reply.shape, bytes) else json.dumps(reply.shape)
            raw = octets if isinstance(octets, bytes) else octets.encode()
            try:
                self.send_response(reply.status)
                for name, text in reply.headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)
            except OSError:
                self.close_connection = True  # whoever asked doesn't wait any more

    return Requests


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
