"""What `urfr_tf.load` says of everything that is no model; whole exports: tests/export."""

import dataclasses
import shutil
from pathlib import Path

import h5py
import pytest
from small_run import configuration, sentence
from tensorflow.core.protobuf import saved_model_pb2

from urfr_tf.errors import UrfrError
from urfr_tf.runs.import_weights import import_weights
from urfr_tf.runs.initial_weights import copy_initial_weights
from urfr_tf.runs.saved_model_check import check_saved_model
from urfr_tf.runs.tflite_file import pack, unpack

GOLDEN = Path(__file__).parent / "goldens" / "saved_model" / "1"


def test_paths_without_a_model(tmp_path):
    assert "does not exist" in sentence(tmp_path / "nothing")
    assert "is empty" in sentence(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    assert "neither config.yaml nor saved_model.pb" in sentence(tmp_path)
    assert "does not end in .tflite" in sentence(tmp_path / "notes.txt")


def test_files_that_are_no_tflite(tmp_path):
    path = tmp_path / "m.tflite"
    for content, words in [
        (b"", "does not start like one"),
        (b"just a text, not a model", "does not start like one"),
        (b"\x1c\0\0\0TFL3" + bytes(4), "truncated or damaged"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(400), "truncated or damaged"),
    ]:
        path.write_bytes(content)
        assert words in sentence(path)


def test_saved_model_that_is_not_ours_or_damaged(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    assert "that urfr export wrote" in sentence(tmp_path)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "urfr.json").write_text("[]")
    assert "expected an object" in sentence(tmp_path)
    (tmp_path / "assets" / "urfr.json").write_text('{"input_size": 32, "groups": 4, "dim": 16}')
    assert "is damaged" in sentence(tmp_path)


def add_operation(graph):
    graph.graph_def.node.add(name="x", op="PyFunc")


def write_in_a_function(graph):
    graph.graph_def.library.function[0].node_def.add(name="x", op="WriteFile")


def read_without_state(graph):
    """TensorFlow may compute this one as early as it looks at the shapes."""
    graph.graph_def.library.function[-1].node_def.add(name="x", op="ReadFile")


def function_called_like_an_operation(graph):
    graph.graph_def.library.function.add().signature.name = "ImmutableConst"
    graph.graph_def.node.add(name="x", op="ImmutableConst")


def unknown_operation(graph):
    graph.graph_def.node.add(name="x", op="Evil\n" + 1000 * "x")


def signature_that_saves(graph):
    """The saver's function, called where it runs."""
    (saver,) = (
        f.signature.name for f in graph.graph_def.library.function if "traced_save" in f.signature.name
    )
    caller = next(f for f in graph.graph_def.library.function if "serving_default" in f.signature.name)
    caller.node_def.add(name="x", op="StatefulPartitionedCall").attr["f"].func.name = saver


def restored_object_that_saves(graph):
    (saver,) = (
        f.signature.name for f in graph.graph_def.library.function if "traced_save" in f.signature.name
    )
    graph.object_graph_def.nodes.add().function.concrete_functions.append(saver)


def saver_in_the_place_of_another(graph):
    (saver,) = (f for f in graph.graph_def.library.function if "traced_save" in f.signature.name)
    saver.attr["api_implements"].s = b"embedding"


def branch_that_saves(graph):
    (saver,) = (
        f.signature.name for f in graph.graph_def.library.function if "traced_save" in f.signature.name
    )
    caller = graph.graph_def.library.function[0]
    caller.node_def.add(name="x", op="Identity").attr["branches"].list.func.add().name = saver


@pytest.mark.parametrize(
    ("change", "operation"),
    [
        (add_operation, "'PyFunc'"),
        (write_in_a_function, "'WriteFile'"),
        (read_without_state, "'ReadFile'"),
        (function_called_like_an_operation, "'ImmutableConst'"),
        (unknown_operation, "Evil"),
        (signature_that_saves, "'ShardedFilename'|'SaveV2'|'StaticRegexFullMatch'"),
        (restored_object_that_saves, "'ShardedFilename'|'SaveV2'|'StaticRegexFullMatch'"),
        (saver_in_the_place_of_another, "'ShardedFilename'|'SaveV2'|'StaticRegexFullMatch'"),
        (branch_that_saves, "'ShardedFilename'|'SaveV2'|'StaticRegexFullMatch'"),
    ],
)
def test_saved_model_that_does_more_than_compute(tmp_path, change, operation):
    """A SavedModel is a program, which TensorFlow runs as soon as it is loaded."""
    shutil.copytree(GOLDEN, tmp_path / "m")
    model = saved_model_pb2.SavedModel.FromString((GOLDEN / "saved_model.pb").read_bytes())
    change(model.meta_graphs[0])
    (tmp_path / "m" / "saved_model.pb").write_bytes(model.SerializeToString())
    message = sentence(tmp_path / "m")
    assert any(word in message for word in operation.split("|")) and "which no export needs" in message


def test_saved_model_of_another_form(tmp_path):
    model = saved_model_pb2.SavedModel.FromString((GOLDEN / "saved_model.pb").read_bytes())
    shutil.copytree(GOLDEN, tmp_path / "m")
    for change in (
        lambda: model.meta_graphs[0].ClearField("object_graph_def"),
        lambda: model.meta_graphs.add(),
    ):
        change()
        (tmp_path / "m" / "saved_model.pb").write_bytes(model.SerializeToString())
        assert "one graph of TensorFlow 2" in sentence(tmp_path / "m")
    (tmp_path / "m" / "saved_model.pb").write_bytes(b"\xff" * 100)
    assert "does not parse" in sentence(tmp_path / "m")


def test_every_export_of_ours_passes():
    check_saved_model(GOLDEN)


def test_tflite_that_runs_an_operation_of_tensorflow(tmp_path):
    """The interpreter of the package tensorflow would run it: FlexWriteFile writes files."""
    model = unpack((GOLDEN.parents[1] / "model.tflite").read_bytes())
    model.operatorCodes[0].builtinCode = 32
    model.operatorCodes[0].customCode = b"FlexWriteFile"
    (tmp_path / "m.tflite").write_bytes(pack(model, 1 << 20))
    assert "'FlexWriteFile'" in sentence(tmp_path / "m.tflite")


@pytest.mark.parametrize("name", ["net.h5", "net.hdf5", "net.weights.h5", "net.keras"])
def test_hdf5_and_keras_files_have_no_way_in(tmp_path, name):
    """Keras would follow their links or run what they hold; only the weights of a run folder are read."""
    path = tmp_path / name
    with h5py.File(path, "w") as file:
        file["kernel"] = h5py.ExternalLink("/etc/passwd", "/")
    assert "does not end in .tflite" in sentence(path)
    for source in ("arcface_torch", "onnx", "insightface"):
        with pytest.raises(UrfrError, match="^expected .*net") as error:
            import_weights(source, str(path), tmp_path / "run")
        assert not (tmp_path / "run").exists() and "\n" not in str(error.value)
    config = dataclasses.replace(configuration(), initial_weights=str(path))
    with pytest.raises(UrfrError, match="expected a run folder"):
        copy_initial_weights(None, config)
