"""The transparency log of certificates, in C2SP tlog-tiles form: static files, signed checkpoints, proofs. Pure functions."""
