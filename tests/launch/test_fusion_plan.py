"""How the alignments and triggers of a graph file become those of the plan."""

import pytest

from tectum.clock import NS_PER_MS
from tectum.pipeline.plan import AlignPlan
from tectum_launch.align_schema import AlignConfig
from tectum_launch.fusion_plan import align_plan
from tectum_launch.fusion_schema import Trigger as AnyTrigger
from tectum_launch.fusion_schema import TriggerConfig

PERIOD_NS = 30 * NS_PER_MS


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"exact": {}}, AlignPlan("exact")),
        ({"nearest": {"tolerance": "40ms"}}, AlignPlan("nearest", 40_000_000, 40_000_000)),
        ({"nearest": {"before": "40ms", "after": "0ms"}}, AlignPlan("nearest", 40_000_000, 0)),
        ({"latest": {"max_age": "1s"}}, AlignPlan("latest", max_age_ns=1_000_000_000)),
        (
            {"window": {"duration": "1s", "lead": "-20ms", "coverage": 0.8}},
            AlignPlan("window", duration_ns=10**9, lead_ns=-20_000_000, coverage_permille=800),
        ),
        ({"interpolate": {"reach": "25ms"}}, AlignPlan("interpolate", 25_000_000, 25_000_000)),
    ],
)
def test_every_rule_has_one_meaning(written, meant) -> None:
    config = AlignConfig.model_validate(written)
    assert align_plan(config, is_trigger=False, period_ns=PERIOD_NS) == meant


def test_the_default_is_exact_for_the_trigger_and_half_a_period_for_others() -> None:
    assert align_plan(None, is_trigger=True, period_ns=PERIOD_NS) == AlignPlan("exact")
    others = align_plan(None, is_trigger=False, period_ns=PERIOD_NS)
    assert others == AlignPlan("nearest", PERIOD_NS // 2, PERIOD_NS // 2)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("lidar", ("lidar", ())),
        (["lidar"], ("lidar", ())),
        (["lidar", "camera"], ("lidar", ("camera",))),
        ({"input": "lidar", "also": ["camera"]}, ("lidar", ("camera",))),
    ],
)
def test_one_input_or_several_may_trigger(written, meant) -> None:
    from pydantic import TypeAdapter

    trigger: TriggerConfig = TypeAdapter(AnyTrigger).validate_python(written)
    assert (trigger.input, trigger.also) == meant


def test_more_inputs_do_not_go_with_a_rate() -> None:
    with pytest.raises(ValueError, match="a rate is a trigger by itself"):
        TriggerConfig.model_validate({"rate": "5Hz", "also": ["camera"]})
