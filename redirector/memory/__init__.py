"""What one worker knows without asking anybody."""
