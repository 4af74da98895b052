"""Results in order, little read ahead; groups by number and by cost."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

from urfr_tf.data.ordered_map import map_in_order, split_by_cost


def test_results_keep_the_order_and_little_is_read_ahead():
    taken = []

    def numbers():
        for i in range(100):
            taken.append(i)
            yield i

    first = threading.Event()

    def slow_first(i):
        if i == 0:
            first.wait(30)
        return i * i

    with ThreadPoolExecutor(4) as pool:
        results = map_in_order(pool, slow_first, numbers(), ahead=8)
        first.set()
        assert next(results) == 0
        assert len(taken) == 8
        assert list(results) == [i * i for i in range(1, 100)]


def test_groups_end_at_the_number_or_at_the_budget():
    assert list(split_by_cost(range(7), 3, math.inf, lambda _: 1)) == [[0, 1, 2], [3, 4, 5], [6]]
    costs = [4, 4, 4, 30, 1, 1]
    assert list(split_by_cost(costs, 9, 10, lambda cost: cost)) == [[4, 4], [4], [30], [1, 1]]
    assert list(split_by_cost([], 3, 1, lambda _: 1)) == []
