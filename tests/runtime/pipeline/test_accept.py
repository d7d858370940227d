"""Which combinations of inputs a plan accepts."""

import pytest

from tectum.pipeline.accept import accepted, requirements

ALL_OF = (((("camera",), 1), (("lidar",), 1)),)
EITHER = (((("camera",), 1),), ((("lidar",), 1),))
COUNTS = (((("front", "left", "right"), 2), (("lidar",), 1)),)


@pytest.mark.parametrize(
    ("wanted", "present", "is_accepted"),
    [
        (ALL_OF, ["camera", "lidar"], True),
        (ALL_OF, ["camera", "lidar", "siren"], True),
        (ALL_OF, ["camera"], False),
        (EITHER, ["lidar"], True),
        (EITHER, ["siren"], False),
        (COUNTS, ["left", "right", "lidar"], True),
        (COUNTS, ["left", "lidar"], False),
        (COUNTS, ["front", "left", "right"], False),
        (COUNTS, [], False),
    ],
)
def test_lists_groups_and_counts(wanted, present, is_accepted) -> None:
    assert accepted(wanted, present) is is_accepted


def test_the_required_inputs_are_needed_where_nothing_is_listed(scene) -> None:
    assert requirements(scene.set(accept=()).plan) == (((("camera",), 1), (("lidar",), 1)),)


def test_any_input_will_do_where_none_is_required(scene) -> None:
    scene.set(accept=())
    for name in ("camera", "lidar"):
        scene.input(name, required=False)
    assert requirements(scene.plan) == (((("camera", "lidar", "siren"), 1),),)
