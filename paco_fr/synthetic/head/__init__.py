"""What covers the form: skin, hair, body, and all of it put together."""
