"""The sequencer: the one writer that turns batches into log entries."""
