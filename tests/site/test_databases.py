from django.db import connection


def test_a_test_may_run_on_postgresql_and_on_sqlite(database):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO auth_group (name) VALUES ('one')")
        cursor.execute("SELECT count(*) FROM auth_group")
        (count,) = cursor.fetchone()

    assert database.startswith(connection.vendor)
    assert count == 1


def test_what_a_test_left_is_gone_for_the_next(database):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auth_group")

        assert cursor.fetchone() == (0,)
