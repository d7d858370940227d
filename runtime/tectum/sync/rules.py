"""The table of alignment rules: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable

from tectum.errors import ConfigError, nearest_name
from tectum.pipeline.plan import AlignPlan
from tectum.sync.base import Alignment
from tectum.sync.exact import Exact
from tectum.sync.interpolate import Interpolate
from tectum.sync.latest import Latest
from tectum.sync.nearest import Nearest
from tectum.sync.window import Window

__all__ = ["RULES", "build_alignment"]

RULES: dict[str, Callable[[AlignPlan], Alignment]] = {
    "exact": lambda plan: Exact(),
    "nearest": lambda plan: Nearest(plan.before_ns, plan.after_ns),
    "latest": lambda plan: Latest(plan.max_age_ns),
    "interpolate": lambda plan: Interpolate(plan.before_ns, plan.after_ns),
    "window": lambda plan: Window(plan.duration_ns, plan.lead_ns, plan.coverage_permille),
}


def build_alignment(plan: AlignPlan) -> Alignment:
    """Return the alignment that `plan` describes.

    Raises:
        ConfigError: no rule has this name.
    """
    if plan.rule not in RULES:
        hint = nearest_name(plan.rule, RULES)
        msg = f"no alignment is called '{plan.rule}'{hint} (known: {', '.join(RULES)})"
        raise ConfigError(msg)
    return RULES[plan.rule](plan)
