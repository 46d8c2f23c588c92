"""Events to canonical bytes and back.

The bytes are JSON as RFC 8785 has it (sorted keys, no white space, integers only), so that the
same event always has the same hash. The stream and version are columns of their own and are not
repeated in them. Topics are stable names: moving or renaming a class never touches stored data.
"""

import re
from binascii import hexlify
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import Any, cast, get_origin, get_type_hints
from uuid import UUID

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent

from domain.events import EVENT_TYPES, LedgerEvent

_NOT_IN_STATE = frozenset({"originator_id", "originator_version"})

TOPICS: dict[type[LedgerEvent], str] = {cls: cls.__name__ for cls in EVENT_TYPES}
"""A renamed class keeps its old topic by an entry here; golden samples guard it."""

_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

_LAST_BEFORE_SURROGATES = "\ud7ff"
"""Up to here the encoder's order, by code points, is RFC 8785's, by UTF-16 code units."""

_encoder = msgspec.json.Encoder(order="sorted")

_SAYS_NOTHING = b'"happened_at":null,'
"""Added to what is heard when there was a log already; within a text its quotes are escaped."""


class UnreadableEvent(Exception):
    """Stored bytes are not what this release or any earlier one wrote under that topic."""


def _field_names(cls: type[LedgerEvent]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls) if f.name not in _NOT_IN_STATE)


def _mapping_names(cls: type[LedgerEvent]) -> tuple[str, ...]:
    hints = get_type_hints(cls)
    return tuple(f.name for f in fields(cls) if get_origin(hints[f.name]) is Mapping)


def _added_later(cls: type[LedgerEvent]) -> dict[str, Any]:
    """Fields that have a default, which is what was true before they were added."""
    return {f.name: f.default for f in fields(cls) if f.default is not MISSING}


_FIELDS = {cls: _field_names(cls) for cls in EVENT_TYPES}
_VALUES = {cls: attrgetter(*names) for cls, names in _FIELDS.items()}
_ADDED_LATER = {cls: _added_later(cls) for cls in EVENT_TYPES}
_MAPPINGS = {cls: _mapping_names(cls) for cls in EVENT_TYPES}
_DECODERS: dict[str, Callable[[bytes], LedgerEvent]] = {
    topic: msgspec.json.Decoder(cls).decode for cls, topic in TOPICS.items()
}


def encode(event: LedgerEvent) -> bytes:
    """The canonical bytes of an event, the same as of the release that first knew it.

    What was added to its kind later is left out where it says nothing.

    Raises:
        ValueError: a text in it holds a NUL or half of a surrogate pair.
    """
    cls = type(event)
    values = dict(zip(_FIELDS[cls], _VALUES[cls](event), strict=True))
    for name in _MAPPINGS[cls]:
        if values[name] and max(values[name]) > _LAST_BEFORE_SURROGATES:
            values[name] = _sorted_by_utf_16(values[name])
    for name, default in _ADDED_LATER[cls].items():
        if values[name] == default:
            del values[name]
    state = _encoder.encode(values).replace(_SAYS_NOTHING, b"")
    if b"\\u0000" in state and _ESCAPED_NUL.search(state):
        raise ValueError("an event's text cannot hold a NUL character")
    return state


def _sorted_by_utf_16(mapping: Mapping[str, Any]) -> msgspec.Raw:
    """Members in the order of RFC 8785, section 3.2.3, which the encoder does not know."""
    names = sorted(mapping, key=lambda name: name.encode("utf-16-be"))
    members = (_encoder.encode(name) + b":" + _encoder.encode(mapping[name]) for name in names)
    return msgspec.Raw(b"{" + b",".join(members) + b"}")


def decode(topic: str, state: bytes, stream: UUID, version: int) -> LedgerEvent:
    """The event behind stored bytes.

    Raises:
        UnreadableEvent: no such topic, or the bytes do not fit it.
    """
    return decode_stored(topic, state, stream.bytes, version)


def decode_stored(topic: str, state: bytes, stream: bytes, version: int) -> LedgerEvent:
    """As `decode`, from the 16 bytes of the stream's id: quicker where they are at hand."""
    decoder = _DECODERS.get(topic)
    if decoder is None:
        raise UnreadableEvent(f"no event has the topic {topic!r}")
    if state[:1] != b"{" or state[-1:] != b"}":
        raise UnreadableEvent(f"{topic} {UUID(bytes=stream)} version {version}: not an object")
    # Last, where they win over members of the same name.
    tail = b',"originator_id":"%b","originator_version":%d}' % (hexlify(stream), version)
    try:
        return decoder(state[:-1] + tail)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        told = f"{topic} {UUID(bytes=stream)} version {version}: {error}"
        raise UnreadableEvent(told) from error


class LedgerMapper(Mapper[UUID]):
    """The library's way to reach this codec."""

    def __init__(self) -> None:
        """Needs neither transcoder, compressor nor cipher."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        event = cast("LedgerEvent", domain_event)
        return StoredEvent(
            originator_id=event.originator_id,
            originator_version=event.originator_version,
            topic=TOPICS[type(event)],
            state=encode(event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        return decode(
            stored_event.topic,
            stored_event.state,
            cast("UUID", stored_event.originator_id),
            stored_event.originator_version,
        )
