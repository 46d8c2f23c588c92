"""Signatures of Standard Webhooks, as several providers use them.

Source: https://www.standardwebhooks.com (signature `v1`, HMAC-SHA256 over id, time and body).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from ledger.providers.protocol import InvalidNotice

_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


class Verifier:
    """Checks signatures with one secret. May be shared between threads."""

    def __init__(self, secret: str) -> None:
        """`secret`: `whsec_` and base64.

        Raises:
            ValueError: the secret is unusable.
        """
        try:
            self._webhook = Webhook(secret)
        except (EmptyWebhookSecretError, ValueError):
            # Without a cause: the library's own message may quote the secret.
            raise ValueError("the webhook secret is unusable; use whsec_<base64>") from None

    def verify(self, headers: Mapping[str, str], raw_body: bytes) -> str:
        """The id of an authentic message, signed at most five minutes ago or ahead.

        One good `v1` signature among several is enough, so that secrets can be rotated.

        Raises:
            InvalidNotice: a bad, missing or outdated signature.
        """
        named = {name.lower(): value for name, value in headers.items()}
        message_id = named.get("webhook-id", "")
        # The id is part of the signed text and is joined by dots, so it must not contain any.
        if _MESSAGE_ID.fullmatch(message_id) is None:
            raise InvalidNotice("the header webhook-id is missing or malformed")
        signatures = [each for each in named.get("webhook-signature", "").split() if _is_v1(each)]
        if not signatures:
            raise InvalidNotice("the header webhook-signature holds no v1 signature")
        signed = {
            "webhook-id": message_id,
            "webhook-timestamp": named.get("webhook-timestamp", ""),
            "webhook-signature": " ".join(signatures),
        }
        try:
            self._webhook.verify(raw_body, signed, json_parse=False)
        except WebhookVerificationError as error:
            raise InvalidNotice(str(error)) from error
        except ValueError as error:
            raise InvalidNotice("the body is not UTF-8 text") from error
        return message_id


def _is_v1(signature: str) -> bool:
    # The library stops at the first malformed one; a good one behind it has to count.
    version, _, encoded = signature.partition(",")
    try:
        return version == "v1" and len(base64.b64decode(encoded, validate=True)) == 32
    except (binascii.Error, ValueError):
        return False
