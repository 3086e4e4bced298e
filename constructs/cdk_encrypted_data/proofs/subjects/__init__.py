"""What rules ask about: whose requests, for what, on which things. No rule stands here, and each serves several."""
