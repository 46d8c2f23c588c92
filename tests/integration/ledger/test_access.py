"""Keys on a real database: whose they are, and that a person has one role."""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import psycopg
import pytest

from ledger.access.api_keys import (
    Holder,
    Keys,
    PersonHasOtherRole,
    StaffRole,
    create_key,
    list_keys,
    revoke_key,
)
from ledger.eventstore.database import Role, conninfo, migrate
from ledger.settings import Settings


@pytest.fixture
def owner(database: Settings) -> str:
    return conninfo(database, Role.OWNER)


@pytest.mark.parametrize("role", StaffRole)
def test_a_key_tells_who_holds_it_and_in_which_role(
    module_database: Settings, role: StaffRole
) -> None:
    owner = conninfo(module_database, Role.OWNER)
    keys = Keys(conninfo(module_database, Role.WRITER))
    try:
        key = create_key(owner, f"ann-{role}", role)
        assert keys.remembered(key) is None
        assert keys.holder_of(key) == keys.remembered(key) == Holder(f"ann-{role}", role)
        other = key[:-1] + ("0" if key[-1] != "0" else "1")
        assert keys.holder_of(other) is None
    finally:
        keys.close()
    assert {key.person: key.role for key in list_keys(owner)}[f"ann-{role}"] is role


def test_a_person_has_one_role_over_all_their_keys(owner: str) -> None:
    """What they may not approve with one key they may not approve with another."""
    first = create_key(owner, "dora", StaffRole.SUPPORT)
    second = create_key(owner, "dora", StaffRole.SUPPORT)
    for key in (first, second):
        with pytest.raises(PersonHasOtherRole):
            create_key(owner, "dora", StaffRole.COMPLIANCE)
        revoke_key(owner, key.split("_")[1])
    create_key(owner, "dora", StaffRole.COMPLIANCE)


def test_nor_do_keys_made_at_once_give_them_two(owner: str) -> None:
    def make(role: StaffRole) -> StaffRole | None:
        try:
            create_key(owner, "dora", role)
        except PersonHasOtherRole:
            return None
        return role

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, islice(cycle(StaffRole), 21)))
    assert len({role for role in made if role is not None}) == 1
    assert len({key.role for key in list_keys(owner)}) == 1


def test_the_database_knows_the_same_roles(owner: str) -> None:
    insert = "INSERT INTO api_keys (id, person, role, secret_hash) VALUES (%s, %s, %s, '')"
    with psycopg.connect(owner, autocommit=True) as connection:
        for role in StaffRole:
            connection.execute(insert, [role, role, role])
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(insert, ["boss", "boss", "boss"])


def test_keys_from_before_there_were_roles_may_still_do_everything(
    database: Settings, owner: str
) -> None:
    with psycopg.connect(owner) as connection:
        connection.execute("ALTER TABLE api_keys DROP COLUMN role")
        connection.execute("ALTER TABLE ledger_accounts DROP CONSTRAINT name_fits_the_index")
        connection.execute(
            "DROP TABLE ledger_checkpoints, ledger_signers, ledger_subtrees, rebuilds, export_jobs"
        )
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.execute("INSERT INTO api_keys (id, person, secret_hash) VALUES ('k', 'ann', '')")
    migrate(database)
    assert [(key.person, key.role) for key in list_keys(owner)] == [
        ("ann", StaffRole.ADMINISTRATOR)
    ]
