"""An independent SREMP peer, written from docs/protocols/sremp.md alone."""
