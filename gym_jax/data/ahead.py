"""What comes next is made while what came is used."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def ahead(items: Iterator[T], depth: int = 1) -> Iterator[Iterator[T]]:
    """Yield the items, of which a thread makes up to `depth` before they are asked for.

    What goes wrong in it is raised where the item would have come. The thread ends with the block.
    """
    made: queue.SimpleQueue[tuple[str, T | BaseException | None]] = queue.SimpleQueue()
    room, over = threading.Semaphore(depth), threading.Event()

    def work() -> None:
        try:
            while True:
                room.acquire()
                if over.is_set():
                    return
                made.put(("item", next(items)))
        except StopIteration:
            made.put(("end", None))
        except BaseException as error:
            made.put(("error", error))

    def taken() -> Iterator[T]:
        while True:
            kind, item = made.get()
            if kind == "item":
                room.release()
                yield item  # type: ignore[misc]
                del item  # the next one may be as large
            elif kind == "end":
                return
            else:
                assert isinstance(item, BaseException)
                raise item

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        over.set()
        room.release()
        thread.join()
