"""Who may import whom."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WITHOUT = """
import sys

class Ban:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"django", "celery", "kombu", "redis", "psycopg2"}:
            raise ImportError(f"{name} must not be imported here")

sys.meta_path.insert(0, Ban())
import workflows.dsl, workflows.engine, workflows.engine.expressions
print(sorted(name for name in sys.modules if name.startswith("django")))
"""


def test_dsl_and_engine_import_with_django_and_celery_made_unimportable():
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


ALLOWED = {
    "workflows.dsl": {"workflows.dsl"},
    "workflows.engine": {"workflows.dsl", "workflows.engine"},
    "workflows.runtime": {"workflows", "workflows.dsl", "workflows.engine", "workflows.runtime"},
    "workers.activities": {"workers.activities", "workflows.dsl", "workflows.engine"},
}
"""Package to what it may import of our own."""

FOREIGN = {
    "workflows.dsl": {"django", "celery", "kombu", "redis", "psycopg2", "asyncio", "os", "time", "random", "socket"},
    "workflows.engine": {"django", "celery", "kombu", "redis", "psycopg2", "asyncio", "os", "time", "random", "socket"},
    "workflows.runtime": {"celery", "kombu", "redis", "aiohttp"},
    "workers.activities": {"django", "celery", "kombu", "redis", "psycopg2"},
}
"""Package to what it may not import of others."""


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package.replace(".", "/")).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (
                f"{node.module}.{alias.name}" for alias in node.names if node.module in ("workflows", "workers")
            )


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_the_layers_below_it(package: str):
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(package)
        for name in imports(path)
        if name.startswith(("workflows.", "workers", "lemline_site"))
        and not any(name == layer or name.startswith(f"{layer}.") for layer in ALLOWED[package] - {"workflows"})
        and not (package == "workflows.runtime" and name == "workflows.models")
    }

    assert not wrong


@pytest.mark.parametrize("package", FOREIGN)
def test_a_package_does_not_know_what_others_are_made_of(package: str):
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(package)
        for name in imports(path)
        if name.split(".")[0] in FOREIGN[package]
    }

    assert not wrong


@pytest.mark.parametrize("door", ["workflows.api", "workflows.cli"])
def test_a_door_reaches_the_engine_through_operations_only(door: str):
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(door)
        for name in imports(path)
        if name.startswith("workflows.runtime.")
        and name.split(".")[2] in {"stepper", "records", "postgres", "sqlite", "consequences", "step"}
    }

    assert not wrong


def test_no_module_is_longer_than_400_lines_and_no_function_longer_than_45():
    long_modules, long_functions = [], []
    for path in (*ROOT.glob("workflows/**/*.py"), *ROOT.glob("workers/**/*.py"), *ROOT.glob("lemline_site/**/*.py")):
        if "migrations" in path.parts:
            continue
        text = path.read_text("utf-8")
        if text.count("\n") > 450:
            long_modules.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > 45:
                    long_functions.append(f"{path.relative_to(ROOT)}: {node.name}: {length}")

    assert not long_modules
    assert not long_functions
