"""Imports go one way: pipelines -> components -> fec; a component never imports another one, and no two modules each
other."""

import ast
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("fec", "components", "pipelines")
# What can be asked of all steps at once.
SHARED = ("accelerators", "again", "form", "options", "placement", "resources")
# The one way up: `fec.load_embedder` lies above the steps whose work it does on a photograph.
PUBLIC = "pipelines.embedding.embedder"


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
    if own == ("fec", "__init__.py") and module.startswith(PUBLIC):
        return True
    if LAYERS.index(target[0]) > LAYERS.index(own[0]):
        return False
    if target[0] == "components" and target[1:2] and target[1] in SHARED:
        return True
    if own[0] == "components" and len(own) == 2:  # what is asked of all steps knows their parameters, and no step
        return target[0] != "components" or target[1:] == [] or target[2:3] == ["parameters"]
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
        ("fec/x.py", "pipelines.embedding.embedder", False),
        ("fec/__init__.py", "pipelines.embedding.embedder", True),
        ("fec/__init__.py", "pipelines.cli", False),
        ("components/plan/step.py", "components.faces.step", False),
        ("components/plan/step.py", "components.plan.partition", True),
        ("components/plan/component.py", "components.options", True),
        ("components/form.py", "components.plan.parameters", True),
        ("components/form.py", "components.plan.step", False),
        ("pipelines/pipeline.py", "components.plan.component", True),
        ("components/plan/step.py", "fec.layout", True),
    ],
)
def test_the_rule_itself(file: str, module: str, expected: bool) -> None:
    assert allowed(ROOT / file, module) is expected


def modules() -> dict[str, Path]:
    """Every module of the layers by its name."""
    files = [file for layer in LAYERS for file in (ROOT / layer).rglob("*.py")]
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return dict(zip(names, files, strict=True))


def circle(imports: Mapping[str, set[str]]) -> list[str]:
    """Modules that import each other, the last being the first again; none where there is no circle."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports within a function, or for type checkers only, count: what needs them is one module, or three."""
    known = modules()
    imports = {name: (imported(file) & known.keys()) - {name} for name, file in known.items()}
    # ``from package import module`` is an import of the module; the package's own names are in its __init__.
    for name, file in known.items():
        imports[name] -= {module for module in imports[name] if only_as_a_package(file, module, known)}
    assert sum(map(len, imports.values())) > 200
    assert circle(imports) == []


def only_as_a_package(file: Path, module: str, known: Mapping[str, Path]) -> bool:
    """Whether ``file`` names ``module`` only to import modules within it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import) and any(alias.name == module for alias in node.names):
            return False
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            if node.module == module and any(f"{module}.{alias.name}" not in known for alias in node.names):
                return False
            if any(f"{node.module}.{alias.name}" == module for alias in node.names):
                return False
    return True


@pytest.mark.parametrize(
    ("imports", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, 0),
        ({"a": {"b"}, "b": {"a"}}, 3),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, 4),
    ],
)
def test_a_circle_is_found(imports: Mapping[str, set[str]], found: int) -> None:
    assert len(circle(imports)) == found
