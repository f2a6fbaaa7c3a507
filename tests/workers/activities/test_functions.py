"""Registered Python functions. Source: docs/python.md."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.workers.activities.calling import Asked, all_of, failure_of, output_of, played, result_of, secret, short
from workers.activities import ActivityError, Cancellation, Context, Problem, activity, functions


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(functions, "_functions", {})


def called(name: str, given: Any = None, **more: Any) -> Any:
    return output_of("function", {"function": name, "with": given}, **more)


def failed(name: str, given: Any = None, **more: Any) -> ActivityError:
    return failure_of("function", {"function": name, "with": given}, **more)


def test_a_function_is_called_with_named_arguments_and_stays_callable():
    @activity("tests/charge")
    def charge(amount: int, currency: str = "EUR", *, context: Context) -> dict[str, Any]:
        return {"paid": f"{amount} {currency}", "key": context.idempotency_key, "at": context.position}

    assert called("tests/charge", {"amount": 5}) == {"paid": "5 EUR", "key": "key-1", "at": "/do/0/work"}
    assert called("tests/charge:1.0.0", {"amount": 5, "currency": secret("token")})["paid"] == "5 s3cret-t0ken"
    assert charge.__name__ == "charge"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "lacks 'amount'; it takes amount, currency"),
        ({"amount": 1, "amuont": 2}, "knows no 'amuont'"),
        ({"amount": 1, "context": {}}, "knows no 'context'"),
        ([1], "named arguments"),
        ("x", "named arguments"),
    ],
)
def test_arguments_that_do_not_fit_the_signature_are_a_validation_problem(given: Any, says: str):
    @activity("tests/charge")
    def charge(amount: int, currency: str = "EUR", *, context: Context) -> None:
        raise AssertionError

    error = failed("tests/charge", given)

    assert short(error) == ("validation", 400)
    assert says in str(error)


def test_a_function_that_takes_anything_is_given_anything_but_its_context():
    @activity("tests/any")
    def anything(context: Context, **given: Any) -> Any:
        return given

    assert called("tests/any", {"a": 1, "b": None}) == {"a": 1, "b": None}
    assert short(failed("tests/any", {"context": 1})) == ("validation", 400)


def test_the_highest_version_is_called_unless_one_is_named():
    for version in ("1.9.0", "1.10.0", "1.2.0"):

        @activity("tests/versions", version=version)
        def answer(version: str = version) -> str:
            return version

    assert called("tests/versions") == "1.10.0"
    assert called("tests/versions:1.2.0") == "1.2.0"
    assert short(failed("tests/versions:3.0.0")) == ("configuration", 400)


def test_a_function_that_this_worker_lacks_is_a_configuration_problem_that_says_what_to_set():
    error = failed("tests/absent")

    assert short(error) == ("configuration", 400)
    assert "LEMLINE_ACTIVITIES" in str(error)


def test_a_problem_that_a_function_raises_is_the_problem_of_its_task():
    @activity("tests/refuse")
    def refuse(own: bool) -> None:
        raise Problem("https://example.com/broke" if own else "communication", 402, "Broke", "no money")

    own, standard = failed("tests/refuse", {"own": True}), failed("tests/refuse", {"own": False})

    assert (own.problem.type, own.problem.status, own.problem.title, own.problem.detail) == (
        "https://example.com/broke", 402, "Broke", "no money",
    )  # fmt: skip
    assert short(standard) == ("communication", 402)
    assert own.answered


@pytest.mark.parametrize(
    "error", [KeyError("k"), SystemExit(3), GeneratorExit(), KeyboardInterrupt(), RecursionError()]
)
def test_whatever_else_a_function_raises_is_a_runtime_problem(error: BaseException):
    @activity("tests/break")
    def break_() -> None:
        raise error

    @activity("tests/break-async")
    async def break_async() -> None:
        raise error

    names = ("tests/break", "tests/break-async") if isinstance(error, Exception) else ("tests/break",)
    for name in names:
        assert short(failed(name)) == ("runtime", 500)
        assert f"raised {type(error).__name__}" in str(failed(name))


@pytest.mark.parametrize(
    ("returned", "output"),
    [
        (None, None),
        (10**30, 10**30),
        ((1, 2), [1, 2]),
        ({1: "a"}, {"1": "a"}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (float("nan"), None),
        ("\0", "\0"),
    ],
)
def test_what_a_function_returns_becomes_json(returned: object, output: object):
    @activity("tests/give")
    def give() -> object:
        return returned

    assert called("tests/give") == output
    assert type(called("tests/give")) is type(output)


@pytest.mark.parametrize("returned", [object(), {(1, 2): 3}, "\ud800", print])
def test_what_json_cannot_hold_is_a_runtime_problem(returned: object):
    @activity("tests/give")
    def give() -> object:
        return returned

    error = failed("tests/give")

    assert short(error) == ("runtime", 500)
    assert "JSON cannot hold" in str(error)


def test_what_a_function_returned_is_not_changed_by_what_it_does_later():
    kept: list[int] = [1]

    @activity("tests/keep")
    def keep() -> list[int]:
        return kept

    output = called("tests/keep")
    kept.append(2)

    assert output == [1]


def test_a_coroutine_is_awaited_and_given_its_context():
    @activity("tests/async")
    async def work(n: int, *, context: Context) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"n": n + 1, "key": context.idempotency_key}

    assert called("tests/async", {"n": 1}) == {"n": 2, "key": "key-1"}
    assert short(failed("tests/async")) == ("validation", 400)


@pytest.mark.parametrize("more", [{"timeout": "PT0.05S"}, {}])
def test_a_coroutine_that_takes_too_long_is_cancelled_and_timed_out(more: dict[str, str]):
    ended: list[str] = []

    @activity("tests/slow", **more)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    error = failed("tests/slow", timeout_seconds=None if more else 0.05)

    assert short(error) == ("timeout", 408)
    assert not error.answered
    assert ended == ["cancelled"]


def test_a_coroutine_that_nobody_waits_for_any_more_is_cancelled():
    @activity("tests/endless")
    async def endless() -> None:
        await asyncio.Event().wait()

    async def cancel_midway() -> Any:
        cancelled = Cancellation()
        asked = Asked("function", {"function": "tests/endless"}, cancelled=cancelled)
        task = asyncio.ensure_future(asked.run())
        await asyncio.sleep(0)
        cancelled.set()
        [ended] = await asyncio.gather(task, return_exceptions=True)
        return ended

    [error] = all_of(cancel_midway)

    assert isinstance(error, ActivityError)
    assert not error.answered


def test_what_cannot_be_called_by_a_workflow_is_refused_when_it_is_registered():
    def generator() -> Iterator[int]:
        yield 1

    async def async_generator() -> Any:
        yield 1

    def positional(a: int, /) -> None: ...

    for wrong in (generator, async_generator, positional):
        with pytest.raises(TypeError):
            activity("tests/wrong")(wrong)


@pytest.mark.parametrize(
    "options",
    [{"version": "1"}, {"version": "v1.0.0"}, {"pool": "gpu"}, {"pool": "maintenance"}, {"timeout": "soon"}],
)
def test_a_registration_with_a_mistake_is_refused(options: dict[str, str]):
    with pytest.raises(ValueError):  # noqa: PT011
        activity("tests/wrong", **options)


@pytest.mark.parametrize("name", ["", "a b", "-a", "a:1.0.0"])
def test_a_name_that_no_workflow_can_call_is_refused(name: str):
    with pytest.raises(ValueError, match="a name has"):
        activity(name)


def test_a_name_and_version_belong_to_one_function():
    def first() -> None: ...

    def second() -> None: ...

    activity("tests/mine")(first)
    activity("tests/mine")(first)

    with pytest.raises(ValueError, match="another version"):
        activity("tests/mine")(second)


def test_functions_are_found_in_the_modules_that_are_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_functions.py").write_text(
        "from workers.activities import activity\n@activity('mine/hello')\ndef hello(name): return f'Hello {name}'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "my_functions", None)
    monkeypatch.delitem(sys.modules, "my_functions")

    functions.load(["my_functions"])

    assert called("mine/hello", {"name": "Ada"}) == "Hello Ada"


def test_functions_are_found_by_their_entry_points(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "shop_functions.py").write_text(
        "from workers.activities import activity\n@activity('shop/hello')\ndef hello(): return 'Hello'\n"
    )
    package = tmp_path / "shop-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[lemline.activities]\nshop = shop_functions\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    functions.load([])

    assert called("shop/hello") == "Hello"
    sys.modules.pop("shop_functions")


def test_a_module_that_is_not_there_stops_the_start():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        functions.load(["no_such_module"])


def test_a_workflow_calls_functions_of_both_sorts():
    @activity("tests/double")
    def double(n: int) -> dict[str, int]:
        return {"n": n * 2}

    @activity("tests/next")
    async def next_(n: int) -> dict[str, int]:
        return {"n": n + 1}

    view = played(
        """
do:
  - first: {call: tests/double, with: {n: '${ .n }'}}
  - second: {call: 'tests/next:1.0.0', with: {n: '${ .n }'}}
""",
        {"n": 4},
    )

    assert result_of(view) == {"n": 9}
