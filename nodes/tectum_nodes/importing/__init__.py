"""Other people's recordings as logs of ours: one file per format, one table (`formats`)."""
