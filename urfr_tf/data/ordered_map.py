"""Work spread over threads whose results come in order, with little of the input read ahead."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_in_order(pool: Executor, work: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[R]:
    """`pool.map`, but with at most `ahead` items taken from the iterable before they are needed."""
    waiting: deque[Future[R]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def split_by_cost(
    values: Iterable[T], most: int, budget: float, cost: Callable[[T], float]
) -> Iterator[list[T]]:
    """Lists of at most `most` values that cost at most `budget` in all; a dearer value is alone."""
    group: list[T] = []
    spent = 0.0
    for value in values:
        price = cost(value)
        if group and (len(group) == most or spent + price > budget):
            yield group
            group, spent = [], 0.0
        group.append(value)
        spent += price
    if group:
        yield group
