"""Settings: everything an operator may choose, read from the environment once."""

from pathlib import Path
from typing import Annotated, Literal

import platformdirs
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_SECRET_PARAMETERS = ("password", "sslpassword", "oauth_client_secret")


def redacted(conninfo: str) -> str:
    """`conninfo` in libpq's `keyword=value` form, with its secrets replaced; safe to print."""
    try:
        parameters = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return "(unreadable connection string)"
    hidden = {name: "***" for name in _SECRET_PARAMETERS if parameters.get(name)}
    return make_conninfo("", **{**parameters, **hidden})


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _readable_conninfo(conninfo: str) -> str | None:
    """Accept what libpq accepts, and SQLAlchemy's spelling of a URL; blank means not set."""
    if not conninfo.strip():
        return None
    plain = conninfo.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        conninfo_to_dict(plain)
    except psycopg.Error:
        # libpq quotes the offending part, which may hold the password: say only what is expected.
        raise ValueError("expected postgresql://user:password@host:port/database") from None
    return plain


def _optional_conninfo(conninfo: str | None) -> str | None:
    return None if conninfo is None else _readable_conninfo(conninfo)


def _optional_origin(origin: str | None) -> str | None:
    """What C2SP lets the name of a key be: no spaces, no plus sign."""
    if origin is not None and (not origin.isprintable() or " " in origin or "+" in origin):
        raise ValueError("expected a name without spaces and plus signs, like ledger.example.com")
    return origin


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """What an operator may choose. Immutable: a changed setting takes effect at the next start."""

    model_config = SettingsConfigDict(
        env_prefix="TALLYSTICK_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    database_url: Annotated[str | None, AfterValidator(_optional_conninfo)] = Field(
        default=None,
        validation_alias="DATABASE_URL",
        repr=False,
        description="PostgreSQL 15 or newer to keep the ledger in; without it an embedded one",
    )
    database_name: str = Field(
        default="tallystick",
        min_length=1,
        max_length=63,
        description="Database inside the embedded PostgreSQL",
    )
    data: AbsolutePath = Field(
        default_factory=lambda: platformdirs.user_data_path("tallystick"),
        description="Folder of the embedded PostgreSQL and of what is kept outside the database",
    )
    system_data: AbsolutePath = Field(
        default=Path("/var/lib/tallystick"),
        description="Used only as root, when the unprivileged user of PostgreSQL cannot reach"
        " the data folder or the binaries",
    )
    pg_bin: AbsolutePath | None = Field(
        default=None,
        description="Folder of the PostgreSQL binaries, before the bundled ones and the system's",
    )
    host: str = Field(default="127.0.0.1", description="Address the API listens on")
    port: Port = Field(default=8000, description="TCP port of the API")
    api_processes: int = Field(
        default=1, ge=1, le=64, description="How many processes answer at the port of the API"
    )
    connections_max: int = Field(
        default=4_000,
        ge=1,
        description="Connections an API process holds at once; fewer where the system's limit of"
        " open files asks for it",
    )
    connections_per_address_max: int = Field(
        default=500,
        ge=1,
        description="Those of one address, or of one /64 network of IPv6. Behind a proxy all come"
        " from one",
    )
    head_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        description="How long a request's headers may take to arrive, in seconds",
    )
    body_timeout_seconds: float = Field(
        default=30.0, gt=0, description="And after them its body, in seconds"
    )
    write_timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How long a client may take nothing of an answer, in seconds",
    )
    simulator_port: Port = Field(
        default=8100, description="TCP port of the payment provider simulator"
    )
    request_timeout_seconds: float = Field(
        default=5.0, gt=0, description="Deadline of one request, in seconds"
    )
    provider_timeout_seconds: float = Field(
        default=5.0, gt=0, description="Deadline of one whole call to a provider, in seconds"
    )
    conversion_spread_basis_points: int = Field(
        default=150,
        ge=0,
        le=5_000,
        description="What the house keeps of a conversion, in hundredths of a per cent",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severe log lines to write"
    )
    origin: Annotated[str | None, AfterValidator(_optional_origin)] = Field(
        default=None,
        max_length=200,
        description="Name that a new key signs checkpoints under; without it one is made up",
    )
    export_days: int = Field(
        default=7, ge=1, le=3_650, description="How long files of exports are kept, in days"
    )
    reporting_id: int = Field(
        default=0,
        ge=0,
        description="Number that the financial intelligence unit knows this casino by",
    )
    reporting_name: str = Field(
        default="UNKNOWN",
        min_length=1,
        max_length=255,
        description="Who reports, as registered with the financial intelligence unit",
    )
    reporting_currency: str = Field(
        default="EUR",
        pattern=r"^[A-Z]{3}$",
        description="Currency of the country reported in; amounts in reports are converted to it",
    )
    queue_size_max: int = Field(
        default=1000, ge=1, description="Appends waiting for the writer before callers get 503"
    )
