"""What both programs stand on; it imports neither of them."""
