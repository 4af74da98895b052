"""IARPA Janus Benchmark A in its published layout.

    IJB-A_11_sets/split1/verify_metadata_1.csv, verify_comparisons_1.csv ... split10
    IJB-A_1N_sets/split1/search_gallery_1.csv, search_probe_1.csv ... split10
    images/ (or the folder itself)  img/..., frame/... as the FILE column names them

One of the two may be missing. Figures are means over the splits, with their standard error. Photographs
hold several people: the square about the FACE box is cut out first. (Klare et al., CVPR 2015.)
"""

import os

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.protocols.protocol import Identification, Split, Templates, Verification
from urfr_tf.protocols.template_tables import Builder, parse_box, read_number_pairs, read_rows

_NEEDED = ("TEMPLATE_ID", "SUBJECT_ID", "FILENAME", "MEDIA_ID")


def open_ijba(data: str) -> Templates:
    """All splits that are there, 1:1 and 1:N.

    Raises:
        UrfrError: neither of the two sets of splits, or a bad list.
    """
    images = os.path.join(data, "images")
    builder = Builder("ijba", images if os.path.isdir(images) else data)
    splits = []
    for number in range(1, 11):
        verify = os.path.join(data, "IJB-A_11_sets", f"split{number}")
        look_up = os.path.join(data, "IJB-A_1N_sets", f"split{number}")
        verification: Verification | None = None
        identification: tuple[Identification, ...] = ()
        if os.path.isdir(verify):
            verification = _read_verification(builder, verify, number)
        if os.path.isdir(look_up):
            identification = (_read_identification(builder, look_up, number),)
        if verification or identification:
            splits.append(Split(verification, identification))
    if not splits:
        raise UrfrError(
            f"expected IJB-A_11_sets/split1 or IJB-A_1N_sets/split1 in {data}, but neither is there"
        )
    return builder.build(tuple(splits))


def _add_templates(builder: Builder, path: str, kind: str) -> list[int]:
    """Adds the rows of a list and returns its templates; ids count within a kind of list and split."""
    templates: dict[int, None] = {}
    for row in read_rows(path, _NEEDED):
        number = builder.template(f"{kind}/{row['TEMPLATE_ID']}", row["SUBJECT_ID"])
        builder.add(number, row["FILENAME"], row["MEDIA_ID"], parse_box(row))
        templates[number] = None
    return list(templates)


def _read_verification(builder: Builder, folder: str, split: int) -> Verification:
    kind = f"11/{split}"
    _add_templates(builder, os.path.join(folder, f"verify_metadata_{split}.csv"), kind)
    path = os.path.join(folder, f"verify_comparisons_{split}.csv")
    pairs = [[builder.known(f"{kind}/{key}", path) for key in pair] for pair in read_number_pairs(path)]
    if not pairs:
        raise UrfrError(f"expected comparisons in {path}, but it is empty")
    same = [builder.subject_of(a) == builder.subject_of(b) for a, b in pairs]
    first, second = np.array(pairs, np.int64).T
    return Verification(first, second, np.array(same))


def _read_identification(builder: Builder, folder: str, split: int) -> Identification:
    gallery = _add_templates(builder, os.path.join(folder, f"search_gallery_{split}.csv"), f"1N/{split}/g")
    probes = _add_templates(builder, os.path.join(folder, f"search_probe_{split}.csv"), f"1N/{split}/p")
    return Identification("", np.array(probes), (np.array(gallery),))
