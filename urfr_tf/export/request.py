"""What an export is asked for, and which settings go together."""

import os
from dataclasses import dataclass

from urfr_tf.data.cropper import CropSettings
from urfr_tf.errors import UrfrError


@dataclass(frozen=True)
class ExportRequest:
    """The settings of one export, named like the options of `urfr export`.

    Attributes:
        run: run folder.
        out: folder for `saved_model/VERSION/` or `model.tflite`, and `parity.json`.
        format: a key of `formats.FORMATS`: `saved_model` or `tflite`.
        quantize: for TFLite `none`, `float16`, `dynamic` or `int8`; for a SavedModel `none` or `bfloat16`,
            which only a processor that computes in it (AMX, AVX512_BF16) runs faster than float32.
        calibration: folder of shards. Parity is checked on its images, and int8 measures ranges on them.
        faces: pairs of faces (`accuracy.open_face_pairs`). Accuracy and TAR on them may not fall by more than
            the limit, and the export gets a threshold that was calibrated with itself.
        which_face: which of several faces of a photograph of `faces` counts: `largest` or `central`.
        min_face: smallest face that is looked for in them, in pixels.
        max_pixels: larger photographs are refused.
        quantization_aware: for int8, the number of steps of training before the conversion
            (`quantization_aware_training`).
        licence: what the card says about the licence of the model (an SPDX name); None takes that of
            an imported file where it is known, and Apache-2.0 otherwise.
        version: for a SavedModel, the number of its folder. A server takes the largest.
        frozen: for a SavedModel, fold it and write its weights as constants. That is faster at batch 1, takes
            more memory, and cannot be fine-tuned.
    """

    run: str | os.PathLike[str]
    out: str | os.PathLike[str]
    format: str
    quantize: str = "none"
    calibration: str | None = None
    faces: str | None = None
    which_face: str = "largest"
    min_face: int = CropSettings.min_face
    max_pixels: int = CropSettings.max_pixels
    quantization_aware: int = 0
    licence: str | None = None
    version: int = 1
    frozen: bool = False

    def check(self, quantizations: tuple[str, ...]) -> None:
        """Refuses settings that do not go together.

        Args:
            quantizations: those that the format has.

        Raises:
            UrfrError: with the option and what it was.
        """
        if self.quantize not in quantizations:
            raise UrfrError(
                f"expected --quantize {', '.join(quantizations)} with {self.format}, but got {self.quantize}"
            )
        if self.quantize == "int8" and not self.calibration:
            raise UrfrError("int8 needs --calibration SHARDS, a folder of urfr prepare, to measure ranges on")
        if self.quantization_aware and self.quantize != "int8":
            raise UrfrError(
                f"expected --quantization-aware with --quantize int8, but got it with {self.quantize}"
            )
        if self.frozen and self.format != "saved_model":
            raise UrfrError(f"expected --frozen with --format saved_model, but got it with {self.format}")
