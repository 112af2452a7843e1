"""Recurrent layers; import them from :mod:`seqcore`."""
