-- Backtests of rule sets are asked for, made and followed as exports are; their result is in the row.

ALTER TABLE export_jobs DROP CONSTRAINT export_jobs_kind_check;
ALTER TABLE export_jobs
    ADD CONSTRAINT export_jobs_kind_check CHECK (kind IN ('events', 'case', 'backtest'));
