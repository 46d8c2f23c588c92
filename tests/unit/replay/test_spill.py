"""A mapping that keeps most of itself in a file is a mapping all the same."""

from random import Random
from uuid import UUID

import pytest

from replay.spill import Spilled


@pytest.mark.parametrize("seed", range(5))
def test_what_goes_to_the_file_is_as_it_was(seed: int) -> None:
    random = Random(seed)
    model: dict[UUID, tuple[int, str]] = {}
    spilled: Spilled[UUID, tuple[int, str]] = Spilled(UUID, tuple[int, str], hot_rows=20)
    keys = [UUID(int=random.getrandbits(128)) for _ in range(200)]
    for step in range(5_000):
        key = random.choice(keys)
        match random.randrange(4):
            case 0 | 1:
                model[key] = spilled[key] = (step, "x" * (step % 7))
            case 2:
                assert spilled.get(key) == model.get(key)
                assert (key in spilled) == (key in model)
            case _:
                assert spilled.pop(key, None) == model.pop(key, None)
        assert len(spilled) == len(model)
    assert sorted(spilled) == sorted(model)
    left = dict(spilled.popitem() for _ in range(len(spilled)))
    assert (left, len(spilled)) == (model, 0)
