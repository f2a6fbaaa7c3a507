"""Reads which activities are still wanted, for all threads of a worker process over one connection.

What is asked while one read is under way is read together by the next. A thread of its own connection each would cost
the database a process per message that is being handled.
"""

import contextlib
import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from workers.message import Item
from workflows.engine import Glance, glance_at
from workflows.engine.commands import RunActivity
from workflows.runtime.records import ContentionError, Records, UnreachableError

Wanted = list[tuple[Item, RunActivity]]
"""Items with what to run."""

_Question = tuple[Sequence[Item], "Future[Wanted]"]


class Reader:
    """One thread."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def wanted(self, items: Sequence[Item]) -> Wanted:
        """Return those whose waits are open. From any thread; raises what the database does."""
        answer: Future[Wanted] = Future()
        self._questions.put((items, answer))
        if self._has_ended:
            self._refuse()
        return answer.result()

    def stop(self) -> None:
        """Answer what was asked, then end; what is asked later is told that the database is out of reach."""
        self._questions.put(None)
        self._thread.join()
        self._has_ended = True
        self._refuse()

    def _refuse(self) -> None:
        while not self._questions.empty():
            with contextlib.suppress(queue.Empty):
                if question := self._questions.get_nowait():
                    question[1].set_exception(UnreachableError("this process ends"))

    def _run(self) -> None:
        while questions := self._asked():
            self._answer(questions)

    def _answer(self, questions: Sequence[_Question]) -> None:
        try:
            answers = self._read([items for items, _ in questions])
        except Exception as error:  # noqa: BLE001  (raised where it was asked)
            if len(questions) > 1 and not isinstance(error, UnreachableError | ContentionError):
                # A row that nobody can read is in the way of none but those who asked for it.
                for question in questions:
                    self._answer([question])
                return
            for _, answer in questions:
                answer.set_exception(error)
        else:
            for (_, answer), found in zip(questions, answers, strict=True):
                answer.set_result(found)

    def _asked(self) -> list[_Question]:
        """Return all that has been asked, once something has; nothing at the end."""
        questions: list[_Question] = []
        while not questions or not self._questions.empty():
            question = self._questions.get()
            if question is None:
                # Comes after all others; seen again by the next look.
                if questions:
                    self._questions.put(None)
                break
            questions.append(question)
        return questions

    def _read(self, asked: Sequence[Sequence[Item]]) -> list[Wanted]:
        items = [item for each in asked for item in each]
        steps = self._records.steps(sorted({item.instance_id for item in items}))
        # While the step number is the one that rang, nothing has changed since: the wait is open.
        doubtful = {
            i.instance_id
            for i in items
            if i.instance_id in steps and (steps[i.instance_id] != i.step or not i.is_whole)
        }
        rows = self._records.peek(sorted(doubtful)) if doubtful else {}
        glances = {instance: glance_at(row.state) for instance, row in rows.items()}
        return [_wanted(each, steps, glances) for each in asked]


def _wanted(items: Sequence[Item], steps: Mapping[str, int], glances: Mapping[str, Glance]) -> Wanted:
    found = []
    for item in items:
        if item.instance_id in glances:
            command = _asked_for(glances[item.instance_id], item)
        else:
            command = item.command if item.instance_id in steps else None
        if command is not None:
            found.append((item, command))
    return found


def _asked_for(glance: Glance, item: Item) -> RunActivity | None:
    """Return what the state wants of a ring; None when the wait is gone, was rung again, or must not begin now."""
    wait = glance.find_wait(item.wait_id)
    if wait is None or wait.ring != item.ring or glance.status == "suspended":
        return None
    command = wait.command()
    return command if isinstance(command, RunActivity) else None
