"""How simulated payments go, and how often each way is taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeVar, assert_never

from domain.events.evidence import DeclineCode
from ledger.providers.simulator.wire import Kind, Status

_Name = TypeVar("_Name", bound=StrEnum)

PLAYER_METHODS: Final = frozenset({"redirect", "bank_transfer", "voucher"})
"""Deposit methods where the player has to act on a page of the provider's."""


class Profile(StrEnum):
    """The way one payment goes."""

    IMMEDIATE_SUCCESS = "immediate_success"
    LATER_SUCCESS = "later_success"
    AUTHORISED_CAPTURED = "authorised_captured"
    AUTHORISED_VOIDED = "authorised_voided"
    DECLINED = "declined"

    PLAYER_PAYS = "player_pays"
    PLAYER_DECLINES = "player_declines"
    PLAYER_ABANDONS = "player_abandons"

    PAID_AT_ONCE = "paid_at_once"
    PAID_LATER = "paid_later"
    PAYOUT_DECLINED_HARD = "payout_declined_hard"
    PAYOUT_DECLINED_SOFT = "payout_declined_soft"
    PAYOUT_RETURNED = "payout_returned"

    REFUNDED_AT_ONCE = "refunded_at_once"
    REFUNDED_LATER = "refunded_later"
    REFUND_DECLINED = "refund_declined"
    REFUND_REVERSED = "refund_reversed"

    EXECUTED_AT_ONCE = "executed_at_once"
    EXECUTED_LATER = "executed_later"
    EXECUTED_AFTER_SILENCE = "executed_after_silence"
    """Nothing is heard for so long that the receiver has to ask."""
    CONVERSION_DECLINED = "conversion_declined"


class DisputeProfile(StrEnum):
    """The way one dispute goes if it is contested in time."""

    INQUIRY_WITHDRAWN = "inquiry_withdrawn"
    """The player gives it up; no money moves and no answer is awaited."""
    CHARGEBACK_WON = "chargeback_won"
    CHARGEBACK_LOST = "chargeback_lost"
    PRE_ARBITRATION_WON = "pre_arbitration_won"
    """Won as a chargeback, opened again, and won again."""
    PRE_ARBITRATION_LOST = "pre_arbitration_lost"


@dataclass(frozen=True, slots=True)
class Script:
    """What the answer may say (one of `answers`), and which statuses follow, in order."""

    answers: tuple[Status, ...]
    statuses: tuple[Status, ...]


# A status that the answer already gave is announced by webhook all the same, as providers do.
SCRIPTS: Final[Mapping[Profile, Script]] = MappingProxyType(
    {
        Profile.IMMEDIATE_SUCCESS: Script((Status.SUCCEEDED,), (Status.SUCCEEDED,)),
        Profile.LATER_SUCCESS: Script((Status.ACCEPTED,), (Status.SUCCEEDED,)),
        Profile.AUTHORISED_CAPTURED: Script(
            (Status.AUTHORISED, Status.ACCEPTED), (Status.AUTHORISED, Status.SUCCEEDED)
        ),
        Profile.AUTHORISED_VOIDED: Script(
            (Status.AUTHORISED, Status.ACCEPTED), (Status.AUTHORISED, Status.VOIDED)
        ),
        Profile.DECLINED: Script((Status.DECLINED, Status.ACCEPTED), (Status.DECLINED,)),
        Profile.PLAYER_PAYS: Script((Status.AWAITING_PLAYER,), (Status.SUCCEEDED,)),
        Profile.PLAYER_DECLINES: Script((Status.AWAITING_PLAYER,), (Status.DECLINED,)),
        Profile.PLAYER_ABANDONS: Script((Status.AWAITING_PLAYER,), ()),
        Profile.PAID_AT_ONCE: Script((Status.SUCCEEDED,), (Status.SUCCEEDED,)),
        Profile.PAID_LATER: Script((Status.ACCEPTED,), (Status.PENDING, Status.SUCCEEDED)),
        Profile.PAYOUT_DECLINED_HARD: Script(
            (Status.DECLINED, Status.ACCEPTED), (Status.DECLINED,)
        ),
        Profile.PAYOUT_DECLINED_SOFT: Script(
            (Status.DECLINED, Status.ACCEPTED), (Status.DECLINED,)
        ),
        Profile.PAYOUT_RETURNED: Script((Status.ACCEPTED,), (Status.PENDING, Status.SUCCEEDED)),
        Profile.REFUNDED_AT_ONCE: Script((Status.SUCCEEDED,), (Status.SUCCEEDED,)),
        Profile.REFUNDED_LATER: Script(
            (Status.PENDING, Status.ACCEPTED), (Status.PENDING, Status.SUCCEEDED)
        ),
        Profile.REFUND_DECLINED: Script((Status.DECLINED, Status.ACCEPTED), (Status.DECLINED,)),
        Profile.REFUND_REVERSED: Script(
            (Status.PENDING, Status.ACCEPTED), (Status.PENDING, Status.SUCCEEDED)
        ),
        Profile.EXECUTED_AT_ONCE: Script((Status.SUCCEEDED,), (Status.SUCCEEDED,)),
        Profile.EXECUTED_LATER: Script((Status.ACCEPTED,), (Status.PENDING, Status.SUCCEEDED)),
        Profile.EXECUTED_AFTER_SILENCE: Script((Status.ACCEPTED,), (Status.SUCCEEDED,)),
        Profile.CONVERSION_DECLINED: Script((Status.DECLINED, Status.ACCEPTED), (Status.DECLINED,)),
    }
)

_DEPOSITS: Final = MappingProxyType(
    {
        Profile.IMMEDIATE_SUCCESS: 40,
        Profile.LATER_SUCCESS: 25,
        Profile.AUTHORISED_CAPTURED: 15,
        Profile.AUTHORISED_VOIDED: 4,
        Profile.DECLINED: 16,
    }
)
_PLAYER_DEPOSITS: Final = MappingProxyType(
    {Profile.PLAYER_PAYS: 75, Profile.PLAYER_DECLINES: 13, Profile.PLAYER_ABANDONS: 12}
)
_PAYOUTS: Final = MappingProxyType(
    {
        Profile.PAID_AT_ONCE: 30,
        Profile.PAID_LATER: 55,
        Profile.PAYOUT_DECLINED_HARD: 5,
        Profile.PAYOUT_DECLINED_SOFT: 6,
        Profile.PAYOUT_RETURNED: 4,
    }
)
_REFUNDS: Final = MappingProxyType(
    {
        Profile.REFUNDED_AT_ONCE: 40,
        Profile.REFUNDED_LATER: 46,
        Profile.REFUND_DECLINED: 8,
        Profile.REFUND_REVERSED: 6,
    }
)
_CONVERSIONS: Final = MappingProxyType(
    {
        Profile.EXECUTED_AT_ONCE: 60,
        Profile.EXECUTED_LATER: 25,
        Profile.EXECUTED_AFTER_SILENCE: 5,
        Profile.CONVERSION_DECLINED: 10,
    }
)
_DISPUTES: Final = MappingProxyType(
    {
        DisputeProfile.INQUIRY_WITHDRAWN: 20,
        DisputeProfile.CHARGEBACK_WON: 25,
        DisputeProfile.CHARGEBACK_LOST: 30,
        DisputeProfile.PRE_ARBITRATION_WON: 10,
        DisputeProfile.PRE_ARBITRATION_LOST: 15,
    }
)

RETURNED: Final = frozenset({Profile.PAYOUT_RETURNED, Profile.REFUND_REVERSED})
"""Profiles whose success is taken back by a bank."""

DECLINE_CODES: Final = (
    DeclineCode.INSUFFICIENT_FUNDS,
    DeclineCode.INSUFFICIENT_FUNDS,
    DeclineCode.DO_NOT_HONOUR,
    DeclineCode.DO_NOT_HONOUR,
    DeclineCode.SUSPECTED_FRAUD,
    DeclineCode.EXPIRED_INSTRUMENT,
    DeclineCode.LIMIT_EXCEEDED,
    DeclineCode.AUTHENTICATION_FAILED,
)
"""Why deposits are declined; a code listed twice is twice as likely."""

RAW_CODES: Final[Mapping[DeclineCode, str]] = MappingProxyType(
    {
        DeclineCode.INSUFFICIENT_FUNDS: "51",
        DeclineCode.DO_NOT_HONOUR: "05",
        DeclineCode.SUSPECTED_FRAUD: "59",
        DeclineCode.EXPIRED_INSTRUMENT: "54",
        DeclineCode.LIMIT_EXCEEDED: "61",
        DeclineCode.AUTHENTICATION_FAILED: "1A",
        DeclineCode.ACCOUNT_CLOSED: "AC04",
        DeclineCode.PROVIDER_ERROR: "96",
    }
)
"""The code of the scheme: ISO 8583 response codes, and ISO 20022 `AC04` for a closed account."""


class InvalidWeights(ValueError):
    """The text names no such profile, or leaves a group of profiles without any weight."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How often each profile is taken, relative to the others of its group."""

    deposits: Mapping[Profile, int] = field(default_factory=lambda: _DEPOSITS)
    player_deposits: Mapping[Profile, int] = field(default_factory=lambda: _PLAYER_DEPOSITS)
    payouts: Mapping[Profile, int] = field(default_factory=lambda: _PAYOUTS)
    refunds: Mapping[Profile, int] = field(default_factory=lambda: _REFUNDS)
    conversions: Mapping[Profile, int] = field(default_factory=lambda: _CONVERSIONS)
    disputes: Mapping[DisputeProfile, int] = field(default_factory=lambda: _DISPUTES)

    def group(self, kind: Kind, method: str) -> Mapping[Profile, int]:
        """The profiles that a payment of this kind and method may take."""
        match kind:
            case Kind.DEPOSIT:
                return self.player_deposits if method in PLAYER_METHODS else self.deposits
            case Kind.PAYOUT:
                return self.payouts
            case Kind.REFUND:
                return self.refunds
            case Kind.CONVERSION:
                return self.conversions
            case _:
                assert_never(kind)


DEFAULT_WEIGHTS: Final = Weights()


def parse_weights(text: str) -> Weights:
    """Read `declined=0,payout_returned=50`; profiles not named keep their usual weight.

    Raises:
        InvalidWeights: an unknown profile, a weight that is not a whole number from 0 to
            1,000,000, or a group whose weights are all zero.
    """
    given: dict[str, int] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = (part.strip() for part in item.partition("="))
        given[_known(name)] = _weight(name, weight)
    return Weights(
        deposits=_override(_DEPOSITS, given),
        player_deposits=_override(_PLAYER_DEPOSITS, given),
        payouts=_override(_PAYOUTS, given),
        refunds=_override(_REFUNDS, given),
        conversions=_override(_CONVERSIONS, given),
        disputes=_override(_DISPUTES, given),
    )


def _known(name: str) -> str:
    known = (*Profile, *DisputeProfile)
    if name not in known:
        raise InvalidWeights(f"{name!r} is no profile; the profiles are {', '.join(known)}")
    return name


def _weight(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 1_000_000):
        raise InvalidWeights(f"the weight of {name} is no whole number up to 1000000: {text!r}")
    return int(text)


def _override(usual: Mapping[_Name, int], given: Mapping[str, int]) -> Mapping[_Name, int]:
    weights = {profile: given.get(profile, weight) for profile, weight in usual.items()}
    if not any(weights.values()):
        raise InvalidWeights(f"one of {', '.join(usual)} needs a weight above 0")
    return MappingProxyType(weights)
