"""The grammar of SMTP: command lines, paths, parameters, transparency and replies, both ways. Pure."""
