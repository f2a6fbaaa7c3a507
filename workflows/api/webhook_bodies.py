"""What somebody says who wants a webhook."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from workflows.api import schemas
from workflows.runtime.signatures import SCHEMES, Scheme
from workflows.runtime.webhooks import TOLERANCE, Signature, WebhookRequest

Header = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$")]
Part = Annotated[schemas.Text, Field(max_length=200)]


class SignatureBody(schemas.Body):
    """How requests are signed: by a scheme with a name, or member by member."""

    secret: Annotated[schemas.Text, Field(min_length=1, max_length=255)]
    scheme: Literal["hmac", "standard-webhooks", "github", "stripe", "slack", "shopify"] = "hmac"
    tolerance: schemas.IsoDuration = TOLERANCE
    header: Header | None = None
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Part = ""
    separator: Annotated[str, Field(pattern="^[ ,;]?$")] = ""
    signed: Part = "{body}"
    timestamp_header: Header | None = None
    timestamp_prefix: Part = ""
    id_header: Header | None = None

    @model_validator(mode="after")
    def check(self) -> "SignatureBody":
        """A scheme with a name says all by itself."""
        given = self.model_fields_set - {"secret", "scheme", "tolerance"}
        if self.scheme == "hmac" and self.header is None:
            raise ValueError(f"name the header that holds the signature, or a scheme: {', '.join(SCHEMES)}")
        if self.scheme != "hmac" and given:
            raise ValueError(f"{self.scheme} says that itself; leave out the scheme, or: {', '.join(sorted(given))}")
        if self.tolerance <= timedelta():
            raise ValueError("tolerance: a duration above zero is wanted")
        return self

    def to_signature(self) -> Signature:
        """Return it as the operations take it."""
        named = SCHEMES.get(self.scheme)
        scheme = named or Scheme(
            header=self.header or "", algorithm=self.algorithm, encoding=self.encoding, prefix=self.prefix,
            separator=self.separator, signed=self.signed, timestamp_header=self.timestamp_header or "",
            timestamp_prefix=self.timestamp_prefix, id_header=self.id_header or "",
        )  # fmt: skip
        return Signature(secret=self.secret, scheme=scheme, name=self.scheme if named else "", tolerance=self.tolerance)


class WebhookBody(schemas.Body):
    """A webhook: what becomes of the JSON that is posted to it, and who may post."""

    name: schemas.Text
    namespace: Annotated[schemas.Text, Field(min_length=1, max_length=63)] = "default"
    mapping: dict[str, Any]
    when: Annotated[schemas.Text, Field(max_length=20_000)] = ""
    signature: SignatureBody | None = None

    def to_request(self) -> WebhookRequest:
        """Return it as the operations take it."""
        signature = None if self.signature is None else self.signature.to_signature()
        return WebhookRequest(
            name=self.name, namespace=self.namespace, mapping=self.mapping, when=self.when, signature=signature
        )
