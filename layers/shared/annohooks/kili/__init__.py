"""The Kili webhook: labels checked against a team's rules, issues raised, assets sent back."""
