-- Exports that were asked for through the API, and how far each has come.

CREATE TABLE export_jobs (
    id           uuid        NOT NULL PRIMARY KEY,       -- follows from the person and their Idempotency-Key
    person       text        NOT NULL,                   -- who asked, and fetches it
    kind         text        NOT NULL CHECK (kind IN ('events', 'case')),
    request      jsonb       NOT NULL,                   -- what was asked for
    status       text        NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled', 'expired', 'deleted')),
    events_done  bigint      NOT NULL DEFAULT 0,         -- looked at
    events_total bigint,                                 -- to look at; null until it has begun
    error        text,
    result       jsonb,                                  -- the files and the manifest, once done
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at   timestamptz,
    ended_at     timestamptz,
    worker       uuid,                                   -- who is at it
    leased_until timestamptz,                            -- and for how long, unless they say more
    attempts     integer     NOT NULL DEFAULT 0          -- begun, and not given back in order
) WITH (fillfactor = 50);
CREATE INDEX ON export_jobs (created_at, id);
CREATE INDEX ON export_jobs (person, created_at, id);
CREATE INDEX ON export_jobs (created_at) WHERE status IN ('queued', 'running');

GRANT SELECT ON export_jobs TO tallystick_reader, tallystick_writer;
GRANT INSERT, UPDATE, DELETE ON export_jobs TO tallystick_writer;
