"""The domain's `replace` does what the library's does, for every dataclass of the domain."""

import dataclasses
import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any

import pytest

import domain
from domain.replacing import replace
from tests.generators.event_samples import SAMPLE


def dataclasses_of_the_domain() -> list[type]:
    found: set[type] = set()
    for module in pkgutil.walk_packages(domain.__path__, "domain."):
        for each in vars(importlib.import_module(module.name)).values():
            if isinstance(each, type) and dataclasses.is_dataclass(each):
                found.add(each)
    return sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__))


@pytest.mark.parametrize("event", SAMPLE.values(), ids=lambda event: type(event).__name__)
def test_it_is_the_same_as_with_the_library(event: Any) -> None:
    for field in dataclasses.fields(event):
        made = replace(event, **{field.name: None})
        assert made == dataclasses.replace(event, **{field.name: None})
        assert type(made) is type(event)
    assert replace(event) == event
    assert replace(event) is not event


def test_nothing_in_the_domain_needs_more_than_its_slots_copied() -> None:
    found = dataclasses_of_the_domain()
    assert len(found) > 50
    for kind in found:
        assert not hasattr(kind, "__post_init__"), kind
        for field in dataclasses.fields(kind):
            assert hasattr(getattr(kind, field.name), "__set__"), (kind, field.name)


def test_a_field_that_is_not_there_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class One:
        field: int

    assert replace(One(1), field=2) == One(2)
    with pytest.raises(KeyError, match="other"):
        replace(One(1), other=2)  # type: ignore[call-arg]
