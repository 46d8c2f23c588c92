"""A process that appends until it has done so often enough, and writes down what it was told.

Run as `python -m tests.servers.appender CONNINFO ACKNOWLEDGEMENTS COUNT THREADS`. Every
acknowledgement is a line `stream position`, on disk before the next append begins.
"""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

from ledger.eventstore.ledger import Ledger
from tests.oracles.ledger_checks import registered


def main(target: str, acknowledgements: str, count: str, threads: str) -> None:
    ledger = Ledger(target)
    written = threading.Lock()
    with Path(acknowledgements).open("a", encoding="ascii") as file:

        def append(_number: int) -> None:
            stream = uuid4()
            receipt = ledger.append([registered(stream)])
            with written:
                file.write(f"{stream} {receipt.position}\n")
                file.flush()
                os.fsync(file.fileno())

        with ThreadPoolExecutor(int(threads)) as pool:
            list(pool.map(append, range(int(count))))
    ledger.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
