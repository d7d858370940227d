"""The ledger: one row per trigger, its digest and its words."""
