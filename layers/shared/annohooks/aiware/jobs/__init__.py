"""Jobs: chunks that are analysed by the state machine, after the request was acknowledged."""
