"""What all read models share: following the log, tables, comparing, reading."""
