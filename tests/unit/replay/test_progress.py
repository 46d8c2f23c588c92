"""Progress: a bar for people, lines of JSON for programs."""

import io
import json
import os
import pty
import resource

import pytest

from replay.progress import peak_memory_mb, reporting


def test_a_program_gets_lines_of_json_and_always_a_last_one() -> None:
    stream = io.StringIO()
    with reporting("Counting", unit="sheep", stream=stream) as report:
        report(1, 3)
        report(3, 3)
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert line["doing"] == "Counting"
    assert (line["done"], line["total"], line["unit"]) == (3, 3, "sheep")
    assert line["peak_memory_mb"] > 0
    assert line["elapsed_s"] >= 0


def test_what_fails_leaves_the_failure_and_says_no_last_word() -> None:
    """A last line of what failed would look like an end."""
    stream = io.StringIO()

    def lose_count() -> None:
        with reporting("Counting", stream=stream) as report:
            report(1, 3)
            raise ValueError("lost count")

    with pytest.raises(ValueError, match="lost count"):
        lose_count()
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar() -> None:
    master, slave = pty.openpty()
    with open(slave, "w") as terminal:  # noqa: PTH123 -- a descriptor
        with reporting("Counting", stream=terminal) as report:
            report(2, 4)
        shown = b""
        while b"2/4" not in shown:  # the bar as it is left
            shown += os.read(master, 65_536)
    os.close(master)
    assert b"Counting" in shown
    assert b"{" not in shown


def test_peak_memory_is_of_this_process_in_mib() -> None:
    before = peak_memory_mb()
    held = bytearray(64 * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])
    assert 0 < before <= peak_memory_mb()
    resident_mb = len(held) / 1024 / 1024
    assert peak_memory_mb() > resident_mb
    # No more than what the system knows of this process and those that started it.
    assert peak_memory_mb() <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 + 1
