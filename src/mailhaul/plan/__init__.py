"""What is to move, and under which rules: plan.toml and mailboxes.csv, checked as a whole."""
