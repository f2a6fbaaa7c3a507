"""The admin pages in this process, on an empty database, with nobody who works."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from workflows.runtime import process

VIEW = (
    "view_instance",
    "view_definition",
    "view_checkpoint",
    "view_history",
    "view_auditentry",
    "view_apikey",
    "view_node",
)
STEER = (*VIEW, "change_instance")


def browser_of(name: str, *permissions: str, groups: tuple[str, ...] = (), superuser: bool = False) -> Client:
    """Return the browser of a new member of staff."""
    user = User.objects.create_user(name, password="x", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    user.groups.set([Group.objects.get_or_create(name=group)[0] for group in groups])
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def browser(sqlite: str) -> Iterator[Client]:
    """A superuser's browser."""
    yield browser_of("root", superuser=True)
    process.end()
