"""Where the embedded PostgreSQL lives, and as which operating system user it runs.

PostgreSQL refuses to run as root, so root hands its folder to an unprivileged user that exists
already. No user is created and no existing folder is opened up: where that user cannot enter the
data folder, the cluster is kept under `Settings.system_data` and a pointer file says so.
"""

import hashlib
import os
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.eventstore.setup_error import SetupError
from ledger.settings import Settings

_PREFERRED_USERS = ("tallystick", "postgres", "nobody")
_POINTER = "postgres.location"
_SOCKET_NAME = ".s.PGSQL.5432"
_SOCKET_PATH_BYTES_MAX = 107  # sun_path of sockaddr_un on Linux, less its final NUL
_SOCKET_PATH_BYTES_MAX_BSD = 103


class EmbeddedPostgresError(SetupError):
    """The embedded PostgreSQL cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUser:
    """The operating system user PostgreSQL runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    dropped: bool
    """We are root and have to become this user first."""

    def popen(self, argv: Sequence[str | Path], **options: object) -> "subprocess.Popen[str]":
        """Start `argv` as this user, in a session of its own, with a clean environment."""
        if self.dropped:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}
        try:
            return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # noqa: S603
                [os.fspath(part) for part in argv],
                env=_clean_environment(),
                umask=0o077,
                text=True,
                start_new_session=True,
                **options,
            )
        except PermissionError as error:
            raise EmbeddedPostgresError(
                f"{argv[0]} cannot be run as user {self.name}: {error.strerror}.",
                remedy="Set TALLYSTICK_PG_BIN to binaries that user may run, or DATABASE_URL.",
            ) from error

    def run(self, *argv: str | Path, cwd: str | Path = "/") -> tuple[int, str]:
        """Run `argv` as this user to its end: exit status, and output with errors."""
        process = self.popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = process.communicate()
        return process.returncode, output.strip()

    def can_enter(self, folder: Path) -> bool:
        return self.run("test", "-x", folder)[0] == 0


def _clean_environment() -> dict[str, str]:
    """Ours without `PG*`, which would redirect the tools, and with messages in English."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PG", "LC_", "LANG"))
    }
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """The folder of one embedded PostgreSQL, all of it owned by `user` and closed to others."""

    root: Path
    user: ServiceUser

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def log_dir(self) -> Path:
        return self.root / "log"

    @property
    def start_log(self) -> Path:
        """What the server says before its log collector runs; emptied at each start."""
        return self.log_dir / "start.log"

    @property
    def lock_file(self) -> Path:
        return self.root / "start.lock"

    @property
    def pid_file(self) -> Path:
        return self.data_dir / "postmaster.pid"

    @property
    def socket_dir(self) -> Path:
        """Inside the home, unless the path is longer than a socket's may be.

        Then it is under `/tmp`, never `TMPDIR`: every process has to arrive at the same name.
        """
        inside = self.root / "socket"
        if _usable_for_socket(inside):
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path("/tmp") / f"tallystick-{digest}"  # noqa: S108 - ownership is verified


def _usable_for_socket(folder: Path) -> bool:
    limit = _SOCKET_PATH_BYTES_MAX if os.uname().sysname == "Linux" else _SOCKET_PATH_BYTES_MAX_BSD
    path = os.fsencode(folder / _SOCKET_NAME)
    # A comma separates hosts in a connection string; quotes and control characters would need
    # escaping differently in the server's settings and in the client's.
    plain = all(byte >= 0x20 and byte not in b",\"'\\\x7f" for byte in path)
    return plain and len(path) <= limit


def locate(settings: Settings) -> Home:
    """The home of this installation's PostgreSQL; nothing is created."""
    pointer = settings.data / _POINTER
    try:
        root = Path(pointer.read_text(encoding="utf-8").rstrip("\n"))
    except (FileNotFoundError, NotADirectoryError):
        root = _resolved(settings.data) / "postgres"
    return Home(root=root, user=_service_user(root))


def prepare_home(settings: Settings) -> Home:
    """The home of this installation's PostgreSQL, created, owned and closed to others.

    Raises:
        EmbeddedPostgresError: a folder belongs to someone else or cannot be made.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        home = locate(settings)
        if home.user.dropped and not home.user.can_enter(home.root.parent):
            home = _moved_within_reach(settings, home)
        for folder in (home.root, home.log_dir, home.socket_dir):
            own_private_folder(folder, home.user)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The data folder cannot be prepared: {error}.",
            remedy="Set TALLYSTICK_DATA to a folder this user may write.",
        ) from error
    return home


def _moved_within_reach(settings: Settings, home: Home) -> Home:
    """A home the service user can enter, remembered in the data folder."""
    if home.data_dir.exists():
        raise EmbeddedPostgresError(
            f"User {home.user.name}, who owns {home.data_dir}, can no longer enter it.",
            remedy=f"Let that user pass every folder above it (chmod o+x), as before: {home.root}.",
        )
    base = open_system_folder(settings)
    digest = hashlib.sha256(os.fsencode(_resolved(settings.data))).hexdigest()[:16]
    moved = Home(root=base / digest, user=_service_user(base / digest))
    if not moved.user.can_enter(base):
        raise EmbeddedPostgresError(
            f"User {moved.user.name} can enter neither {settings.data} nor {base}.",
            remedy="Set TALLYSTICK_DATA to a folder whose parents everyone may pass (mode 0711).",
        )
    # A rename, so that a reader never sees half a pointer.
    draft = settings.data / f"{_POINTER}.{os.getpid()}"
    draft.write_text(f"{moved.root}\n", encoding="utf-8")
    draft.replace(settings.data / _POINTER)
    return moved


def open_system_folder(settings: Settings) -> Path:
    """`Settings.system_data`, owned by root and passable by everyone."""
    folder = settings.system_data
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
        raise EmbeddedPostgresError(
            f"{folder} is not a folder that only root may write.",
            remedy="Set TALLYSTICK_SYSTEM_DATA to one that is, or remove it.",
        )
    if status.st_mode & 0o111 != 0o111:
        folder.chmod(0o755)
    return folder.resolve()


def own_private_folder(folder: Path, user: ServiceUser) -> None:
    """Make `folder` with mode 0700 for `user`, or verify that it is exactly that.

    Raises:
        EmbeddedPostgresError: it is a link, or belongs to someone else, or is open to others.
    """
    if not os.path.lexists(folder):
        _create_private_folder(folder, user)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user.uid:
        raise EmbeddedPostgresError(
            f"{folder} is not a folder of user {user.name} (uid {user.uid}).",
            remedy="Remove it if it is left over, or set TALLYSTICK_DATA to another folder.",
        )
    if status.st_mode & 0o077:
        raise EmbeddedPostgresError(
            f"{folder} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}).",
            remedy=f"chmod 700 {folder}",
        )


def _create_private_folder(folder: Path, user: ServiceUser) -> None:
    """Beside its place first: nobody may see it before it has its owner."""
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    if user.dropped:
        os.chown(fresh, user.uid, user.gid, follow_symlinks=False)
    try:
        fresh.rename(folder)  # onto an empty folder of a process that was faster, this succeeds
    except OSError:
        fresh.rmdir()


def _service_user(root: Path) -> ServiceUser:
    """Whoever owns the home already; else this user; else, as root, an unprivileged one."""
    if os.geteuid() != 0:
        return ServiceUser(
            uid=os.geteuid(),
            gid=os.getegid(),
            groups=(),
            name=_user_name(os.geteuid()),
            dropped=False,
        )
    try:
        owner = root.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return _unprivileged_user()
    if owner.st_uid == 0:
        return _unprivileged_user()
    name = _user_name(owner.st_uid)
    return _dropping_to(uid=owner.st_uid, gid=owner.st_gid, name=name)


def _unprivileged_user() -> ServiceUser:
    users = {user.pw_name: user for user in pwd.getpwall() if user.pw_uid != 0}
    if not users:
        raise EmbeddedPostgresError(
            "PostgreSQL refuses to run as root, and this system has no other user.",
            remedy="Run as a normal user, or set DATABASE_URL.",
        )
    preferred = next((name for name in _PREFERRED_USERS if name in users), None)
    chosen = users[preferred] if preferred else next(iter(users.values()))
    return _dropping_to(uid=chosen.pw_uid, gid=chosen.pw_gid, name=chosen.pw_name)


def _dropping_to(*, uid: int, gid: int, name: str) -> ServiceUser:
    try:
        groups = tuple(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
    except KeyError:  # an arbitrary uid, as container platforms assign
        groups = (gid,)
    return ServiceUser(uid=uid, gid=gid, groups=groups, name=name, dropped=True)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


def _resolved(folder: Path) -> Path:
    """Without symbolic links, so that two spellings of one folder share one server."""
    return folder.resolve()
