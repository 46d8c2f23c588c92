"""What the API takes about players and providers: request bodies."""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Final
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, StrictInt
from pydantic_core import PydanticCustomError

from api.http.free_text import Line
from api.http.instants import When
from api.http.requests import Body, Currency, Metadata, MoneyBody
from domain.money import AMOUNT_MINOR_MAX
from domain.player.instruments import Credential
from domain.player.player import Stop, Verification

_NO_PLACES: Final = frozenset({"localtime", "Factory"})
"""Of the time zone database: what this machine happens to be set to, and nothing at all."""


@cache
def _time_zones() -> frozenset[str]:
    """Asked once: it is a walk through the file system."""
    return frozenset(available_timezones()) - _NO_PLACES


def _known_time_zone(name: str) -> str:
    if name not in _time_zones():
        raise PydanticCustomError(
            "time_zone_unknown", "Input should be a time zone of the IANA database"
        )
    return name


def _in_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError:  # the first and the last day there are
        raise PydanticCustomError("instant", "Input should be an instant in UTC") from None


class PlayerBody(Body):
    """What is known of a player."""

    verification: Verification = Field(examples=["full"])
    jurisdiction: str | None = Field(
        default=None,
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
        description="ISO 3166: a country or one of its subdivisions.",
        examples=["MT"],
    )
    time_zone: Annotated[str, AfterValidator(_known_time_zone)] = Field(
        default="UTC",
        max_length=64,
        description="IANA name: where the days, weeks and months of deposit limits begin.",
        examples=["Europe/Malta"],
    )


class ReasonBody(Body):
    """Why it is done."""

    reason: Line = Field(examples=["Asked for by the player."])


class HoldBody(ReasonBody):
    """Why a player is put on hold, and what that stops."""

    stops: list[Stop] = Field(
        default_factory=list,
        max_length=len(Stop),
        description="If left out, holds of fraud and compliance stop payouts and deposits, others"
        " payouts. A second hold of a kind adds to what the first one stops.",
        examples=[["payouts", "deposits"]],
    )


class ExclusionBody(ReasonBody):
    """Why a player is excluded, and for how long."""

    until: Annotated[When, AfterValidator(_in_utc)] | None = Field(
        default=None,
        description="Neither ended nor shortened before; null: until somebody ends it, though not"
        " before the time it was set for.",
        examples=["2027-05-03T14:00:00Z"],
    )


class CredentialBody(Body):
    """What of a player's is another one now; what it is does not belong here."""

    credential: Credential = Field(examples=["password"])


class HolderCheckBody(Body):
    """An instrument, whose name is on it, and who the player is known to be."""

    instrument: Line = Field(
        description="A token of the card or account; never its number.", examples=["tok_7Hq2"]
    )
    holder_name: Line = Field(
        description="As the provider or bank gives it. Compared, and never kept.",
        examples=["GARCIA LOPEZ MARIA"],
    )
    verified_name: Line = Field(
        description="As documents show it. Compared, and never kept.",
        examples=["María García López"],
    )


class LimitBody(Body):
    """How much a player may pay in."""

    currency: Currency = Field(examples=["EUR"])
    limit: Annotated[StrictInt, Field(ge=0, le=AMOUNT_MINOR_MAX)] | None = Field(
        description="In minor units; 0 allows no deposits, null sets no limit.", examples=[50_000]
    )


class WagerBody(Body):
    """What a player has staked."""

    amount: MoneyBody
    metadata: Metadata = Field(default_factory=dict, examples=[{"round": "R-1"}])
