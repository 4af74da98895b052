"""Where the user's cache is."""

from pathlib import Path

import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.system import cache
from urfr_tf.system.cache import cache_folder


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"URFR_HOME": "/there"}, "/there"),
        ("linux", {"HOME": "/me"}, "/me/.cache/urfr"),
        ("linux", {"HOME": "/me", "XDG_CACHE_HOME": "/cache"}, "/cache/urfr"),
        ("darwin", {"HOME": "/me"}, "/me/Library/Caches/urfr"),
    ],
)
def test_where_the_cache_is(monkeypatch, platform, environment, expected):
    for name in ("URFR_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(cache.sys, "platform", platform)
    assert cache_folder() == Path(expected)


def test_a_user_without_a_home(monkeypatch):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    for name in ("URFR_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cache.Path, "home", fail)
    with pytest.raises(UrfrError, match="set URFR_HOME to a folder"):
        cache_folder()
