"""Replay: fold a whole archive on an engine, and add up what comes out."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import monotonic

import msgspec

from replay.archive import layout
from replay.archive.fold import BUCKET_LOCAL, Bucket, fold_bucket
from replay.archive.layout import ArchiveError
from replay.engines import Engine, Serial
from replay.progress import peak_memory_mb

OnProgress = Callable[[int, int], None]
"""Events folded, events in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What was posted in one currency, in minor units."""

    moved_minor: int
    """To any account's credit."""
    net_minor: int
    """To all accounts together: 0, or something was posted on one side only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What an archive comes to. Everything but the last three is the same on every engine."""

    position: int
    events: int
    digest: str
    """Over everything below."""
    buckets: tuple[Bucket, ...]
    accounts: int
    """And counters, of those that are not at 0."""
    accounts_digest: str
    currencies: Mapping[str, Moved]
    engine: str
    elapsed_s: float
    peak_memory_mb: float


def replay_archive(
    folder: Path,
    engine: Engine | None = None,
    models: Collection[str] = tuple(BUCKET_LOCAL),
    *,
    upto: int | None = None,
    on_progress: OnProgress = lambda _done, _total: None,
) -> Replayed:
    """Fold the archive in `folder`, up to a position or to its end.

    Raises:
        ArchiveError: a file cannot be read or an event not folded, or `upto` is beyond its end.
        EngineError: the engine gave up.
    """
    began = monotonic()
    engine = engine or Serial()
    manifest = layout.load(folder)
    end = manifest.position if upto is None else upto
    if not 0 <= end <= manifest.position:
        raise ArchiveError(f"The archive ends at position {manifest.position}: it has no {end}.")
    folding = partial(fold_bucket, folder.resolve(), tuple(sorted(models)), end)
    found: list[Bucket] = []
    balances: Counter[str] = Counter()
    moved: Counter[str] = Counter()
    net: Counter[str] = Counter()
    events = 0
    for _, bucket in engine.map(folding, range(manifest.buckets)):
        balances.update(bucket.balances)
        moved.update(bucket.moved_minor)
        net.update(bucket.net_minor)
        events += bucket.events
        found.append(replace(bucket, balances={}))  # merged; of all buckets they would add up
        on_progress(events, end)
    if events != end:
        raise ArchiveError(
            f"The files hold {events} events up to position {end}: `tallystick archive verify`"
            " says which are missing."
        )
    found.sort(key=lambda bucket: bucket.bucket)
    kept = [(name, balances[name]) for name in sorted(balances, key=str.encode) if balances[name]]
    digest = accounts_digest(kept)
    currencies = {
        currency: Moved(moved_minor=moved[currency], net_minor=net[currency])
        for currency in sorted(moved)
    }
    return Replayed(
        position=end,
        events=events,
        digest=_overall(end, found, digest, currencies),
        buckets=tuple(found),
        accounts=len(kept),
        accounts_digest=digest,
        currencies=currencies,
        engine=engine.name,
        elapsed_s=round(monotonic() - began, 3),
        peak_memory_mb=peak_memory_mb(),
    )


def accounts_digest(balances: Iterable[tuple[str, int]]) -> str:
    """SHA-256 of names and balances, in the order of the names' bytes, a line of JSON each."""
    digest = sha256()
    for name, balance in balances:
        digest.update(msgspec.json.encode((name, balance)) + b"\n")
    return digest.hexdigest()


def _overall(
    position: int, buckets: Sequence[Bucket], accounts: str, currencies: Mapping[str, Moved]
) -> str:
    told = {
        "position": position,
        "buckets": [[b.bucket, b.events, dict(sorted(b.digests.items()))] for b in buckets],
        "accounts": accounts,
        "currencies": {name: [m.moved_minor, m.net_minor] for name, m in currencies.items()},
    }
    return sha256(msgspec.json.encode(told)).hexdigest()
