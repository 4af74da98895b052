"""The protocols by name: what the command line offers, what the documentation lists, and how each is opened.

A new protocol is a module with its layout and one entry here. The modules are imported when a protocol is
opened, because `urfr evaluate --help` reads this table too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from urfr_tf.errors import UrfrError
from urfr_tf.protocols.source import PER_PERSON, ProtocolSource

if TYPE_CHECKING:
    from urfr_tf.protocols.protocol import AnyProtocol, Distractors, PairLists, Pairs, Templates


@dataclass(frozen=True)
class ProtocolEntry:
    """A protocol that `urfr evaluate` knows.

    Attributes:
        name: as in `--protocol`.
        kind: what is compared: pairs, lists of pairs, templates or distractors.
        open: reads its lists.
        layout: what `--data` holds.
        figures: what is reported.
        takes_pairs: whether `--pairs` gives its list.
        faces: which of several detected faces is the one named, "largest" or "central".
        every_degradation: whether the probes are degraded by every variation, unless `--degrade` names some.
    """

    name: str
    kind: str
    open: Callable[[ProtocolSource], AnyProtocol]
    layout: str
    figures: str
    takes_pairs: bool = False
    faces: str = "largest"
    every_degradation: bool = False


def _open_pairs(source: ProtocolSource) -> Pairs:
    from urfr_tf.protocols.pairs import open_pairs

    return open_pairs(source.data, source.pairs_file, source.seed, source.per_person)


def _open_lfw(source: ProtocolSource) -> Pairs:
    from urfr_tf.protocols.lfw import open_lfw

    return open_lfw(source.data, source.pairs_file)


def _open_cfp(source: ProtocolSource) -> PairLists:
    from urfr_tf.protocols.cfp import open_cfp

    return open_cfp(source.data)


def _open_bin(source: ProtocolSource) -> Pairs:
    from urfr_tf.protocols.bin import open_bin

    return open_bin(source.data)


def _open_ijba(source: ProtocolSource) -> Templates:
    from urfr_tf.protocols.ijba import open_ijba

    return open_ijba(source.data)


def _open_ijbb(source: ProtocolSource) -> Templates:
    from urfr_tf.protocols.ijbbc import open_ijbbc

    return open_ijbbc("ijbb", source.data)


def _open_ijbc(source: ProtocolSource) -> Templates:
    from urfr_tf.protocols.ijbbc import open_ijbbc

    return open_ijbbc("ijbc", source.data)


def _open_ijbs(source: ProtocolSource) -> Templates:
    from urfr_tf.protocols.ijbs import open_ijbs

    return open_ijbs(source.data)


def _open_tinyface(source: ProtocolSource) -> Templates:
    from urfr_tf.protocols.tinyface import open_tinyface

    return open_tinyface(source.data)


def _open_megaface(source: ProtocolSource) -> Distractors:
    from urfr_tf.protocols.megaface import open_megaface

    return open_megaface(source.data)


_IJBBC_LAYOUT = "`loose_crop/` and `meta/`, or `protocol/` and `images/` as published"
_IJBBC_FIGURES = "TAR, ranks, TPIR over both galleries"
_ENTRIES = (
    ProtocolEntry(
        "pairs",
        "pairs",
        _open_pairs,
        "a folder per person, or shards; `--pairs FILE` in LFW's layout or `path TAB path TAB 0 or 1`",
        "accuracy in ten folds, TAR at FAR, rank 1, 5, 10",
        takes_pairs=True,
    ),
    ProtocolEntry(
        "lfw",
        "pairs",
        _open_lfw,
        "`lfw/NAME/NAME_0001.jpg` (or `lfw.tar`) and `pairs.txt`",
        "those of `pairs`",
        takes_pairs=True,
        faces="central",
    ),
    ProtocolEntry(
        "cfp",
        "lists of pairs",
        _open_cfp,
        "the published tree or its tar: `Protocol/Split/FF`, `FP`; the folds that are there",
        "those of `pairs`, under `ff/` and `fp/`",
    ),
    ProtocolEntry(
        "bin",
        "pairs",
        _open_bin,
        "one `.bin` file (AgeDB-30, CALFW, CPLFW, ...), read without unpickling",
        "accuracy, TAR",
    ),
    ProtocolEntry(
        "ijba",
        "templates",
        _open_ijba,
        "`IJB-A_11_sets/split1..10`, `IJB-A_1N_sets/split1..10`, `images/`",
        "TAR, ranks, TPIR: mean over the splits, standard error",
    ),
    ProtocolEntry("ijbb", "templates", _open_ijbb, _IJBBC_LAYOUT, _IJBBC_FIGURES),
    ProtocolEntry("ijbc", "templates", _open_ijbc, _IJBBC_LAYOUT, _IJBBC_FIGURES),
    ProtocolEntry(
        "ijbs",
        "templates",
        _open_ijbs,
        "`protocols/`, `images/SUBJECT/videos_N_FRAME.jpg`",
        "`s2s/`, `s2b/`, `s2v/`: ranks, TPIR",
    ),
    ProtocolEntry(
        "tinyface",
        "templates",
        _open_tinyface,
        "`Testing_Set/Probe`, `Gallery_Match`, `Gallery_Distractor`",
        "rank 1, 5, 20, mAP",
    ),
    ProtocolEntry(
        "megaface",
        "distractors",
        _open_megaface,
        "`devkit/templatelists/*.json`, `facescrub_images/`, `megaface_images/`",
        "rank 1, 10; TAR at FAR 1e-4 to 1e-6",
    ),
    ProtocolEntry(
        "synthetic",
        "pairs",
        _open_pairs,
        "as `pairs`",
        "those of `pairs`, clean and under every degradation",
        takes_pairs=True,
        every_degradation=True,
    ),
)
PROTOCOLS = {entry.name: entry for entry in _ENTRIES}


def open_protocol(
    name: str, data: str, pairs_file: str | None = None, seed: int = 0, per_person: int = PER_PERSON
) -> AnyProtocol:
    """Reads a protocol's lists; images are not touched yet. See `ProtocolSource` for the arguments.

    Raises:
        UrfrError: another name, nothing there, another layout, bad lists.
    """
    if name not in PROTOCOLS:
        raise UrfrError(f"expected one of the protocols {', '.join(PROTOCOLS)}, but got {name}")
    if pairs_file is not None and not PROTOCOLS[name].takes_pairs:
        takers = ", ".join(entry.name for entry in _ENTRIES if entry.takes_pairs)
        raise UrfrError(f"--pairs is for the protocols {takers}; {name} has pairs of its own")
    return PROTOCOLS[name].open(ProtocolSource(data, pairs_file, seed, per_person))


def protocol_lines() -> list[str]:
    """The table as Markdown, one line each; the documentation holds it."""
    rows = [
        f"| `{entry.name}` | {entry.kind} | {entry.layout} | {entry.figures} |"
        for entry in PROTOCOLS.values()
    ]
    return ["| `--protocol` | compares | `--data` | figures |", "| --- | --- | --- | --- |", *rows]
