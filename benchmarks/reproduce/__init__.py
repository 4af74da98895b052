"""`make reproduce-small` and `make reproduce`: data, training, evaluation and the results page, in pieces.

plan.py          which pieces there are          pieces.py        runs them, skips what is done, keeps the time
lists.py         who is trained and tested on    surveillance.py  the TinyFace- and IJB-S-like test sets
evaluate.py      a run on all tests              seen.py          gender, and what the pictures need
paper.py         the paper's numbers             statements.py    which of its statements hold, by a rule
collect.py       metrics files -> numbers        page.py, figures.py, card.py   docs/results.md, its pictures, model card
"""
