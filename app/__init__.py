"""A Heroku add-on provider. What lives where:

__main__.py     the command line: which commands there are
loading.py      how a process loads what it runs
simulation.py   the commands that know the simulator: simulate, conform
main.py         the web process: create_app
worker.py       the worker process, and the list of periodic work
context.py      what both hold open: database, Heroku client, plans, drivers
settings.py     the environment, read once, typed
alert_settings.py  kinds of settings: where alerts may go
manifest.py     addon-manifest.json, read and checked at start
plans.py        what you sell: plan name -> driver and its terms           <- yours to edit
heroku.py       how we call Heroku: tokens, config vars, actions
outgoing.py     calls to addresses that somebody else chose: never into a private network
heroku_answers.py  how its answers are read
log_input.py    how we write into the logs of customers' apps
app_log.py      what is to be written there
oidc.py         how operators come in by the partner's OpenID provider
telemetry/      what is measured of all that: metrics, traces
gathering.py    work that is done for all who wait for it at once
exchanges.py    what Heroku and we say to each other, until it is written down
job_queue.py    background work, enqueued inside the caller's transaction
job_worker.py   runs it
connections.py  a few plain connections to a database, for what happens a thousand times a second
database.py     engine, Base, where transactions end
encryption.py   secrets at rest: key ring, canaries
errors.py       the five ways things go wrong
log.py          one log for everything; hides secrets
web/            everyone who calls us: partner API, SSO, dashboard, health
resources/      the heart: one add-on resource and its life
operators/      who runs this program: accounts, roles, sessions
operations/     what they do: actions on resources, many at once, audit, alerts, reconciliation
commands/       the same from the command line
drivers/        ways to make what you sell                                 <- yours to add to
simulator/      a pretend Heroku; shares no code with the rest
conformance/    does any add-on speak the partner API correctly? drives the simulator
dev/            everything on one laptop: `./run`
"""
