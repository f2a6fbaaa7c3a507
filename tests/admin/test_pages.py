"""What the admin pages show, and that they change nothing."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from tests.admin.conftest import STEER, VIEW, browser_of
from tests.doors import ECHO, FAILING, SLEEPER, register, start
from workflows.dsl import jsontext
from workflows.models import Definition, Instance

MODELS = ("definition", "instance", "checkpoint", "node", "apikey", "auditentry")


def page(browser: Client, path: str, query: str = "") -> str:
    answer = browser.get(f"/admin/workflows/{path}/{query}")
    assert answer.status_code == 200, answer
    return str(answer.content.decode())


def detail(browser: Client, name: str) -> str:
    return page(browser, f"instance/{name}/change")


def listed(browser: Client, query: str = "") -> list[str]:
    return re.findall(r"/instance/([0-9a-f-]{36})/change/", page(browser, "instance", query))


def test_every_table_has_a_list_and_the_site_has_a_name(browser: Client) -> None:
    register(SLEEPER)
    start()

    front = browser.get("/admin/").content.decode()

    for model in MODELS:
        assert f"/admin/workflows/{model}/" in front
        assert "Lemline" in page(browser, model)
    assert "Audit entries" in front


def test_an_instance_that_faulted_says_why_and_where_above_all_else(browser: Client) -> None:
    register(FAILING)

    text = detail(browser, start().id)

    assert text.index("lemline-faulted") < text.index("/do/0/fail") < text.index("Task runs") < text.index("Phases")
    assert text.index("Broken") < text.index("Task runs")
    assert text.index("Phases") < text.index('class="lemline-json"')


def test_an_instance_that_waits_says_where_it_stands_and_for_how_long(browser: Client) -> None:
    register("do: [{keep: {set: {a: 1}, export: {as: '${ {kept: .a} }'}}}, {nap: {wait: {days: 1}}}]")

    text = detail(browser, start().id)

    assert text.index("Stands at") < text.index("/do/1/nap") < text.index("Next timer") < text.index("Task runs")
    assert "&quot;kept&quot;: 1" in text


def test_task_runs_stand_in_the_order_of_their_start(browser: Client) -> None:
    register("do: [{a: {do: [{b: {set: {x: 1}}}]}}, {c: {set: {x: 1}}}, {nap: {wait: {days: 1}}}]")

    text = detail(browser, start().id)

    table = text[text.index("Task runs") : text.index("Phases")]
    assert re.findall(r"<code>(.+?)</code>", table) == ["/do/0/a", "/do/0/a/do/0/b", "/do/1/c", "/do/2/nap"]


def test_what_a_workflow_says_is_text_and_no_markup(browser: Client) -> None:
    register(
        "do: [{fail: {raise: {error: {type: about:x, status: 500, title: <b>bold</b>, detail: '<script>x</script>'}}}}]"
    )
    made = start(input=b'"<script>alert(1)</script>"', labels={"<i>": "<u>"}).id

    text = detail(browser, made) + page(browser, "instance")

    assert not any(markup in text for markup in ("<b>bold", "<script>x", "<script>alert", "<i>", "<u>"))


def test_a_large_value_is_cut_and_says_how_large_it_is(browser: Client) -> None:
    register(ECHO)

    text = detail(browser, start(input=b'"' + b"x" * 100_000 + b'"').id)

    assert "100002 characters in all" in text
    assert len(text) < 150_000


def test_only_verbs_that_do_something_are_offered(browser: Client) -> None:
    register(ECHO)
    register(FAILING, name="fail")
    register(SLEEPER, name="nap")

    offered = {
        name: re.findall(r'name="action" value="(\w+)"', detail(browser, start(name).id))
        for name in ("echo", "fail", "nap")
    }

    assert offered == {"echo": [], "fail": ["retry"], "nap": ["suspend", "cancel"]}


def test_a_definition_is_shown_as_it_was_given(browser: Client) -> None:
    register(ECHO)

    text = page(browser, f"definition/{Definition.objects.get().pk}/change")

    assert "do: [{echo: {set: &#x27;${ . }&#x27;}}]" in text


def test_a_checkpoint_shows_the_state(browser: Client) -> None:
    register(SLEEPER)

    assert "/do/0/nap" in page(browser, f"checkpoint/{start().id}/change")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_nothing_can_be_added_changed_or_deleted_by_anybody(browser: Client, model: str, method: str) -> None:
    register(SLEEPER)
    start()
    rows = apps.get_model("workflows", model).objects
    before = list(rows.values())
    key = rows.values_list("pk", flat=True).first() or 1

    refused = [
        getattr(browser, method)(f"/admin/workflows/{model}/{path}/").status_code for path in ("add", f"{key}/delete")
    ]
    changed = browser.post(f"/admin/workflows/{model}/{key}/change/", {"status": "completed", "role": "admin"})
    bulk = browser.post(
        f"/admin/workflows/{model}/", {"action": "delete_selected", "_selected_action": key, "post": "yes"}
    )

    assert refused in ([403, 403], [403, 302])
    assert changed.status_code in (302, 403)
    assert bulk.status_code in (200, 302)
    assert list(rows.values()) == before


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?status=waiting", ["nap"]),
        ("?status=faulted", []),
        ("?workflow=tests/echo", ["echo"]),
        ("?q=nap", ["nap"]),
        ("?q=tests/nap", ["nap"]),
        ("?q=other/nap", []),
        ("?q=team:blue", ["nap"]),
        ("?q=0:1", ["nap"]),
        ("?q=team:red", []),
        ("?q=%20nap%20", ["nap"]),
        ("?q=:", []),
        ("?q='%22;--", []),
        ("?q=zzzz", []),
        ("?q=" + "f" * 64, []),
    ],
)
def test_instances_are_found_by_status_workflow_and_label(browser: Client, query: str, found: list[str]) -> None:
    register(ECHO)
    register(SLEEPER, name="nap")
    made = {"echo": start().id, "nap": start("nap", labels={"team": "blue", "0": "1"}).id}

    names = list(dict.fromkeys(listed(browser, query)))

    assert names == [made[name] for name in found]


def test_instances_are_found_by_the_start_of_their_id(browser: Client) -> None:
    register(ECHO)
    wanted = start(instance_id="0199aaaa-0000-4000-8000-000000000001").id
    other = start(instance_id="0199bbbb-0000-4000-8000-000000000001").id

    assert listed(browser, "?q=0199a") == [wanted]
    assert listed(browser, "?q=0199BBBB-0000-4") == [other]
    assert listed(browser, f"?q={wanted}") == [wanted]
    assert set(listed(browser, "?q=0199")) == {wanted, other}


@pytest.mark.parametrize(
    "path", ["instance/xyz/change", "instance/01a21339-f482-7c39-aeef-ce9b7c8f33ac/change", "definition/9/change"]
)
def test_what_is_not_there_leads_back(browser: Client, path: str) -> None:
    assert browser.get(f"/admin/workflows/{path}/").status_code == 302


def test_a_user_limited_to_namespaces_sees_nothing_else(browser: Client) -> None:
    for namespace in ("a", "b"):
        register(SLEEPER, namespace=namespace)
    own, foreign = start(namespace="a").id, start(namespace="b").id

    limited = browser_of("ada", *STEER, groups=("namespace:a",))

    assert listed(limited) == [own]
    assert listed(limited, f"?q={foreign}") == listed(limited, "?workflow=b/echo") == []
    assert limited.get(f"/admin/workflows/instance/{foreign}/change/").status_code == 302
    assert "b/echo" not in page(limited, "instance")
    assert re.findall(r"/definition/(\d+)/", page(limited, "definition")) == [
        str(Definition.objects.get(namespace="a").pk)
    ]
    for model in ("checkpoint", "node", "apikey", "auditentry"):
        assert limited.get(f"/admin/workflows/{model}/").status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_without_the_permission_to_view_there_is_nothing(browser: Client, model: str) -> None:
    assert browser_of("ada").get(f"/admin/workflows/{model}/").status_code == 403
    assert browser_of("eve", *VIEW).get(f"/admin/workflows/{model}/").status_code == 200


def test_whoever_is_not_logged_in_is_sent_to_the_login(browser: Client) -> None:
    answer = Client().get("/admin/workflows/instance/")

    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")


def many(rows: int) -> None:
    first = Instance.objects.get()
    values: dict[str, Any] = {name: getattr(first, name) for name in ("namespace", "workflow", "version", "created_at")}
    Instance.objects.bulk_create(Instance(definition=first.definition, input=b"{}", **values) for _ in range(rows))


@pytest.mark.parametrize("path", ["instance/", "instance/?status=waiting", "instance/?q=tests/echo"])
def test_a_list_asks_as_much_for_many_instances_as_for_one(
    browser: Client, django_assert_max_num_queries: Any, path: str
) -> None:
    register(SLEEPER)
    start()
    many(120)

    with django_assert_max_num_queries(7):
        text = page(browser, path.partition("/")[0], path.partition("/")[2])

    assert "lemline-json" not in text.replace(".lemline-json", "")


def test_an_instance_asks_as_much_for_a_long_history_as_for_a_short_one(
    browser: Client, django_assert_max_num_queries: Any
) -> None:
    register("do: [{each: {for: {in: '${ . }'}, do: [{one: {set: {a: 1}}}]}}, {nap: {wait: {days: 1}}}]")
    made = start(input=jsontext.encode([0] * 300)).id

    with django_assert_max_num_queries(22):
        text = detail(browser, made)

    assert "the API shows the rest" in text
