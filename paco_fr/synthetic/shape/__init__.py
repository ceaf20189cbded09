"""The form of a head: geometry, identity, expression, landmarks."""
