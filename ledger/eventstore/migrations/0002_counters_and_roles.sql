-- Counters are kept beside the accounts, and persons have a role.

-- Names of counters hold texts from outside. No index holds a key of more than some 2,700 bytes.
ALTER TABLE ledger_accounts ADD CONSTRAINT name_fits_the_index CHECK (octet_length(account) <= 2000);

ALTER TABLE api_keys ADD COLUMN role text NOT NULL DEFAULT 'administrator'
    CHECK (role IN ('administrator', 'finance', 'fraud', 'support', 'compliance', 'platform', 'auditor'));
ALTER TABLE api_keys ALTER COLUMN role DROP DEFAULT;     -- keys from before roles could do everything
