from __future__ import annotations

import pytest

from tectum.errors import ConfigError
from tectum.units import parse_size, size_text


@pytest.mark.parametrize(
    ("text", "size"),
    [("12B", 12), ("64kB", 64_000), ("256MB", 256_000_000), ("1.5 GB", 1_500_000_000)],
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["256", 256, "0MB", "-1MB", "12MiB", "much"])
def test_a_size_without_a_known_unit_or_of_nothing_is_refused(text: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_size(text)
    assert str(caught.value) == (
        f"{text!r} is not a size: write a number with a unit (B, kB, MB, GB), such as 256MB"
    )


def test_sizes_are_told_in_the_unit_that_a_person_reads() -> None:
    told = [size_text(size) for size in (12, 64_000, 6_200_000, 1_500_000_000)]
    assert told == ["12 B", "64 kB", "6.2 MB", "1.50 GB"]
