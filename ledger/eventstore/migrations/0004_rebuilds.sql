-- Read models that are being built anew beside those that answer.

CREATE TABLE rebuilds (
    target          text        NOT NULL PRIMARY KEY,    -- a read model's name: one at a time for each; or a schema of the past
    id              uuid        NOT NULL,                -- of this rebuild: the cut-over is recorded under it
    version         integer     NOT NULL,                -- of the logic
    from_version    integer,                             -- of the logic that answered before; null: nothing did
    phase           text        NOT NULL,                -- see replay/rebuild/state.py
    position        bigint      NOT NULL DEFAULT 0,      -- how far the new tables have followed the log
    digest          text,
    digest_position bigint,
    compared        boolean     NOT NULL DEFAULT false,
    started_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

GRANT SELECT ON rebuilds TO tallystick_reader, tallystick_writer;
GRANT INSERT, UPDATE, DELETE ON rebuilds TO tallystick_writer;
