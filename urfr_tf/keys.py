"""Names of the model's outputs and of the tensors that travel with a batch; nothing else.

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
LABELLED = "labelled"
VARIATION_CLASSIFIER = "variation_classifier"
