"""A small FEC of our own: real photographs on a web server on this machine, among the troubles of the real web."""
