"""Read models that are being built anew beside those that answer."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"

_SQL = Path(__file__).parents[1] / "0004_rebuilds.sql"


def upgrade() -> None:
    # Without parameters, so that a percent sign in the file is a percent sign.
    op.get_bind().exec_driver_sql(
        _SQL.read_text(encoding="utf-8"), execution_options={"no_parameters": True}
    )


def downgrade() -> None:
    raise NotImplementedError("The log is append-only: go back by restoring a backup.")
