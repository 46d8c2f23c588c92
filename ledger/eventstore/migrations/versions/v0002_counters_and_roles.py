"""Counters beside the accounts; a role for every key."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

_SQL = Path(__file__).parents[1] / "0002_counters_and_roles.sql"


def upgrade() -> None:
    # Without parameters, so that a percent sign in the file is a percent sign.
    op.get_bind().exec_driver_sql(
        _SQL.read_text(encoding="utf-8"), execution_options={"no_parameters": True}
    )


def downgrade() -> None:
    raise NotImplementedError("The log is append-only: go back by restoring a backup.")
