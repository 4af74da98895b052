"""`urfr prepare` inside this process."""

import pytest


@pytest.fixture
def prepared(tmp_path):
    """A function (kind, path, **settings) -> (folder, what was said): runs `prepare` in this process."""
    from urfr_tf.data.cropper import CropSettings
    from urfr_tf.data.preparation.job import Job
    from urfr_tf.data.preparation.prepare import prepare
    from urfr_tf.data.sources import open_source

    def run(kind, path, out=None, identities=None, shards=None, **settings):
        said = []
        folder = tmp_path / "shards" if out is None else out
        crop = CropSettings(**{"size": 24, **settings})
        job = Job(open_source(kind, None if path is None else str(path)), crop, identities, shards)
        prepare(job, str(folder), said.append)
        return folder, said

    return run
