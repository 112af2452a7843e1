"""Recognisers built on seqcore: speech keywords, text and handwriting."""
