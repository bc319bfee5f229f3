"""Op log, snapshots and readable files: moves bytes and plain data."""
