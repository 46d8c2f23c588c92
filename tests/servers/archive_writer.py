"""A process that writes an archive: `python -m tests.servers.archive_writer CONNINFO FOLDER`."""

import sys
from pathlib import Path

from replay.archive.write import archive

BUCKETS = 3
SEGMENT_EVENTS = 400


def main(conninfo: str, folder: str) -> None:
    archive(conninfo, Path(folder), buckets=BUCKETS, segment_events=SEGMENT_EVENTS)


if __name__ == "__main__":
    main(*sys.argv[1:])
