"""One table of protocols: the command line, the documentation and the measurement agree with it."""

import subprocess
import sys

import pytest
from paths import ROOT

from urfr_tf.cli import build_parser
from urfr_tf.data.cropper import usual_face
from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.request import IMPOSTORS
from urfr_tf.evaluation.scoring import SCORES, TEMPLATE_WEIGHTS
from urfr_tf.metrics.fusion import FUSIONS
from urfr_tf.protocols.table import PROTOCOLS, open_protocol, protocol_lines


def test_the_command_offers_every_protocol_and_explains_it():
    parser = next(a for a in build_parser()._actions if a.dest == "command").choices["evaluate"]
    choices = {action.dest: action.choices for action in parser._actions}
    assert choices["protocol"] == list(PROTOCOLS)
    assert all(f"  {name} " in parser.epilog for name in PROTOCOLS)
    # Written twice, because the command imports nothing heavy.
    assert tuple(choices["score"]) == SCORES
    assert tuple(choices["impostors"]) == IMPOSTORS
    assert tuple(choices["weight"]) == TEMPLATE_WEIGHTS
    assert tuple(choices["fusion"]) == FUSIONS


def test_the_documentation_holds_the_table():
    pages = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").rglob("*.md"))]
    assert any("\n".join(protocol_lines()) in page for page in pages)


def test_the_table_is_light():
    code = (
        "import sys, urfr_tf.protocols.table\n"
        "print([m for m in ('numpy', 'tensorflow', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_face_that_is_named_is_the_one_that_preparing_takes():
    assert {name: entry.faces for name, entry in PROTOCOLS.items()} == {
        name: usual_face(name) for name in PROTOCOLS
    }


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_opens_or_says_what_is_missing(name, tmp_path):
    with pytest.raises(UrfrError):
        open_protocol(name, str(tmp_path / "nowhere"))


def test_other_names_and_pairs_where_none_are_taken_are_sentences(tmp_path):
    with pytest.raises(UrfrError, match="one of the protocols pairs, lfw, .*synthetic, but got yale"):
        open_protocol("yale", str(tmp_path))
    with pytest.raises(UrfrError, match="for the protocols pairs, lfw, synthetic; bin has pairs of its own"):
        open_protocol("bin", str(tmp_path), "pairs.txt")
