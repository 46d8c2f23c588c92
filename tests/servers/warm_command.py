"""`tallystick` on the path of a shell, for tests of many commands: imported once, forked for each.

Starting Python and importing everything takes longer than what most commands do. The program is the
same; each command has its own process, folder, environment and standard streams.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CLIENT = """#!{python} -ES
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    said = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(asked, [len(said).to_bytes(4, "big")], [0, 1, 2])
    asked.sendall(said)
    status = asked.recv(1)
sys.exit(status[0] if status else 70)
"""


@contextmanager
def warm_command(folder: Path) -> Iterator[Path]:
    """A folder for PATH with `tallystick` in it."""
    address, commands = str(folder / "socket"), folder / "bin"
    commands.mkdir()
    client = commands / "tallystick"
    client.write_text(_CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.servers.warm_command", address],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    ) as serving:
        try:
            assert serving.stdout is not None
            assert serving.stdout.readline() == b"ready\n"
            yield commands
        finally:
            serving.kill()


def _serve(address: str) -> None:
    from tallystick.cli.main import app

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while True:
            asked, _ = listening.accept()
            with asked:
                if os.fork() == 0:
                    _run(app, asked)
                os.wait()


def _run(app: object, asked: socket.socket) -> None:
    """In a process of its own: never returns."""
    status = 70
    try:
        length, streams, _, _ = socket.recv_fds(asked, 4, 3)
        said = b""
        while len(said) < int.from_bytes(length, "big"):
            said += asked.recv(65_536)
        sys.argv, folder, environment = json.loads(said)
        for ours, theirs in enumerate(streams):
            os.dup2(theirs, ours)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        app()  # type: ignore[operator]
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        asked.send(bytes([status]))
        os._exit(status)


if __name__ == "__main__":
    _serve(sys.argv[1])
