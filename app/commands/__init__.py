"""What operators type: a module for each group of `python -m app GROUP COMMAND`. Rules and audit are the panel's."""
