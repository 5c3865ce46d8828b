"""Work that is due sooner goes first; no more runs at once than there are slots."""

import threading
import time

import pytest

from models.schedule import Schedule, UnwantedError


def test_the_most_urgent_goes_first() -> None:
    schedule = Schedule(slots=1)
    order: list[float] = []

    def work(due: float) -> None:
        with schedule.work(due):
            order.append(due)

    dues = [5.0, 2.0, 9.0, 1.0, 7.0]
    threads = [threading.Thread(target=work, args=(due,)) for due in dues]
    with schedule.work(0.0):
        for thread in threads:
            thread.start()
        while len(schedule._waiting) < len(dues):
            time.sleep(0.001)
    for thread in threads:
        thread.join(5)
    assert order == sorted(dues)


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_no_more_at_once_than_slots(slots: int) -> None:
    schedule = Schedule(slots)
    inside, most = 0, 0
    lock = threading.Lock()

    def work(due: float) -> None:
        nonlocal inside, most
        for _ in range(5):
            with schedule.work(due):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.001)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work, args=(float(due),)) for due in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert most == slots


def test_a_failure_gives_its_slot_back() -> None:
    schedule = Schedule(slots=1)
    with pytest.raises(ZeroDivisionError), schedule.work(0.0):
        _ = 1 / 0
    with schedule.work(0.0):
        pass


def test_work_that_is_called_off_does_not_wait_for_its_turn() -> None:
    schedule = Schedule(slots=1)
    unwanted = threading.Event()
    ended: list[float] = []

    def wait(due: float) -> None:
        with pytest.raises(UnwantedError), schedule.work(due, unwanted.is_set):
            pytest.fail("it was given a slot")
        ended.append(due)

    threads = [threading.Thread(target=wait, args=(due,)) for due in (3.0, 1.0, 2.0)]
    with schedule.work(0.0):
        for thread in threads:
            thread.start()
        while len(schedule._waiting) < len(threads):
            time.sleep(0.001)
        unwanted.set()
        for thread in threads:
            thread.join(1)
        assert sorted(ended) == [1.0, 2.0, 3.0]
    assert not schedule._waiting
    with schedule.work(0.0):  # the slot is there again
        pass


def test_called_off_in_the_moment_of_its_turn_the_slot_goes_on() -> None:
    for _ in range(20):
        schedule = Schedule(slots=1)
        unwanted = threading.Event()
        entered = threading.Event()

        def wait(schedule: Schedule, unwanted: threading.Event, entered: threading.Event) -> None:
            try:
                with schedule.work(1.0, unwanted.is_set):
                    pass
            except UnwantedError:
                pass
            entered.set()

        schedule._enter(0.0, lambda: False)
        thread = threading.Thread(target=wait, args=(schedule, unwanted, entered))
        thread.start()
        while not schedule._waiting:
            time.sleep(0.0005)
        unwanted.set()
        schedule._leave()
        thread.join(1)
        assert entered.is_set() and schedule._free == 1 and not schedule._waiting
