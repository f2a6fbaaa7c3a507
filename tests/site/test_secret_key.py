from concurrent.futures import ThreadPoolExecutor

from lemline_site.secret_key import load_or_make


def test_a_key_is_made_once_and_is_the_same_for_all_who_start_together(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(lambda _: load_or_make(tmp_path / "data"), range(16)))

    assert len(keys) == 1
    assert keys == {load_or_make(tmp_path / "data")}


def test_only_its_owner_may_read_it(tmp_path):
    load_or_make(tmp_path)

    assert (tmp_path / "secret-key").stat().st_mode & 0o077 == 0
