"""Engines: where pure functions over the buckets of an archive run.

A function takes the number of a bucket and gives a result that can be pickled; it must be
importable by name (`functools.partial` of one will do), and give the same for the same archive
however often it runs. An engine runs it once for each bucket and yields the results as they come,
in any order: not one is lost, twice there or made up, also when a worker is killed half-way.

- `Serial`: one after the other, in this process.
- `Processes`: on a pool of processes of this machine.
- `Ray`: on a Ray cluster, or on one that is started here for the purpose. Wherever its workers
  are, the archive must be at the same path, and the same release of this program installed.
"""

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

R = TypeVar("R")

ATTEMPTS_MAX: Final = 4
"""How often a bucket is tried whose worker dies."""

OBJECT_STORE_BYTES: Final = 96 * 1024 * 1024
"""Of a Ray that is started here: results are small, and files are not passed through it."""


class EngineError(Exception):
    """An engine cannot be had, or gave up; says what to do."""


class Engine(Protocol):
    """Runs a function over buckets."""

    @property
    def name(self) -> str: ...

    @property
    def workers(self) -> int: ...

    def map(self, function: Callable[[int], R], buckets: Iterable[int]) -> Iterator[tuple[int, R]]:
        """Every bucket with what `function` gives for it, as they are done.

        Raises:
            EngineError: the workers of a bucket died again and again.
            Exception: what `function` raised; it is not tried again.
        """


def build(name: str, workers: int | None = None, scratch: Path | None = None) -> Engine:
    """The engine called `name`: serial, processes, ray or ray://host:port.

    Args:
        name: what `--engine` says.
        workers: at once; as many as there are processors, unless said otherwise.
        scratch: where a Ray that is started here keeps its files; its path must be short.

    Raises:
        EngineError: there is none of that name.
    """
    count = workers or os.cpu_count() or 1
    if name == "serial":
        return Serial()
    if name == "processes":
        return Processes(count)
    if name == "ray" or name.startswith("ray://"):
        return Ray(count, address=None if name == "ray" else name, scratch=scratch)
    raise EngineError(
        f"There is no engine {name!r}: it is serial, processes, ray or ray://host:port."
    )


class Serial:
    """One bucket after the other, in this process."""

    name = "serial"
    workers = 1

    def map(self, function: Callable[[int], R], buckets: Iterable[int]) -> Iterator[tuple[int, R]]:
        for bucket in buckets:
            yield bucket, function(bucket)


class _Attempts:
    """How often each bucket was begun, and which wait."""

    def __init__(self, buckets: Iterable[int]) -> None:
        self.waiting = list(buckets)[::-1]
        self._begun: dict[int, int] = {}

    def take(self) -> int:
        bucket = self.waiting.pop()
        self._begun[bucket] = self._begun.get(bucket, 0) + 1
        return bucket

    def put_back(self, bucket: int) -> None:
        """It was not begun after all."""
        self._begun[bucket] -= 1
        self.waiting.append(bucket)

    def again(self, bucket: int, error: Exception) -> None:
        if self._begun[bucket] >= ATTEMPTS_MAX:
            raise EngineError(
                f"Bucket {bucket} was given up: its worker died {ATTEMPTS_MAX} times. If memory is"
                " short, try fewer workers, or an archive with more buckets."
            ) from error
        self.waiting.append(bucket)


class Processes:
    """On a pool of processes of this machine.

    A worker that dies takes the pool with it; what was not done is done by the next pool.
    """

    name = "processes"

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, function: Callable[[int], R], buckets: Iterable[int]) -> Iterator[tuple[int, R]]:
        attempts = _Attempts(buckets)
        while attempts.waiting:
            yield from self._with_a_pool(function, attempts)

    def _with_a_pool(
        self, function: Callable[[int], R], attempts: _Attempts
    ) -> Iterator[tuple[int, R]]:
        """Until all is done, or the pool is broken.

        No more is handed in than there are workers: so all that a broken pool loses had begun.
        """
        pool = ProcessPoolExecutor(
            min(self.workers, len(attempts.waiting)),
            mp_context=get_context("spawn"),
            initializer=_end_with_parent,
        )
        running: dict[Future[R], int] = {}
        try:
            while attempts.waiting or running:
                while attempts.waiting and len(running) < self.workers:
                    bucket = attempts.take()
                    try:
                        running[pool.submit(function, bucket)] = bucket
                    except BrokenProcessPool:
                        attempts.put_back(bucket)
                        break
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                broken = False
                for future in done:
                    bucket = running.pop(future)
                    try:
                        result = future.result()
                    except BrokenProcessPool as error:
                        attempts.again(bucket, error)
                        broken = True
                    else:
                        yield bucket, result
                if broken and not running:
                    return
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """In a worker: an idle one would otherwise outlive a parent that was killed."""
    parent = parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()


class Ray:
    """On Ray: at an address, or started here, with as many workers, and stopped afterwards.

    Where this process is connected to a Ray already, that one is used and left running.
    """

    name = "ray"

    def __init__(
        self, workers: int, *, address: str | None = None, scratch: Path | None = None
    ) -> None:
        self.workers = workers
        self._address = address
        self._scratch = scratch

    def map(self, function: Callable[[int], R], buckets: Iterable[int]) -> Iterator[tuple[int, R]]:
        ray = _import_ray()
        with self.connected():

            def call(bucket: int) -> R:
                return function(bucket)

            # A worker that dies is replaced by Ray; what the function raises is not tried again.
            task = ray.remote(num_cpus=1, max_retries=ATTEMPTS_MAX - 1, retry_exceptions=False)(
                call
            )
            waiting = list(buckets)[::-1]
            running: dict[Any, int] = {}
            while waiting or running:
                while waiting and len(running) < self.workers:
                    bucket = waiting.pop()
                    running[task.remote(bucket)] = bucket
                (done,), _ = ray.wait(list(running), num_returns=1)
                bucket = running.pop(done)
                try:
                    result = ray.get(done)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause if isinstance(error.cause, Exception) else error from None
                except ray.exceptions.RayError as error:
                    raise EngineError(f"Bucket {bucket} was given up by Ray: {error}") from error
                yield bucket, result

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Stay connected for several maps; otherwise each connects for itself.

        Raises:
            EngineError: there is no Ray at the address, or none can be started here.
        """
        ray = _import_ray()
        if ray.is_initialized():
            yield
            return
        with tempfile.TemporaryDirectory(
            prefix="ray-", dir=self._scratch, ignore_cleanup_errors=True
        ) as folder:
            try:
                ray.init(**_ray_options(self._address, self.workers, Path(folder)))
            except (ConnectionError, ValueError, RuntimeError, OSError) as error:
                at = self._address or "here"
                raise EngineError(f"No Ray {at}: {error}") from error
            try:
                yield
            finally:
                ray.shutdown()


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        return import_module("ray")
    except ImportError as error:
        raise EngineError(
            "Ray is not installed: install `tallystick[cluster]` (Python up to 3.13), or use"
            " `--engine processes`."
        ) from error


def _ray_options(address: str | None, workers: int, folder: Path) -> Mapping[str, Any]:
    options = {"logging_level": "ERROR", "log_to_driver": False}
    if address is not None:
        return {**options, "address": address}
    return {
        **options,
        "address": "local",
        "num_cpus": workers,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_temp_dir": str(folder),
        "_node_ip_address": "127.0.0.1",
    }
