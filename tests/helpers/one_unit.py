"""The backbone `ir1`, for tests that do not depend on depth: one residual unit, where `ir10` has four.

A small test spends most of its time on building and tracing layers. Importing this module makes the backbone
known without listing it anywhere. `forked` imports it in its processes; a new interpreter does not know it.
"""

from urfr_tf.config.setting import setting_of
from urfr_tf.config.tree import ModelConfig
from urfr_tf.models import ir

NAME = "ir1"
MODEL = {"backbone": NAME, "width": 0.125, "input_size": 32, "embedding_dim": 16, "groups": 4}


class _Choices(tuple):
    def __contains__(self, word):
        return word == NAME or super().__contains__(word)


class _Blocks(dict):
    def __missing__(self, name):
        if name != NAME:
            raise KeyError(name)
        return (1, 0, 0, 0)


ir.BLOCKS = _Blocks(ir.BLOCKS)
_setting = setting_of(ModelConfig.__dataclass_fields__["backbone"])
object.__setattr__(_setting, "choices", _Choices(_setting.choices))  # it is frozen
