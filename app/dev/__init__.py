"""A laptop that is a whole add-on partner: the app, its worker, a pretend Heroku and a Postgres, by one command.

run.py          `python -m app dev`: starts it all, stops it all
supervisor.py   several programs as one: start, health, restart, stop in order
child.py        runs a command of ours so that it ends when its parent does
folder.py       `.dev`: what is kept between starts; at most one owner at a time
operator.py     the operator who is made for the laptop
ports.py        ports that stay the same
console.py      one log of many programs; the box of links
postgres.py     the server; postgres_programs.py finds its binaries
psql.py         `./run psql`
check.py        `./run check`
migrations.py   checks migrations and writes new ones: `./run migration`
"""
