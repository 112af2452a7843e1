"""The web page: what the exported files can do, in a browser and on no server."""
