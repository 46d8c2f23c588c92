"""Case bundles: what somebody outside needs to see a case, and to check it without us."""
