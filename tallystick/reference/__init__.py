"""Reference: the tables in `docs/`, made from the code they describe.

    python -m tallystick.reference --check    exit status 1 if a table is out of date
    python -m tallystick.reference --write    make them anew

A table stands between two markers in a Markdown file; what is around it is written by hand. The
states that an event leads to are not listed anywhere: every decision of the domain is taken in
every state that can be reached, and the diagrams show what came out. An event that nothing leads
to is an error, and a test compares the arrows with random histories.
"""
