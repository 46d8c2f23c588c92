"""How a dispute will go, decided beforehand.

What the player's bank does is a pure function of the seed and the deposit's reference. What the
merchant answers is not ours to decide, so a story says how it goes on for each answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import factorial
from types import MappingProxyType
from typing import Final, assert_never

from domain.events.evidence import DisputeNews, DisputeStage
from domain.money import Money
from tallystick.play.simulator.dice import Dice, name_of
from tallystick.play.simulator.faults import AnswerFault, Damage, Fault, Faults
from tallystick.play.simulator.profiles import DisputeProfile

# Simulated seconds, before the time scale: the shortest and the longest of each.
BEGIN_SECONDS: Final = (1.0, 5.0)
STEP_SECONDS: Final = (0.05, 0.5)
LATE_NOTICE_SECONDS: Final = (3.0, 10.0)

REASON_CODES: Final = ("10.4", "13.1", "13.3", "4837", "4853", "UA02")
"""Of the card schemes: fraud, not received, not as described."""

News = tuple[DisputeStage, DisputeNews]


class Response(StrEnum):
    """What the merchant said at one stage."""

    CONTESTED = "contested"
    ACCEPTED = "accepted"
    SILENT = "silent"
    """Nothing, until the time for it was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One stage of a dispute."""

    stage: DisputeStage
    contested_ends: DisputeNews
    """`won` or `lost`, if it is contested in time; `withdrawn` where no answer is awaited."""
    funds_at_opening: bool
    """The money is taken when the dispute is opened, and not only when it is lost."""

    @property
    def waits(self) -> bool:
        """The story goes on only when the dispute is answered or the time for it is over."""
        return self.contested_ends is not DisputeNews.WITHDRAWN

    @property
    def opening(self) -> tuple[DisputeNews, ...]:
        """What happens before any answer; all there is, if none is awaited."""
        if not self.waits:
            return (DisputeNews.OPENED, DisputeNews.WITHDRAWN)
        if not self.funds_at_opening:
            return (DisputeNews.OPENED, DisputeNews.EVIDENCE_DUE)
        return (DisputeNews.OPENED, DisputeNews.FUNDS_WITHDRAWN, DisputeNews.EVIDENCE_DUE)

    def closing(self, response: Response) -> tuple[DisputeNews, ...]:
        """What happens after the answer, or for want of one."""
        taken = () if self.funds_at_opening else (DisputeNews.FUNDS_WITHDRAWN,)
        match response:
            case Response.SILENT:
                return (DisputeNews.EXPIRED, *taken)
            case Response.ACCEPTED:
                return (DisputeNews.LOST, *taken)
            case Response.CONTESTED if self.contested_ends is DisputeNews.LOST:
                return (DisputeNews.UNDER_REVIEW, DisputeNews.LOST, *taken)
            case Response.CONTESTED:
                given_back = (DisputeNews.FUNDS_REINSTATED,) if self.funds_at_opening else ()
                return (DisputeNews.UNDER_REVIEW, DisputeNews.WON, *given_back)
            case _:
                assert_never(response)

    def won(self, response: Response) -> bool:
        """Whether the merchant won, so that the next round, if there is one, begins."""
        return response is Response.CONTESTED and self.contested_ends is DisputeNews.WON


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputePlan:
    """The scripted life of one dispute."""

    reference: str
    """The simulator's own name of it; the same in every round."""
    profile: DisputeProfile
    rounds: tuple[Round, ...]
    """Each after the first only if the one before it was won."""
    half: bool
    """Half of the deposit is contested, rather than all of it."""
    reason_code: str
    begin_seconds: float
    """After the deposit's last webhook; simulated seconds, like those that follow."""
    step_seconds: float
    late_seconds: float
    """How late the first delivery after the answer leaves."""
    lost_seconds: float
    """How late a webhook comes that was lost at first."""
    shuffle: int | None = None
    """Decides in which wrong order the news of one half of a round are delivered; None: in the
    order in which they happened."""
    lost_first: int | None = None
    """Decides which of them is lost at first and comes after the others; None: none."""
    duplicate: bool = False
    damage: Damage | None = None
    answer_fault: AnswerFault | None = None
    """What goes wrong with the answer to the merchant's first answer of each round."""

    def contested(self, captured: Money) -> Money:
        """How much of the deposit the dispute is about."""
        return Money(max(1, captured.amount // 2), captured.currency) if self.half else captured

    def deliveries(self, news: tuple[DisputeNews, ...]) -> tuple[DisputeNews, ...]:
        """The order in which the news of one half of a round arrive for the first time."""
        ordered = news if self.shuffle is None else _wrong_order(news, self.shuffle)
        if self.lost_first is None:
            return ordered
        lost = ordered[self.lost_first % len(ordered)]
        return (*(each for each in ordered if each is not lost), lost)

    def story(
        self, responses: Mapping[DisputeStage, Response] = MappingProxyType({})
    ) -> tuple[News, ...]:
        """Everything that happens, in order, if the merchant says this; silent where not named."""
        return tuple(each for half in self._halves(responses) for each in half)

    def delivered(
        self, responses: Mapping[DisputeStage, Response] = MappingProxyType({})
    ) -> tuple[News, ...]:
        """The same in the order of the first deliveries.

        What happens before an answer is never told after what happens because of it, nor one
        round after the next: what a receiver ends up with would depend on timing.
        """
        told: list[News] = []
        for half in self._halves(responses):
            news = tuple(each for _, each in half)
            told += [(half[0][0], each) for each in self.deliveries(news)]
        return tuple(told)

    def takes_money(
        self, responses: Mapping[DisputeStage, Response] = MappingProxyType({})
    ) -> bool:
        """Whether the contested money is gone in the end."""
        news = [each for _, each in self.story(responses)]
        taken = news.count(DisputeNews.FUNDS_WITHDRAWN)
        return taken > news.count(DisputeNews.FUNDS_REINSTATED)

    def _halves(self, responses: Mapping[DisputeStage, Response]) -> list[tuple[News, ...]]:
        halves: list[tuple[News, ...]] = []
        for each in self.rounds:
            halves.append(tuple((each.stage, news) for news in each.opening))
            if not each.waits:
                break
            response = responses.get(each.stage, Response.SILENT)
            halves.append(tuple((each.stage, news) for news in each.closing(response)))
            if not each.won(response):
                break
        return halves


_CHARGEBACK, _AGAIN = DisputeStage.CHARGEBACK, DisputeStage.PRE_ARBITRATION
_ENDS: Final[Mapping[DisputeProfile, tuple[News, ...]]] = MappingProxyType(
    {
        DisputeProfile.INQUIRY_WITHDRAWN: ((DisputeStage.INQUIRY, DisputeNews.WITHDRAWN),),
        DisputeProfile.CHARGEBACK_WON: ((_CHARGEBACK, DisputeNews.WON),),
        DisputeProfile.CHARGEBACK_LOST: ((_CHARGEBACK, DisputeNews.LOST),),
        DisputeProfile.PRE_ARBITRATION_WON: (
            (_CHARGEBACK, DisputeNews.WON),
            (_AGAIN, DisputeNews.WON),
        ),
        DisputeProfile.PRE_ARBITRATION_LOST: (
            (_CHARGEBACK, DisputeNews.WON),
            (_AGAIN, DisputeNews.LOST),
        ),
    }
)


def plan_dispute(
    seed: int, reference: str, faults: Faults, weights: Mapping[DisputeProfile, int]
) -> DisputePlan:
    """The dispute about the deposit with this reference.

    News are never dropped for good, since nobody can ask about a dispute: what the `drop` fault
    loses comes after everything else.
    """
    dice = Dice(seed, f"{reference} disputed", faults)
    profile = dice.weighted(weights)
    delayed = dice.has(Fault.DELAY)
    return DisputePlan(
        reference=name_of("dsp", dice.number("name")),
        profile=profile,
        rounds=tuple(
            Round(
                stage=stage,
                contested_ends=ends,
                funds_at_opening=ends is not DisputeNews.WITHDRAWN
                and dice.number(f"funds {stage}") % 4 > 0,
            )
            for stage, ends in _ENDS[profile]
        ),
        half=dice.number("half") % 4 == 0,
        reason_code=REASON_CODES[dice.number("reason") % len(REASON_CODES)],
        begin_seconds=dice.seconds("begin", BEGIN_SECONDS),
        step_seconds=dice.seconds("step", STEP_SECONDS),
        late_seconds=dice.seconds("notice delay", LATE_NOTICE_SECONDS) if delayed else 0.0,
        lost_seconds=dice.seconds("lost", LATE_NOTICE_SECONDS),
        shuffle=dice.number("shuffle") if dice.has(Fault.REORDER) else None,
        lost_first=dice.number("lost first") if dice.has(Fault.DROP) else None,
        duplicate=dice.has(Fault.DUPLICATE),
        damage=dice.damage(),
        answer_fault=dice.answer_fault(),
    )


def _wrong_order(news: tuple[DisputeNews, ...], number: int) -> tuple[DisputeNews, ...]:
    """An order of the news other than the given one, if there is any."""
    orders_count = factorial(len(news))
    if orders_count == 1:
        return news
    # Order 0 is the given one: position by position, the first of those that are left.
    index = 1 + number % (orders_count - 1)
    left, ordered = list(news), []
    while left:
        position, index = divmod(index, factorial(len(left) - 1))
        ordered.append(left.pop(position))
    return tuple(ordered)
