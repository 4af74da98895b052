"""Names of the outputs of a model and of the tensors in a batch; nothing else.

Keras 2.15 silently drops or misroutes a loss whose dictionary key is misspelt, so every place that
needs one of these strings takes it from here.
"""

IMAGE = "image"
LABEL = "label"
ORIGINAL = "original"
EMBEDDING = "embedding"
CONFIDENCE = "confidence"
VARIANCE = "variance"
NORM = "norm"
LOGITS = "logits"
VARIATION = "variation"
ATTRIBUTE = "attribute"
LABELED = "labeled"
VARIATION_CLASSIFIER = "variation_classifier"
