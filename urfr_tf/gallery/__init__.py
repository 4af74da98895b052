"""Galleries of known people: enroll, find and forget them, in one SQLite file or in PostgreSQL."""

from urfr_tf.gallery.gallery import Gallery

__all__ = ["Gallery"]
