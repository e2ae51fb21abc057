"""What is measured of this program while it works: counts for `/metrics`, and traces.

metrics.py   what is counted in this process
tracing.py   spans, and how a trace goes on in a job
watch.py     both at once, for each kind of work: a request, a job, a call of Heroku, a call of a driver
"""
