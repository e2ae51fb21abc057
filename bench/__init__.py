"""How fast this add-on is, measured beside others and beside the limit: `python -m bench`. See docs/performance.md.

__main__.py     what can be measured, and the options
provision.py    provisions a second, beside pgbench, a bare hello and other add-ons
growth.py       what each thing costs, with few resources and with very many
pushes.py       new credentials for everybody with one command
starting.py     start-up, memory, connections
find.py         how long pages of the operators' list take
metrics.py      what metrics and traces cost, by itself: see docs/observability.md

server.py       a Postgres that is thrown away afterwards
processes.py    programs: started, waited for, stopped, and what they use
load.py         many clients at once: wrk with load.lua, or own_client.py
asking.py       requests as Heroku and browsers send them
addon.py        this add-on, selling API keys
contestants.py  it and a bare hello as processes
others.py       other add-ons, whose code is in peers/
correctness.py  what the conformance checker says of each
heroku.py       a Heroku that takes its time
limit/          what pgbench does
million.py      resources by the million, and what their indexes cost
names.txt       what their names are made of
panels.py       the operators' panels that are asked: ours, and two general ones
figures.py, report.py, chart.py   the numbers, the Markdown, the picture
"""
