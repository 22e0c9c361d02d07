"""An independent framelink peer (profile: docs/protocols/framelink.md)."""
