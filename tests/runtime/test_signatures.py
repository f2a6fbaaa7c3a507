"""Signatures of webhooks, against vectors that others published."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workflows.runtime.signatures import SCHEMES, Scheme, SignatureError, keys_of, mistakes, sign, verify

FIVE_MINUTES = timedelta(minutes=5)
JEFE, WANT = b"Jefe", b"what do ya want for nothing?"

SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

VECTORS: dict[str, tuple[Scheme, str, dict[str, str], bytes, int]] = {
    "GitHub, Validating webhook deliveries": (
        SCHEMES["github"], "It's a Secret to Everybody",
        {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!", 0,
    ),
    "Slack, Verifying requests": (
        SCHEMES["slack"], "8f742231b10e8888abcd99yyyzzz85a5",
        {
            "x-slack-request-timestamp": "1531420618",
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        SLACK_BODY, 1531420618,
    ),
    "Standard Webhooks, reference libraries": (
        SCHEMES["standard-webhooks"], STANDARD_SECRET, STANDARD, STANDARD_BODY, 1614265330,
    ),
    "RFC 4231, case 2, SHA-256": (
        Scheme(header="X-Sign"), "Jefe",
        {"x-sign": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"}, WANT, 0,
    ),
    "RFC 4231, case 2, SHA-512": (
        Scheme(header="X-Sign", algorithm="sha512"), "Jefe",
        {"x-sign": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                   "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"}, WANT, 0,
    ),
    "RFC 2202, case 2, SHA-1": (
        Scheme(header="X-Sign", algorithm="sha1"), "Jefe", {"x-sign": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
        WANT, 0,
    ),
    "RFC 2202 in base64 behind a prefix": (
        Scheme(header="X-Sign", algorithm="sha1", encoding="base64", prefix="sha1="), "Jefe",
        {"x-sign": "sha1=7/zfauXrL6LSdBbV8YTfnCWafHk="}, WANT, 0,
    ),
}  # fmt: skip


def check(scheme: Scheme, secret: Any, headers: dict[str, str], body: bytes, seconds: float) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    verify(scheme, keys_of(secret), headers, body, now=now, tolerance=FIVE_MINUTES)


@pytest.mark.parametrize("name", VECTORS)
def test_what_is_signed_is_let_in_and_a_changed_byte_is_not(name: str) -> None:
    scheme, secret, headers, body, at = VECTORS[name]

    check(scheme, secret, headers, body, at)

    for other_secret, other_body in ((f"{secret}A===", body), (secret, body + b"!")):
        with pytest.raises((SignatureError, ValueError)):
            check(scheme, other_secret, headers, other_body, at)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_signature_is_good_for_the_tolerance_either_way(seconds: int) -> None:
    check(SCHEMES["standard-webhooks"], STANDARD_SECRET, STANDARD, STANDARD_BODY, 1614265330 + seconds)


@pytest.mark.parametrize(("seconds", "message"), [
    (302, r"it was signed 302 s ago; 300 s are allowed"),
    (-302, r"it was signed 302 s from now; 300 s are allowed"),
])  # fmt: skip
def test_a_replay_after_the_tolerance_is_refused(seconds: int, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        check(SCHEMES["standard-webhooks"], STANDARD_SECRET, STANDARD, STANDARD_BODY, 1614265330 + seconds)


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp"])
def test_what_is_signed_besides_the_body_cannot_be_changed(header: str) -> None:
    headers = {**STANDARD, header: "1614265331"}

    with pytest.raises(SignatureError, match="does not match"):
        check(SCHEMES["standard-webhooks"], STANDARD_SECRET, headers, STANDARD_BODY, 1614265330)


@pytest.mark.parametrize("header", STANDARD)
def test_a_header_that_is_missing_is_named(header: str) -> None:
    headers = {name: text for name, text in STANDARD.items() if name != header}

    with pytest.raises(SignatureError, match=f"the header {header} is missing"):
        check(SCHEMES["standard-webhooks"], STANDARD_SECRET, headers, STANDARD_BODY, 1614265330)


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "9" * 30, "\u0661"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    headers = {**STANDARD, "webhook-timestamp": text}

    with pytest.raises(SignatureError, match=r"webhook-timestamp (is missing|holds no time)"):
        check(SCHEMES["standard-webhooks"], STANDARD_SECRET, headers, STANDARD_BODY, 1614265330)


@pytest.mark.parametrize("text", ["sha256=", "sha256=zz", "sha256=grün", "757107ea", "md5=00", "v1," + "0" * 64])
def test_a_signature_that_is_spelled_wrong_matches_nothing(text: str) -> None:
    with pytest.raises(SignatureError):
        check(SCHEMES["github"], "secret", {"x-hub-signature-256": text}, b"", 0)


def test_one_of_several_signatures_and_one_of_several_keys_is_enough() -> None:
    old = {**STANDARD, "webhook-signature": f"v1a,other v1,AAAA {STANDARD['webhook-signature']}"}

    check(SCHEMES["standard-webhooks"], ["a new key", STANDARD_SECRET], old, STANDARD_BODY, 1614265330)


def test_stripe_has_time_and_signatures_in_one_header() -> None:
    scheme = SCHEMES["stripe"]
    signature = sign(scheme, JEFE, b"{}", timestamp="1614265330")

    check(scheme, "Jefe", {"stripe-signature": f"t=1614265330,v0=6f, {signature}"}, b"{}", 1614265330)

    with pytest.raises(SignatureError, match="does not match"):
        check(scheme, "Jefe", {"stripe-signature": f"t=1614265331,{signature}"}, b"{}", 1614265330)


def test_a_body_that_names_a_place_is_signed_as_it_is() -> None:
    scheme = SCHEMES["standard-webhooks"]
    signature = sign(scheme, JEFE, b"{id}", timestamp="7", message_id="{body}")
    headers = {"webhook-id": "{body}", "webhook-timestamp": "7", "webhook-signature": signature}

    check(scheme, "Jefe", headers, b"{id}", 7)

    with pytest.raises(SignatureError):
        check(scheme, "Jefe", headers, b"{body}", 7)


@pytest.mark.parametrize("secret", ["", [], ["a", ""], {"key": "a"}, 5, None, "whsec_", "whsec_%"])
def test_what_is_no_key_signs_nothing(secret: Any) -> None:
    with pytest.raises(ValueError, match=r"secret|whsec_"):
        keys_of(secret)


@pytest.mark.parametrize(("scheme", "member"), [
    (Scheme(header="X", signed="{timestamp}"), "signed"),
    (Scheme(header="X", signed="{body}{nonce}"), "signed"),
    (Scheme(header="X", signed="{timestamp}.{body}"), "timestampHeader"),
    (Scheme(header="X", timestamp_header="T"), "timestampHeader"),
    (Scheme(header="X", id_header="I"), "idHeader"),
])  # fmt: skip
def test_a_scheme_that_protects_nothing_is_a_mistake(scheme: Scheme, member: str) -> None:
    assert member in dict(mistakes(scheme))


@pytest.mark.parametrize("name", SCHEMES)
def test_the_schemes_with_names_are_none(name: str) -> None:
    assert [*mistakes(SCHEMES[name])] == []
