-- The ledger: events, the head, the accounts, the roots. Nothing here is ever edited or deleted.

CREATE TABLE ledger_events (
    notification_id    bigint      PRIMARY KEY,          -- position: 1, 2, 3, … without gaps, in commit order
    originator_id      uuid        NOT NULL,             -- stream
    originator_version bigint      NOT NULL,
    topic              text        NOT NULL,
    state              bytea       NOT NULL,             -- canonical JSON, byte for byte as hashed
    recorded_at        timestamptz NOT NULL,
    leaf               bytea       NOT NULL,             -- RFC 6962 leaf hash: names the position that was altered
    UNIQUE (originator_id, originator_version)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02);

CREATE TABLE ledger_head (
    only_row    boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    position    bigint      NOT NULL,
    recorded_at timestamptz NOT NULL,
    frontier    bytea       NOT NULL,                    -- RFC 6962 compact range, at most 63 hashes of 32 bytes
    root        bytea       NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

-- SHA-256 of nothing is the root of the empty tree.
INSERT INTO ledger_head (position, recorded_at, frontier, root)
VALUES (0, 'epoch', '', sha256(''));

CREATE TABLE ledger_roots (                              -- one row per committed batch: the receipt of every append in it
    size bigint PRIMARY KEY,                             -- tree size after the batch = its last position
    root bytea  NOT NULL
);

CREATE TABLE ledger_accounts (
    account  text   PRIMARY KEY,
    balance  bigint NOT NULL,                            -- minor units
    floor    bigint,                                     -- the balance may not go below; null: it may
    position bigint NOT NULL,                            -- of the event that last moved it
    CHECK (floor IS NULL OR balance >= floor)
) WITH (fillfactor = 50);

CREATE VIEW event_log AS                                 -- for people with psql
SELECT notification_id AS position, recorded_at, topic, originator_id AS stream,
       originator_version AS version, convert_from(state, 'UTF8')::jsonb AS event
FROM ledger_events;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING HINT = 'Correct a mistake by appending a compensating event.', ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_roots
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- How far each read model has followed the log.
CREATE TABLE read_models (
    name       text        NOT NULL,
    version    integer     NOT NULL,
    position   bigint      NOT NULL DEFAULT 0,
    stopped_at bigint,                                   -- position of the event its fold could not take
    error      text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
) WITH (fillfactor = 50);

-- Which piece of outstanding work a worker has taken, and until when.
CREATE TABLE work_leases (
    work         text        PRIMARY KEY,
    leased_until timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE api_keys (
    id          text        PRIMARY KEY,
    person      text        NOT NULL,                    -- who acts: approvals compare persons, not keys
    secret_hash bytea       NOT NULL,                    -- SHA-256 of 256 random bits
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz
);

GRANT SELECT ON ALL TABLES IN SCHEMA public TO tallystick_reader, tallystick_writer;
REVOKE ALL ON api_keys FROM tallystick_reader;
GRANT INSERT ON ledger_events, ledger_roots TO tallystick_writer;
GRANT UPDATE ON ledger_head TO tallystick_writer;
GRANT INSERT, UPDATE ON ledger_accounts TO tallystick_writer;
GRANT INSERT, UPDATE, DELETE ON read_models, work_leases TO tallystick_writer;
