# SPDX-License-Identifier: Apache-2.0
"""Buckets of tokens."""

from ottava.api import rates
from ottava.api.rates import Rates


def test_a_bucket_empties_and_fills() -> None:
    found = Rates(2, 3)
    assert [found.take("a", 10.0) for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    assert found.take("b", 10.0) == 0
    assert found.take("a", 10.4) > 0
    assert found.take("a", 10.5) == 0
    assert [found.take("a", 99.0) for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_token_given_back_can_be_taken_again() -> None:
    found = Rates(1, 1)
    assert found.take("a", 1.0) == 0
    found.give("a")
    found.give("a")
    assert [found.take("a", 1.0) for _ in range(2)] == [0, 1]


def test_the_number_of_buckets_is_bounded() -> None:
    found = Rates(1, 1)
    for number in range(rates.MOST + 5):
        found.take(str(number), 1.0)
    assert len(found._buckets) == rates.MOST
    assert found.take(str(rates.MOST + 4), 1.0) == 1
    assert found.take("0", 1.0) == 0
