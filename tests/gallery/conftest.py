"""Empty galleries in a file and in a real PostgreSQL."""

import pytest
from gallery_people import embedder

from urfr_tf.gallery import Gallery


@pytest.fixture
def gallery(tmp_path):
    with Gallery.create(tmp_path / "known.gallery", embedder()) as made:
        yield made


@pytest.fixture(params=["file", pytest.param("postgres", marks=pytest.mark.process)])
def either(request, tmp_path):
    """An empty gallery of either kind."""
    where = tmp_path / "g" if request.param == "file" else request.getfixturevalue("database")
    with Gallery.create(where, embedder()) as made:
        made.address = where
        yield made
