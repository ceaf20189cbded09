"""Work spread over processes or threads: the same results in the same order for any number of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

Context = TypeVar("Context")
Job = TypeVar("Job")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Context, Job], Result],
    context: Context,
    jobs: Iterable[Job],
    workers: int,
    *,
    threads: bool = False,
) -> Iterator[Result]:
    """Give ``work(context, job)`` of every job in the order of the jobs.

    Args:
        work: a function of a module; processes find it by its name. The caller's own module is not imported.
        context: what all jobs share, sent to each process once.
        jobs: may be endless: at most two for each worker are taken before their results are fetched.
        workers: processes; the work is done here where one or none is asked for.
        threads: threads instead, which start at once but share the interpreter's lock.

    """
    if workers <= 1:
        for job in jobs:
            yield work(context, job)
        return
    pool: Executor
    start: Callable[[Job], Result]
    if threads:
        pool, start = ThreadPoolExecutor(workers), partial(work, context)
    else:
        # Fresh interpreters, not forked ones: the caller may hold threads, which a forked child would find locked. And
        # none that imports the caller's module again, as Python's own do: scripts are written without a main guard.
        from joblib.externals.loky import ProcessPoolExecutor

        pool = ProcessPoolExecutor(workers, initializer=_begin, initargs=(work, context))
        start = _work
    waiting: deque[Future[Result]] = deque()
    with pool:
        try:
            for job in jobs:
                waiting.append(pool.submit(start, job))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # after an error nobody waits for what has not begun
                future.cancel()


_worker: dict[str, Any] = {}


def _begin(work: Callable[[Any, Any], Any], context: Any) -> None:
    _worker.update(work=work, context=context)


def _work(job: Any) -> Any:
    return _worker["work"](_worker["context"], job)
