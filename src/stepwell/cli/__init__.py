"""The command line. Commands hold no logic of the engine: parse, ask the App or its client, show the answer.

    main.py       the group of commands, and what becomes of an error
    exits.py      exit codes
    options.py    options that several commands have
    flows.py      FLOWS on the command line → the App in it
    output.py     text and tables for people, JSON for programs
    shown.py      what executions, steps and values look like
    outline.py    an execution's steps without the items of its maps
    follow.py     the news of an execution until it ends
    logs.py       what workers write to standard error

One module per command: init, dev (with reload.py), worker, start, executions, migrate, doctor (with examine.py, which
looks, and diagnosis.py, which judges). Each has its command as `command` and is imported when it is needed.
"""
