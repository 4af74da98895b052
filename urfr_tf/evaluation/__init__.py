"""The measuring engine: images of a protocol -> embeddings -> scores -> figures.

measurement.py plans what is measured, request.py says what is reported, embedding.py embeds the images once.
verification.py, templates.py and distractors.py measure the kinds of protocols. results.py holds the figures.
"""
