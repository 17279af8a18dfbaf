"""Imports go one way: pipelines -> components -> fec; a component never imports another one."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("fec", "components", "pipelines")


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def allowed(importer: Path, module: str) -> bool:
    target = module.split(".")
    if target[0] not in LAYERS:
        return True
    own = importer.relative_to(ROOT).parts
    if LAYERS.index(target[0]) > LAYERS.index(own[0]):
        return False
    if target[:2] == ["components", "options"]:  # what can be asked of all steps: their parameters, and no step
        return True
    return not (own[0] == target[0] == "components" and len(target) > 1 and target[1] != own[1])


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_one_way(layer: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in sorted((ROOT / layer).rglob("*.py"))
        for module in sorted(imported(file))
        if not allowed(file, module)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("file", "module", "expected"),
    [
        ("fec/x.py", "components.plan", False),
        ("components/plan/step.py", "components.faces.step", False),
        ("components/plan/step.py", "components.plan.hosts", True),
        ("components/plan/component.py", "components.options", True),
        ("pipelines/pipeline.py", "components.plan.component", True),
        ("components/plan/step.py", "fec.layout", True),
    ],
)
def test_the_rule_itself(file: str, module: str, expected: bool) -> None:
    assert allowed(ROOT / file, module) is expected
