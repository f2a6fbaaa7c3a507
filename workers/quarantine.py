"""Where suspects run: activities that processes may have died of run in processes of their own.

So whoever dies there died of it, and of nothing that ran beside; the worker lives on, and so do its other
activities. What an activity gives is applied here, in the worker: meanwhile the database says which suspect this
process would die of, one at a time.
"""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any
from uuid import UUID

import msgspec
from django.db import DatabaseError, connection

from workers.activities import ActivityCall, ActivityError, ActivityResult
from workers.activities.calls import failure
from workers.errand import Errand
from workers.quarantined import receive, send
from workflows import models
from workflows.dsl.jsontext import Json
from workflows.engine.problems import Problem

log = logging.getLogger("lemline.quarantine")

SIZE = 4
"""Suspects that run at the same time; each process takes as much memory as a worker that is idle."""

START_SECONDS = 60.0
"""How long a process may take to start, which says nothing about the suspect."""

STOP_SECONDS = 2.0
"""How long an activity may take to stop when it is told to, before its process is killed."""

AGAIN_SECONDS = 1.0
"""Pause after a process that could not be started, or a row that could not be written."""


class DiedError(Exception):
    """The process died that ran this activity and nothing else."""


class Quarantine:
    """The processes of one worker that run suspects: started when there are any, ended when there are none."""

    def __init__(self, size: int = SIZE) -> None:
        self.applying = threading.Lock()
        """Held while an outcome is applied, so that who dies then died of that one."""

        self._slots = threading.Semaphore(size)
        self._idle: list[_Cell] = []
        self._wanted = 0
        self._lock = threading.Lock()

    def run(self, call: ActivityCall) -> ActivityResult | ActivityError:
        """Run an activity as soon as there is room, and return how it ended.

        Raises:
            DiedError: It took its process down.
            ActivityError: It was stopped.
        """
        with self._lock:
            self._wanted += 1
        try:
            with self._slots:
                return self._run(call)
        finally:
            self._settle()

    def _run(self, call: ActivityCall) -> ActivityResult | ActivityError:
        _check(call)
        with self._lock:
            used = self._idle.pop() if self._idle else None
        answer = None if used is None else self._ask(used, call)
        if answer is None:
            # Whatever ran before in a process that died may have harmed it.
            answer = self._ask(self._fresh(call), call)
        if answer is None:
            raise DiedError
        return _outcome(answer)

    def _ask(self, cell: "_Cell", call: ActivityCall) -> Json | None:
        """Return the answer; None when the process died."""
        try:
            answer = cell.ask(call)
        except EOFError:
            cell.close()
            _check(call)
            return None
        with self._lock:
            self._idle.append(cell)
        return answer

    def _fresh(self, call: ActivityCall) -> "_Cell":
        while True:
            _check(call)
            try:
                return _Cell()
            except (OSError, EOFError) as error:
                log.error("quarantine.closed", extra={"error": str(error) or "the process ended at once"})
                call.cancelled.wait(AGAIN_SECONDS)

    def _settle(self) -> None:
        with self._lock:
            self._wanted -= 1
            needless, self._idle = ([], self._idle) if self._wanted else (self._idle, [])
        for cell in needless:
            cell.close()


class _Cell:
    """A process that waits for suspects. OSError or EOFError when it does not start."""

    def __init__(self) -> None:
        self._pipe, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workers.quarantined", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                # What ends the worker is not to end this before the worker has handed it back.
                start_new_session=True,
            )
        self._number = 0
        self._is_asked = False
        try:
            self._pipe.settimeout(START_SECONDS)
            receive(self._pipe)
            self._pipe.settimeout(None)
        except BaseException:
            self.close()
            raise

    def ask(self, call: ActivityCall) -> Json:
        """Have it run an activity. EOFError when it dies of that, or is killed because it does not stop."""
        self._number += 1
        number, self._is_asked = self._number, True
        send(self._pipe, {**_given(call), "number": number})
        call.cancelled.add_callback(lambda: self._cancel(number))
        try:
            return receive(self._pipe)
        finally:
            self._is_asked = False

    def _cancel(self, number: int) -> None:
        if not self._runs(number):
            return
        try:
            send(self._pipe, number)
        except EOFError:
            return
        timer = threading.Timer(STOP_SECONDS, self._kill, [number])
        timer.daemon = True
        timer.start()

    def _runs(self, number: int) -> bool:
        return self._is_asked and self._number == number

    def _kill(self, number: int) -> None:
        if self._runs(number):
            self._process.kill()

    def close(self) -> None:
        """Leave nothing of it."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()


def _given(call: ActivityCall) -> dict[str, Json]:
    left = None if call.timeout_seconds is None else call.seconds(call.timeout_seconds)
    return {
        "kind": call.kind, "arguments": call.arguments, "idempotency_key": call.idempotency_key,
        "instance_id": call.instance_id, "wait_id": call.wait_id, "position": call.position, "name": call.name,
        "attempt": call.attempt, "definition": list(call.definition), "timeout_seconds": left, "seal": call.seal,
    }  # fmt: skip


def _check(call: ActivityCall) -> None:
    if call.cancelled.is_set():
        raise failure("runtime", "stopped", answered=False)


def _outcome(answer: Json) -> ActivityResult | ActivityError:
    if "problem" not in answer:
        return ActivityResult(answer["output"])
    return ActivityError(msgspec.convert(answer["problem"], Problem), answered=answer["answered"])


class Trial:
    """Stands for the activity of a suspect: runs it in quarantine, and has its outcome applied under its name."""

    def __init__(self, quarantine: Quarantine, process: UUID, errand: Errand) -> None:
        self._quarantine = quarantine
        self._process = process
        self._hold = errand.hold
        self._is_applying = False
        if errand.activity is not None:
            errand.activity = self

    def run(self, call: ActivityCall) -> ActivityResult:
        """Run it. Raises what `Quarantine.run` does, and the problem that it ended with."""
        outcome = self._quarantine.run(call)
        self._quarantine.applying.acquire()
        self._is_applying = True
        self._tell(self._hold)
        if isinstance(outcome, ActivityError):
            raise outcome
        return outcome

    def end(self) -> None:
        """Its outcome is committed, or somebody else's business. On the thread that ran it."""
        if self._is_applying:
            self._tell(())
            self._quarantine.applying.release()

    def _tell(self, trying: Any) -> None:
        """Write which suspect this process would die of, however long the database is away."""
        while True:
            try:
                models.Node.objects.filter(pk=self._process).update(trying=list(trying))
                return
            except DatabaseError as error:
                log.warning("database.away", extra={"error": str(error)})
                connection.close()
                time.sleep(AGAIN_SECONDS)
