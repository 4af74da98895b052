"""`make reproduce-small` and `make reproduce`: data, training, evaluation and the results page, as jobs.

__main__.py      the command                     jobs.py          runs jobs, skips what is done, keeps the
time plan.py          the jobs of both scales         small.py         those of the small scale
full.py          those of the full scale         costs.py         its hours and memory
lists.py         who is trained and tested on    surveillance.py  the TinyFace- and IJB-S-like test sets
evaluate.py      a run on all tests              captions.py      gender, and what the pictures need
paper.py         the paper's numbers and words   collect.py       metrics files -> numbers, and the rule
page.py          docs/results/small.md, with page_intro.py, tables.py and figures.py
card.py          docs/results/model_card.md
ablations.py     docs/lab/causes.md              aggregation.py   docs/lab/aggregation.md
confidence_gradients.py  docs/lab/confidence_push.md
"""
