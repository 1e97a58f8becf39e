"""Programs that nobody trusts, behind walls. `sandbox.Sandbox` runs them; `ratchet sandbox doctor` says what holds."""
