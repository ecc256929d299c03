"""People give orders while workers move mailboxes: nobody is refused for it, none waits for ever,
and the log stays whole."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from mailhaul.db.database import Database
from mailhaul.journey import orders
from mailhaul.journey.events import broken
from mailhaul.journey.gates import Shut, open_gate
from mailhaul.journey.orders import EVERYTHING
from mailhaul.journey.plans import plan_named
from mailhaul.journey.questions import Gate, ask
from mailhaul.journey.rows import Stale, mailbox, move, write
from mailhaul.journey.states import State, Trigger
from tests.journey.making import ACTOR, NOW, listed, loaded, put, row, started

SECONDS = 1.5
COUNT = 12


def test_orders_and_workers_do_not_stand_in_each_other_s_way(database: Database) -> None:
    people = [listed(f"m{number}@x", f"wave {number % 2}") for number in range(COUNT)]
    with database.begin() as connection:
        plan, _ = loaded(connection, *people)
        started(connection, plan)
        for each in people:
            put(connection, each.address, State.SYNCED)
        first = row(connection, people[0].address).id
    end = time.monotonic() + SECONDS
    done: dict[str, int] = {}
    failed: list[BaseException] = []

    def again_and_again(name: str, act: Callable[[int], None]) -> threading.Thread:
        def run() -> None:
            try:
                while time.monotonic() < end:
                    act(done.get(name, 0))
                    done[name] = done.get(name, 0) + 1
            except BaseException as error:  # told by the test itself
                failed.append(error)

        return threading.Thread(target=run)

    def work(number: int) -> None:
        # Who reads without holding may be too late, and is told so.
        with suppress(Stale), database.begin() as connection:
            found = mailbox(connection, first + number % COUNT)
            if found.state is State.SYNCED:
                held = write(connection, found, failures=found.failures + 1)
                move(connection, held, Trigger.TOUCHED_UP, at=NOW)

    def pause(_: int) -> None:
        for order in (orders.pause, orders.resume):
            with database.begin() as connection:
                now = plan_named(connection, "acme")
                assert len(order(connection, now, EVERYTHING, at=NOW, actor=ACTOR).done) == COUNT

    def go(_: int) -> None:
        with database.begin() as connection:
            now = plan_named(connection, "acme")
            question = ask(connection, now, Gate.GO, "wave 0")
            if not question.lacking:
                with suppress(Shut):
                    open_gate(connection, now, question, who="Olga", login="o", at=NOW)

    threads = [
        again_and_again("one worker", work),
        again_and_again("another worker", work),
        again_and_again("pause", pause),
        again_and_again("go", go),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failed == []
    assert len(done) == 4
    with database.begin() as connection:
        assert broken(connection, plan.id) == ""
