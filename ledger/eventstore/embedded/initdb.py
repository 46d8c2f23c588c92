"""What the embedded PostgreSQL is made with: its data folder, its superuser and its settings."""

import os
import shutil

from ledger.eventstore.embedded.binaries import Binaries
from ledger.eventstore.embedded.home import EmbeddedPostgresError, Home

ADMIN = "tallystick_admin"
"""The server's superuser; only `prepare` and the tests act as it."""

_CONFIGURATION = """\
# Written by tallystick at every start; put changes below the include in postgresql.conf.
listen_addresses = ''
port = 5432
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
max_connections = 100
fsync = on
full_page_writes = on
synchronous_commit = on
shared_buffers = 256MB
max_wal_size = 2GB
min_wal_size = 256MB
checkpoint_timeout = 10min
random_page_cost = 1.1
jit = off
timezone = 'UTC'
lc_messages = 'C'
logging_collector = on
log_directory = '{log_dir}'
log_filename = 'postgres-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d %a '
"""


def initialise(home: Home, binaries: Binaries) -> None:
    """Make the data folder. It gets its name last, so a half-made one is never taken for one.

    Raises:
        EmbeddedPostgresError: with what initdb said.
    """
    draft = home.root / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    locale = ["--locale=C", "--encoding=UTF8"]
    if binaries.major >= 17:  # the same order and case rules on every platform, and fast
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    exit_status, output = home.user.run(
        binaries / "initdb",
        f"--pgdata={draft}",
        f"--username={ADMIN}",
        "--auth-local=trust",
        "--auth-host=reject",
        "--data-checksums",
        *locale,
        cwd=home.root,
    )
    if exit_status != 0:
        raise EmbeddedPostgresError(
            f"initdb failed in {home.root}:\n{output}",
            remedy="Free disk space or choose another folder with TALLYSTICK_DATA.",
        )
    with (draft / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write("\ninclude 'tallystick.conf'\n")
    draft.rename(home.data_dir)


def write_configuration(home: Home) -> None:
    """Put our settings, with the folders of today, where postgresql.conf includes them."""
    text = _CONFIGURATION.format(
        socket_dir=home.socket_dir,  # free of quotes, by Home.socket_dir
        log_dir=str(home.log_dir).replace("\\", "\\\\").replace("'", "''"),
    )
    path = home.data_dir / "tallystick.conf"
    draft = home.data_dir / "tallystick.conf.new"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        if home.user.dropped:
            os.fchown(file.fileno(), home.user.uid, home.user.gid)
    draft.replace(path)
