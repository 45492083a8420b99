"""What in a workflow's source text would go wrong on a replay. Text in, findings out: it imports and runs nothing.

Read it in this order:

    findings.py        the rules, by their codes
    project.py         the modules, and what is silenced in them
    scopes.py          which names mean what, and where
    meanings.py        what an expression means: `dt.now` is `datetime.datetime.now`
    durable.py         which calls are durable, and what code makes them
    outside.py         the calls that have no place between durable calls
    workflow_code.py   the code between durable calls
    step_code.py       the code that steps run
    check.py           from the workflows to all code that they reach
"""
