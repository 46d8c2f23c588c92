-- Checkpoints that were signed, and the hashes of the tree that proofs are made from.

CREATE TABLE ledger_checkpoints (
    size      bigint      NOT NULL,                      -- of the tree = position of its last event
    key       text        NOT NULL,                      -- whose signature: name and key hash of the note
    root      bytea       NOT NULL,
    note      text        NOT NULL,                      -- C2SP signed note, as it was signed
    signed_at timestamptz NOT NULL,
    PRIMARY KEY (size, key)
);

CREATE INDEX ledger_checkpoints_by_root ON ledger_checkpoints (root);

CREATE TABLE ledger_signers (                            -- keys that have signed here, and how they are doing
    key        text        PRIMARY KEY,                  -- name and key hash
    verifier   text        NOT NULL,                     -- the public key, as C2SP signed-note writes it
    began_at   timestamptz NOT NULL,
    retired_at timestamptz,                              -- it signs no more
    reason     text,                                     -- why it was retired
    refused    text,                                     -- code: why it does not sign at present; null: it does
    detail     text,
    refused_at timestamptz
);

CREATE TABLE ledger_subtrees (                           -- a cache: it all follows from the leaves
    height smallint NOT NULL,                            -- 8, 16, 24, …: over 2^height leaves
    number bigint   NOT NULL,                            -- over the leaves from number * 2^height
    hash   bytea    NOT NULL,
    PRIMARY KEY (height, number)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_checkpoints
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

GRANT SELECT ON ledger_checkpoints, ledger_signers, ledger_subtrees
TO tallystick_reader, tallystick_writer;
GRANT INSERT ON ledger_checkpoints TO tallystick_writer;
GRANT INSERT, UPDATE ON ledger_signers TO tallystick_writer;
GRANT INSERT, UPDATE, DELETE ON ledger_subtrees TO tallystick_writer;
