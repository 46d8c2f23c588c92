"""README.txt of a bundle: what it is, in plain words."""

from ledger.checkpoints.note import Verifier
from replay.case.members import Case

_TEXT = """\
The case of {kind} {id}
{rule}

This folder holds everything that the payment ledger {origin} has recorded about
this {kind}, up to position {as_of} of its log, with a proof that it is what was
recorded. You can check it yourself, without the ledger and without a database.

To read:
  story.html, story.txt   what happened, in words, event by event
  statement.json          what is claimed: balances, and where each transaction stands

To check:
  events.jsonl            every event of the case, byte for byte as it was recorded
  proof.json              leads from these events to the fingerprint in checkpoint.txt
  checkpoint.txt          that fingerprint of the whole log, signed by the ledger
  key.txt                 the ledger's public key
  manifest.txt            the digest of every file here, signed by the ledger
  verify.py               checks all of this

You need Python 3.9 or newer, and once:

  python -m pip install cryptography

Then, in this folder, with the ledger's public key, which you should have been told
by another channel (on its web page, by telephone, on paper):

  python verify.py --key '<the key>'

It ends with PROVED and whose case it is, or says which file, line and position is not
as it has to be.
It can be run without --key. Then it takes the key in key.txt, which proves only that
the files belong together: whoever forges a bundle puts their own key in it.

Whoever forges a bundle might change verify.py, too. Take it from a copy that you have
from elsewhere and give it this folder:

  python /elsewhere/verify.py . --key '<the key>'

What it cannot prove: that nothing was left out (another transaction, a later event),
and that what was recorded is what happened in the world. A balance that it states is
what these events alone add up to, from zero on: of a transaction's case, what the
transaction moved, and not what is in the account.
"""


def readme(case: Case, key: Verifier, as_of: int) -> str:
    """The whole text."""
    kind = case.kind.value
    rule = "=" * len(f"The case of {kind} {case.id}")
    return _TEXT.format(kind=kind, id=case.id, rule=rule, origin=key.name, as_of=as_of)
