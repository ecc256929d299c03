"""The workflow engine on DBOS (docs/decisions/0060). The only module that knows it.

DBOS is a durable queue to us: a run is one workflow of two steps, perform it and enqueue what it
leads to, with ids and counts as its only contents. Each partition is a queue of its own, so that
each has a limit of its own. Workflows run in the event loop that launched the engine.
"""

import asyncio
import hashlib
import logging
import sqlite3
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetEnqueueOptions,
    SetWorkflowID,
    WorkflowStatus,
)
from sqlalchemy.exc import DBAPIError

from mailhaul.journey.engine import Next, Perform, Run
from mailhaul.journey.states import Phase

FILE = "engine.sqlite"
SCHEMA = "mailhaul_engine"

APPLICATION = "mailhaul"
VERSION = "1"
"""For good: DBOS leaves alone what was begun under another version. Work that must go another way
gets a workflow of another name."""
WORKFLOW = "run"

POLLING = 0.25
"""Seconds between two looks into a queue."""
THREADS = 32
CONNECTIONS = 6
KEPT = timedelta(minutes=10)
"""So long is a run that has ended remembered. A run that is enqueued again later is stale by then,
and finds that out itself."""
PAGE = 1000
LOOKING = 2.0
"""Seconds for a look whether there is anything to wait for; the database may be away."""

WAITING = ("ENQUEUED", "DELAYED")
UNDER_WAY = "PENDING"
ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")

_Written = Mapping[str, Any]


def engine_url(database: str | None, directory: Path) -> str:
    """Where the engine keeps its rows: a file beside ours, or a schema of its own at the
    PostgreSQL URL `database`."""
    if database is not None:
        return database
    file = directory / FILE
    # DBOS leaves the journal's mode as it finds it; the mode stays in the file.
    connection = sqlite3.connect(file)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
    return f"sqlite:///{file}"


class DbosEngine:
    """The engine of `journey.engine`. One in a process at a time: DBOS has no more.

    `worker` is the name that this process alone bears; `speed` is how many seconds of the
    installation's clock go by in a second.
    """

    def __init__(
        self, url: str, worker: str, *, speed: float = 1.0, polling: float = POLLING
    ) -> None:
        self._url = url
        self._worker = worker
        self._speed = speed
        self._polling = polling
        self._perform: Perform | None = None
        self._tasks: dict[str, asyncio.Task[Next | None]] = {}
        self._queues: dict[str, int] = {}
        self._strange: set[str] = set()
        """Runs under our name that we were not at when we looked last."""

    async def launch(self, perform: Perform) -> None:
        """See `Engine`. Blocks the loop for a moment: DBOS takes the running loop for its own."""
        self._perform = perform
        _quieten()
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._url,
            "dbos_system_schema": SCHEMA,
            "executor_id": self._worker,
            "application_version": VERSION,
            "sys_db_pool_size": CONNECTIONS,
            "max_executor_threads": THREADS,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "ERROR",
        }
        DBOS(config=config)

        # DBOS writes on the functions it is given, which methods don't allow.
        @DBOS.step(name="perform")
        async def performed(written: _Written) -> _Written | None:
            return await self._performed(written)

        # What a workflow awaits, and in which order, must never change under its name.
        @DBOS.workflow(name=WORKFLOW)
        async def workflow(written: _Written) -> None:
            following = await performed(written)
            if following is not None:
                await self.enqueue(Next(_read(following["run"]), following["delay"]))

        self._workflow = workflow
        DBOS.launch()

    async def enqueue(self, following: Next) -> None:
        """See `Engine`."""
        run = following.run
        queue = await self._queue(run.partition)
        delay = following.delay / self._speed
        # A delay of nothing would still pass through the state of waiting for one.
        options = SetEnqueueOptions(delay_seconds=delay) if delay > 0 else SetEnqueueOptions()
        with options, SetWorkflowID(run.id):
            await DBOS.enqueue_workflow_async(queue, self._workflow, _written(run))

    async def live(self, mailboxes: set[int] | None = None) -> set[str]:
        """See `Engine`."""
        if mailboxes is not None and not mailboxes:
            return set()
        prefixes = None if mailboxes is None else [f"{number}:" for number in sorted(mailboxes)]
        return {each.workflow_id for each in await _listed([*WAITING, UNDER_WAY], prefixes)}

    async def cancel(self, mailbox: int) -> None:
        """See `Engine`."""
        ids = sorted(await self.live({mailbox}))
        if ids:
            await DBOS.cancel_workflows_async(ids)
        for number in ids:
            if number in self._tasks:
                self._tasks[number].cancel()

    async def limit(self, partition: str, most: int) -> None:
        """See `Engine`."""
        await self._register(_queue_name(partition), most)

    async def orphans(self) -> dict[str, int]:
        """See `Engine`."""
        found: dict[str, int] = {}
        for each in await _listed([UNDER_WAY], None):
            if each.executor_id is not None and each.executor_id != self._worker:
                found[each.executor_id] = found.get(each.executor_id, 0) + 1
        return found

    async def adopt(self, worker: str) -> int:
        """See `Engine`."""
        return await _resumed(await _listed([UNDER_WAY], None, executor=worker))

    async def reclaim(self) -> int:
        """See `Engine`. Twice, for what is taken from a queue or given back is nobody's for a
        moment."""
        strange = {
            each.workflow_id: each
            for each in await _listed([UNDER_WAY], None, executor=self._worker)
            if each.workflow_id not in self._tasks
        }
        again = [each for number, each in strange.items() if number in self._strange]
        self._strange = strange.keys() - {each.workflow_id for each in again}
        return await _resumed(again)

    async def forget(self) -> int:
        """See `Engine`."""
        before = (datetime.now(UTC) - KEPT).isoformat()
        forgotten = 0
        while True:
            ended = await DBOS.list_workflows_async(
                completed_before=before,
                status=list(ENDED),
                limit=PAGE,
                load_input=False,
                load_output=False,
            )
            if ended:
                await DBOS.delete_workflows_async([each.workflow_id for each in ended])
            forgotten += len(ended)
            if len(ended) < PAGE:
                return forgotten

    async def stop(self, grace: float) -> None:
        """See `Engine`."""
        if self._perform is None:
            return
        self._perform = None
        busy = bool(self._tasks) or (grace > 0 and await self._anything_live())
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def destroy() -> None:
            # DBOS looks once a second whether anything is still under way, so that nothing to wait
            # for must be said. What takes it down under a workflow makes a traceback.
            patience = max(1, int(grace) + 2) if busy else 0
            DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=patience)
            loop.call_soon_threadsafe(ended.set_result, None)

        # Not in the loop's pool: that is DBOS's own, which goes with it.
        threading.Thread(target=destroy, name="engine-stop", daemon=True).start()
        if self._tasks:
            await asyncio.wait([*self._tasks.values()], timeout=grace)
        for task in [*self._tasks.values()]:
            task.cancel()
        await ended
        # The loop's pool was DBOS's and has gone with it.
        loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))

    async def _anything_live(self) -> bool:
        """Whether a workflow is, or may any moment be, under way: between two steps, and before the
        first and behind the last one, no task of ours shows it."""
        try:
            async with asyncio.timeout(LOOKING):
                return bool(await self.live())
        except (TimeoutError, DBAPIError):
            return True

    # a run

    async def _performed(self, written: _Written) -> _Written | None:
        perform = self._perform
        if perform is None:
            raise asyncio.CancelledError
        run = _read(written)
        # A task of its own: what is cancelled is the work, whatever DBOS wraps around it.
        task = asyncio.ensure_future(perform(run))
        self._tasks[run.id] = task
        try:
            following = await task
        finally:
            task.cancel()
            # Once adopted, the same run may have come back to us, and be under way a second time.
            if self._tasks.get(run.id) is task:
                del self._tasks[run.id]
        if following is None:
            return None
        return {"run": _written(following.run), "delay": following.delay}

    # queues

    async def _queue(self, partition: str) -> str:
        name = _queue_name(partition)
        if name not in self._queues:
            await self._register(name, None)
        return name

    async def _register(self, name: str, most: int | None) -> None:
        """Makes the queue; changes its limit where `most` is given."""
        if most is not None and self._queues.get(name) == most:
            return
        await DBOS.register_queue_async(
            name,
            global_concurrency=most or 1,
            polling_interval_sec=self._polling,
            on_conflict="never_update" if most is None else "always_update",
        )
        self._queues[name] = most or 1


async def _listed(
    states: Collection[str], prefixes: list[str] | None, executor: str | None = None
) -> list[WorkflowStatus]:
    return await DBOS.list_workflows_async(
        status=list(states),
        workflow_id_prefix=prefixes,
        executor_id=executor,
        load_input=False,
        load_output=False,
    )


async def _resumed(runs: Collection[WorkflowStatus]) -> int:
    queues: dict[str, list[str]] = {}
    for each in runs:
        queues.setdefault(each.queue_name or "", []).append(each.workflow_id)
    for queue, ids in queues.items():
        # Without its queue's name it would land in one without limits.
        await DBOS.resume_workflows_async(ids, queue_name=queue)
    return len(runs)


def _queue_name(partition: str) -> str:
    """Names of partitions hold whatever a plan is called; DBOS wants short and plain ones."""
    return f"p-{hashlib.sha256(partition.encode()).hexdigest()[:16]}"


def _written(run: Run) -> _Written:
    written = {
        "mailbox": run.mailbox,
        "generation": run.generation,
        "step": run.step,
        "phase": run.phase.value,
        "partition": run.partition,
    }
    return {**written, "domain": run.domain} if run.domain else written


def _read(written: _Written) -> Run:
    return Run(
        written["mailbox"],
        written["generation"],
        written["step"],
        Phase(written["phase"]),
        written["partition"],
        written.get("domain", 0),
    )


def _quieten() -> None:
    """DBOS tells of every cancelled run as of an error, with a traceback; it is none. Nor is a run
    that found it closing: it goes on with the next worker."""
    logger = logging.getLogger("dbos")
    if not any(isinstance(each, _Noise) for each in logger.filters):
        logger.addFilter(_Noise())


_HARMLESS = (
    *("Cancelled", "cancelled"),
    "RuntimeError: cannot schedule new futures after shutdown",
    "Executor accessed before DBOS was launched",
)


class _Noise(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        text = f"{record.getMessage()} {type(error).__name__}: {error}"
        return not any(words in text for words in _HARMLESS)
