"""The commands as functions: same names, same settings, same defaults."""
