"""Who else has to agree: each group of roles needs one person of its own."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.approval.roles import missing_after, missing_groups
from domain.errors import RoleNotAllowed

FRAUD, FINANCE, COMPLIANCE = ("fraud",), ("finance",), ("compliance",)
EITHER = ("fraud", "finance")


def test_where_nobody_is_required_nobody_is_missing() -> None:
    assert missing_groups((), [("ann", "fraud")]) == ()


def test_everybody_is_missing_before_anybody_has_agreed() -> None:
    assert missing_groups((FRAUD, FINANCE), []) == (FRAUD, FINANCE)


def test_a_person_fills_a_group_with_any_role_of_it() -> None:
    assert missing_groups((EITHER,), [("ann", "finance")]) == ()
    assert missing_groups((EITHER,), [("ann", "support")]) == (EITHER,)


def test_a_person_with_two_roles_still_fills_one_group() -> None:
    assert missing_groups((FRAUD, FINANCE), [("ann", "fraud"), ("ann", "finance")]) == (FINANCE,)


def test_a_role_alone_never_fills_two_groups() -> None:
    assert missing_groups((FRAUD, FRAUD), [("ann", "fraud"), ("ann", "fraud")]) == (FRAUD,)


@pytest.mark.parametrize("given", [*permutations([("ann", "fraud"), ("ben", "finance")])])
def test_whoever_could_fill_several_makes_room(given: tuple[tuple[str, str], ...]) -> None:
    assert missing_groups((EITHER, FRAUD), given) == ()
    assert missing_groups((FRAUD, EITHER), given) == ()


def test_several_make_room_in_a_chain() -> None:
    required = (("a", "b"), ("b", "c"), ("a",))
    assert missing_groups(required, [("ann", "a"), ("ben", "b"), ("cid", "c")]) == ()


def test_an_agreement_that_helps_says_who_is_missing_still() -> None:
    assert missing_after((FRAUD, FINANCE), [], person="ann", role="fraud") == (FINANCE,)
    given = [("ann", "fraud")]
    assert missing_after((FRAUD, FINANCE), given, person="ben", role="finance") == ()


@pytest.mark.parametrize("role", ["support", "administrator", "platform", "", "fraud"])
def test_an_agreement_that_helps_nobody_is_refused(role: str) -> None:
    with pytest.raises(RoleNotAllowed):
        missing_after((FRAUD, FINANCE), [("ann", "fraud")], person="ben", role=role)


_ROLE = st.sampled_from("abc")
_GROUPS = st.lists(st.lists(_ROLE, min_size=1, max_size=2, unique=True).map(tuple), max_size=4)
_GIVEN = st.lists(st.tuples(st.sampled_from(["p", "q", "r", "s"]), _ROLE), max_size=6)


@given(required=_GROUPS.map(tuple), given=_GIVEN)
def test_no_assignment_of_persons_leaves_fewer_groups_missing(
    required: tuple[tuple[str, ...], ...], given: list[tuple[str, str]]
) -> None:
    """Compared with trying every assignment there is."""
    persons = sorted({person for person, _ in given})
    roles = {person: {role for who, role in given if who == person} for person in persons}
    seats = [*persons, *[None] * len(required)]
    best = max(
        sum(
            person is not None and not roles[person].isdisjoint(group)
            for person, group in zip(order, required, strict=False)
        )
        for order in set(permutations(seats, len(required)))
    )
    missing = missing_groups(required, given)
    assert len(missing) == len(required) - best
    assert all(group in required for group in missing)
