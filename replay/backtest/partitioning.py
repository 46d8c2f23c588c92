"""Dealing: what the events of one bucket say, to the partitions that judge.

An owner's events are in one bucket, but an instrument, a device or a provider is spoken about in
many. So every signal is dealt to the partition of its subject. Besides, what is wanted of the whole
log is gathered: payouts, policies, and how cases ended.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import Any, Final
from zlib import crc32

import msgspec

from domain.events import (
    EVENT_TYPES,
    ApprovalPolicyPublished,
    FraudCaseClosed,
    LedgerEvent,
    WithdrawalAmended,
    WithdrawalRequested,
)
from projections.fraud.event_signals import SAYS_SOMETHING, signals
from projections.fraud.model import asked_about
from projections.fraud.signals import AnySignal
from replay.archive.fold import columns_of, decoded, seldom_collected, topics_of
from replay.archive.layout import ArchiveError
from replay.backtest.blocks import BlockWriter
from replay.backtest.payouts import FOLLOWED, Payout, Payouts
from replay.progress import peak_memory_mb

_REQUESTS: Final = frozenset((WithdrawalRequested, WithdrawalAmended))
_ABOUT_ALL: Final = frozenset((ApprovalPolicyPublished, FraudCaseClosed))
_NOT_BEFORE: Final = topics_of(frozenset(EVENT_TYPES) - SAYS_SOMETHING - FOLLOWED - _ABOUT_ALL)
_NOT_AFTERWARDS: Final = topics_of(frozenset(EVENT_TYPES) - FOLLOWED - _ABOUT_ALL)


class Dealt(msgspec.Struct, array_like=True):
    """A signal on its way to a partition."""

    position: int
    asked: bool
    """It is of a payout request, which is judged by what it is about."""
    signal: AnySignal


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What is wanted of the whole log, as far as one bucket has it."""

    events: int
    signals: int
    policies: tuple[tuple[int, int], ...]
    """Position, and from which score on people are asked."""
    closed: tuple[tuple[int, str, str], ...]
    """Cases that have ended: position, subject, decision."""
    worker: str
    """Which process: its id, and the machine's name."""
    peak_memory_mb: float


def signals_file(scratch: Path, bucket: int) -> Path:
    """`Dealt`, a sequence for each partition, by position."""
    return scratch / f"signals-{bucket:03}"


def payouts_file(scratch: Path, bucket: int) -> Path:
    """`Payout`, by position."""
    return scratch / f"payouts-{bucket:03}"


def partition_of(subject: str, partitions: int) -> int:
    """Where a subject is judged: CRC-32 of its name, modulo their number."""
    return crc32(subject.encode()) % partitions


def deal_bucket(
    folder: Path, scratch: Path, partitions: int, before: int, end: int, bucket: int
) -> Gathered:
    """Deal out what a bucket's events say.

    Args:
        folder: of the archive.
        scratch: where the files go; every worker has to see it.
        partitions: how many to deal to.
        before: signals are of earlier positions.
        end: up to this position, outcomes are looked at.
        bucket: which.

    Raises:
        ArchiveError: a file cannot be read, or an event not understood.
    """
    with seldom_collected(), BlockWriter[Dealt](signals_file(scratch, bucket), partitions) as file:
        dealing = _Dealing(file, partitions, before)
        for columns in columns_of(folder, bucket, end):
            dealing.take(columns)
        with BlockWriter[Payout](payouts_file(scratch, bucket)) as payouts:
            for payout in dealing.payouts.in_order():
                payouts.add(payout)
    return dealing.gathered()


class _Dealing:
    """One bucket, while it is dealt out."""

    def __init__(self, file: BlockWriter[Dealt], partitions: int, before: int) -> None:
        self.payouts = Payouts(before)
        self._file = file
        self._partitions = partitions
        self._before = before
        self._events = 0
        self._signals = 0
        self._policies: list[tuple[int, int]] = []
        self._closed: list[tuple[int, str, str]] = []

    def take(self, columns: list[list[Any]]) -> None:
        """Events that follow each other within the bucket."""
        self._events += len(columns[0])
        skipped = _NOT_BEFORE if columns[0][0] < self._before else _NOT_AFTERWARDS
        for recorded in decoded(columns, skipped):
            event, position = recorded.event, recorded.position
            try:
                if position < self._before:
                    self._deal(event, position)
                if type(event) in FOLLOWED:
                    self.payouts.take(event, position)
                elif type(event) in _ABOUT_ALL:
                    self._gather(event, position)
            except Exception as error:
                told = f"Position {position} cannot be judged: {error}"
                raise ArchiveError(told) from error

    def _deal(self, event: LedgerEvent, position: int) -> None:
        said = signals(event, position)
        if not said:
            return
        self._signals += len(said)
        asked: list[AnySignal] = []
        if type(event) in _REQUESTS:
            asked = asked_about(said)
        for signal in said:
            dealt = Dealt(position, signal in asked, signal)
            self._file.add(dealt, partition_of(signal.subject, self._partitions))

    def _gather(self, event: LedgerEvent, position: int) -> None:
        match event:
            case ApprovalPolicyPublished():
                self._policies.append((position, event.terms.score_below))
            case FraudCaseClosed():
                self._closed.append((position, event.subject, event.decision))
            case _:
                pass

    def gathered(self) -> Gathered:
        return Gathered(
            events=self._events,
            signals=self._signals,
            policies=tuple(self._policies),
            closed=tuple(self._closed),
            worker=f"{os.getpid()}@{gethostname()}",
            peak_memory_mb=peak_memory_mb(),
        )
