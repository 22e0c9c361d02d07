"""An independent ProofPeer peer."""
