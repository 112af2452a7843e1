"""What every application shares: command line, training loop, evaluation, export."""
