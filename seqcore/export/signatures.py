"""The names of the signatures in what is exported."""

SERVING = "serving_default"
STREAM = "stream"
