"""The layer lines of the design, held by reading every file's imports.

Two lines: between the four packages, and inside the core between deciding and doing.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PACKAGES = {
    "tectum": (ROOT / "runtime/tectum", {"tectum"}),
    "tectum_nodes": (ROOT / "nodes/tectum_nodes", {"tectum", "tectum_nodes"}),
    "tectum_models": (ROOT / "models/tectum_models", {"tectum", "tectum_models"}),
    "tectum_launch": (
        ROOT / "launch/tectum_launch",
        {"tectum", "tectum_nodes", "tectum_models", "tectum_launch"},
    ),
}
"""Package -> its folder and which of our packages it may import."""

DECIDING = ("message.py", "clock.py", "sync", "budget", "pipeline", "ledger", "fusion")
"""Parts of the core that decide: facts in, orders out."""

CLOSED_TO_DECIDING = {
    "asyncio", "av", "cv2", "mcap", "multiprocessing", "onnxruntime", "ruamel", "selectors",
    "socket", "sounddevice", "subprocess", "tempfile", "threading", "time", "yaml", "zmq",
}  # fmt: skip
"""What deciding code imports nothing of."""

DOING = ("transport", "inference", "recording", "node", "rundir")
"""Parts of the core that do; deciding code knows none of them."""

MAY_READ_THE_MACHINE = {"clock.py": {"time"}}
"""The graph clock is the one place that reads the machine's time."""


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, module) of each import in a file, also of those inside functions."""
    for item in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(item, ast.Import):
            yield from ((item.lineno, alias.name) for alias in item.names)
        elif isinstance(item, ast.ImportFrom):
            assert item.level == 0, f"{path}:{item.lineno}: write the import in full"
            module = item.module or ""
            yield item.lineno, module
            yield from ((item.lineno, f"{module}.{alias.name}") for alias in item.names)


def breaches(files, allows) -> list[str]:
    """Return `file:line imports module` for each import that `allows(path, module)` refuses."""
    return [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in files
        for line, module in imports_of(path)
        if not allows(path, module)
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_lies_below_them(package):
    folder, allowed = PACKAGES[package]
    files = sorted(folder.rglob("*.py"))
    assert files

    def allows(path: Path, module: str) -> bool:
        top = module.partition(".")[0]
        return top not in PACKAGES or top in allowed

    assert breaches(files, allows) == []


def test_what_decides_imports_nothing_that_does():
    core = PACKAGES["tectum"][0]
    parts = [core / name for name in DECIDING]
    assert all(part.exists() for part in parts)
    files = sorted(
        file for part in parts for file in ([part] if part.is_file() else part.rglob("*.py"))
    )

    def allows(path: Path, module: str) -> bool:
        top = module.partition(".")[0]
        if top in MAY_READ_THE_MACHINE.get(path.name, ()):
            return True
        doing = module.startswith(tuple(f"tectum.{part}" for part in DOING))
        return top not in CLOSED_TO_DECIDING and not doing

    assert breaches(files, allows) == []


def test_the_line_catches_a_planted_import(tmp_path):
    planted = tmp_path / "planted.py"
    planted.write_text("def later():\n    from tectum_nodes import camera\n")
    assert [module for _, module in imports_of(planted)] == ["tectum_nodes", "tectum_nodes.camera"]


def test_source_roots_are_no_packages_themselves():
    for folder in ("runtime", "nodes", "models", "launch", "tests"):
        assert not (ROOT / folder / "__init__.py").exists()
