"""Secrets that live outside the database, in files that only their owner can read."""

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, repr=False)
class ProviderSecrets:
    """What we share with a provider. Never printed."""

    webhook_secret: str
    """Signs the provider's notices: `whsec_` and base64, as Standard Webhooks has it."""
    token: str
    """The bearer token our calls carry."""


def provider_secrets(data: Path, provider: str) -> ProviderSecrets:
    """The secrets shared with a provider, made at first use.

    The environment goes first: TALLYSTICK_<PROVIDER>_SECRET and TALLYSTICK_<PROVIDER>_TOKEN.
    """
    prefix = f"TALLYSTICK_{provider.upper()}"
    secret, token = os.environ.get(f"{prefix}_SECRET"), os.environ.get(f"{prefix}_TOKEN")
    if secret and token:
        return ProviderSecrets(secret, token)
    path = data / "keys" / f"provider-{provider}.json"
    if not path.exists():
        _create(path)
    kept = json.loads(path.read_text())
    return ProviderSecrets(secret or kept["secret"], token or kept["token"])


def _create(path: Path) -> None:
    """Write new secrets; where another process is faster, its secrets stand."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = {
        "secret": "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(),
        "token": secrets.token_urlsafe(32),
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(fresh, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()
