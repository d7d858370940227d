"""README.md is right: its graph compiles, its links lead somewhere, its commands exist."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from tectum_launch.checks import check_graph
from tectum_launch.cli import main
from tectum_launch.compile import load_graph
from tectum_launch.shipped import shipped_graphs

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.skipif(
    not files("tectum_models").joinpath("driving/head/model.yaml").is_file(),
    reason="no driving head yet",
)
def test_the_graph_of_the_readme_has_no_error(tmp_path: Path) -> None:
    path = tmp_path / "readme.yaml"
    path.write_text(re.search(r"```yaml\n(.*?)```", README, re.DOTALL).group(1))  # type: ignore[union-attr]
    findings = check_graph(load_graph(str(path)))
    assert not [finding.text for finding in findings if finding.level == "error"]


def test_every_shipped_graph_is_in_the_readme() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert sorted(listed) == sorted(shipped_graphs())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?:^ +|`|\$ )tectum ([a-z]+)", text, re.MULTILINE)
    assert set(named) <= set(main.commands)
