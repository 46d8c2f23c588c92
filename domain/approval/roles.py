"""Roles: who else has to agree, where each group of roles needs one person of its own.

A group is filled by a person who has any role of it; nobody fills two groups, whatever roles they
have. So that nobody is asked for needlessly, persons are assigned to groups by a maximum matching:
somebody of fraud who could fill `fraud or finance` makes room where only they can fill `fraud`.
"""

from collections.abc import Mapping, Sequence

from domain.errors import RoleNotAllowed

Groups = tuple[tuple[str, ...], ...]
"""One person for each group, who has any role of it."""


def missing_groups(required: Groups, given: Sequence[tuple[str, str]]) -> Groups:
    """The groups for which nobody has agreed yet, in the order of `required`.

    `given` are pairs of person and role, as they agreed; the same person may be named in several
    roles and still fills one group at most.
    """
    roles: dict[str, set[str]] = {}
    for person, role in given:
        roles.setdefault(person, set()).add(role)
    holders: dict[int, str] = {}
    for group in range(len(required)):
        _assign(group, required, roles, holders, tried=set())
    return tuple(group for index, group in enumerate(required) if index not in holders)


def missing_after(
    required: Groups, given: Sequence[tuple[str, str]], *, person: str, role: str
) -> Groups:
    """The groups for which nobody has agreed once `person` does, as `role`.

    Raises:
        RoleNotAllowed: it brings nobody nearer: no group that is missing needs this role.
    """
    before = missing_groups(required, given)
    after = missing_groups(required, (*given, (person, role)))
    if len(after) == len(before):
        raise RoleNotAllowed(_detail(before, role))
    return after


def _detail(missing: Groups, role: str) -> str:
    needed = " and ".join(" or ".join(group) for group in missing) or "nobody else"
    return f"The role {role or 'of a machine'} cannot agree to this; it takes {needed}."


def _assign(
    group: int,
    required: Groups,
    roles: Mapping[str, set[str]],
    holders: dict[int, str],
    tried: set[str],
) -> bool:
    """Find somebody for `group`, moving others to another group they can fill if need be.

    Source: H. W. Kuhn, The Hungarian Method for the assignment problem, 1955 (augmenting paths).
    """
    for person, has in roles.items():
        if person in tried or has.isdisjoint(required[group]):
            continue
        tried.add(person)
        taken = next((index for index, holder in holders.items() if holder == person), None)
        if taken is None or _assign(taken, required, roles, holders, tried):
            holders[group] = person
            return True
    return False
