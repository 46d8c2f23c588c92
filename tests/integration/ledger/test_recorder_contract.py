"""The eventsourcing library's own cases for application recorders, unedited, against ours.

Nothing is left out. Two things are settled here rather than by the cases: their events are not
ours (topics such as `topic1`), so they post nothing; and `optional_test_insert_subscribe` is
opted into by naming it.

The library's module of cases imports its cipher, and that the package `pycryptodome`, for mapper
cases that are not run here: a stand-in takes the package's place during the import.
"""

import sys
from types import ModuleType
from unittest import mock

import pytest
from psycopg import connect

from ledger.eventstore.database import Role, conninfo
from ledger.eventstore.ledger import utc_now
from ledger.eventstore.recorder import LedgerDatastore, LedgerRecorder
from ledger.eventstore.writer import GroupCommitWriter
from ledger.settings import Settings

_CIPHER = ModuleType("eventsourcing.cipher")
_CIPHER.AESCipher = type("AESCipher", (), {})
with mock.patch.dict(sys.modules, {"eventsourcing.cipher": _CIPHER}):
    from eventsourcing.tests import persistence as cases


class OurRecorder:
    """Makes a recorder on a fresh database, and closes what it made."""

    @pytest.fixture(autouse=True)
    def _fresh(self, database: Settings) -> None:
        self.database = database

    def create_recorder(self) -> LedgerRecorder:
        target = conninfo(self.database, Role.WRITER)
        datastore = LedgerDatastore(target)
        writer = GroupCommitWriter(lambda: connect(target, autocommit=True), utc_now)
        self.addCleanup(datastore.close)
        self.addCleanup(writer.close)
        return LedgerRecorder(datastore, writer, lambda _stored: ())


class TestApplicationRecorder(OurRecorder, cases.ApplicationRecorderTestCase[LedgerRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleaving(OurRecorder, cases.NonInterleavingNotificationIDsBaseCase):
    """Positions of two appends that race do not interleave."""
