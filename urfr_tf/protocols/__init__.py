"""Evaluation protocols: files -> images, pairs and templates; embeddings -> figures.

A module for each published layout gives a `Pairs` or a `Templates` (protocol.py); embedding.py turns
its images into embeddings, once; verification.py and identification.py turn those into figures.
"""
