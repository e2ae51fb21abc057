"""What the panel's search costs with a million resources, measured: `python -m bench`. See docs/performance.md.

__main__.py  everything in one go, on a Postgres that is thrown away afterwards
million.py   the resources, and what their indexes cost
names.txt    what their names are made of
find.py      how long pages take
panels.py    the panels that are asked: ours, and two general ones for comparison
metrics.py   what metrics and traces cost, by itself: see docs/observability.md
peers/       these two, which run in an environment of their own
"""
